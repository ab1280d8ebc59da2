"""The kinds of field that several messages share. Every text refuses control characters, which PostgreSQL does too."""

from binascii import a2b_base64
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from services import ids
from services.delivery import KINDS, EventKind

COUNT_MAX = 1_000_000
NUMBER_MAX = 2**53 - 1
_YEARS = range(2000, 2200)
_FROM_URL = bytes.maketrans(b"-_", b"+/")
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


class Message(BaseModel):
    """A message of the wire: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Said(BaseModel):
    """A message that the service sends."""

    model_config = ConfigDict(frozen=True)


def _check_instant(text: str) -> str:
    if datetime.fromisoformat(text).year not in _YEARS:
        raise ValueError("the year is out of range")
    return text


def _check_uuid(value: Any) -> Any:
    """Refuse other spellings of a UUID: a receipt covers the text that was sent."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or str(UUID(value)) != value:
        raise ValueError("an id is a UUID of 36 characters, lower-case and hyphenated")
    return value


def decode(text: str) -> bytes:
    """Read base64url without padding."""
    return a2b_base64(text.encode().translate(_FROM_URL) + b"==")


def _show_instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _line(shortest: int, longest: int) -> Any:
    return StringConstraints(min_length=shortest, max_length=longest, pattern=PRINTABLE)


# Kept as the text that was sent: receipts cover the text, and `datetime.fromisoformat` reads it when needed.
InstantText = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$", max_length=32),
    AfterValidator(_check_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "example": "2026-11-24T08:00:00Z"}),
]
Count = Annotated[int, Field(strict=True, ge=0, le=COUNT_MAX)]
Number = Annotated[int, Field(strict=True, ge=1, le=NUMBER_MAX)]
Flag = Annotated[bool, Field(strict=True)]
Name = Annotated[str, _line(1, 200)]
Note = Annotated[str, _line(0, 2000)]
Nonce = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22}$")]
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
InstallationId = Annotated[UUID, BeforeValidator(_check_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]

Instant = Annotated[datetime, PlainSerializer(_show_instant), WithJsonSchema({"type": "string", "format": "date-time"})]


def _shown(prefix: str) -> Any:
    return WithJsonSchema({"type": "string", "example": ids.show(prefix, UUID(int=0x0190F5FE_C4F5_7000_8000 << 48))})


Email = Annotated[
    str,
    StringConstraints(
        max_length=254, strip_whitespace=True, to_lower=True, pattern=r"^[!-?A-~]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,63}$"
    ),
    WithJsonSchema({"type": "string", "format": "email", "example": "maria@adriatica.example"}),
]
KIND_SCHEMA = {"type": "string", "enum": sorted(KINDS)}
# Asked for: one that there is. Told: also one that a client made from this contract does not know yet.
WantedKind = Annotated[EventKind, WithJsonSchema(KIND_SCHEMA)]
ToldKind = Annotated[str, WithJsonSchema({"anyOf": [KIND_SCHEMA, {"type": "string"}]})]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Language = Literal["it", "en"]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.-]{1,40}$")]
Secret = Annotated[
    str, StringConstraints(min_length=1, max_length=200), WithJsonSchema({"type": "string", "format": "password"})
]

CommandIdText = Annotated[str, _shown("command")]
RefusalIdText = Annotated[str, _shown("refusal")]
KeyIdText = Annotated[str, _shown("key")]
SiteIdText = Annotated[str, _shown("site")]
ReportIdText = Annotated[str, _shown("report")]
StatementIdText = Annotated[str, _shown("statement")]
PriceListIdText = Annotated[str, _shown("price_list")]
MspIdText = Annotated[str, _shown("msp")]
DistributorIdText = Annotated[str, _shown("distributor")]
RegistrationIdText = Annotated[str, _shown("registration")]
DocumentIdText = Annotated[str, _shown("document")]
UserIdText = Annotated[str, _shown("user")]
InvitationIdText = Annotated[str, _shown("invitation")]
SessionIdText = Annotated[str, _shown("session")]
TokenIdText = Annotated[str, _shown("token")]
ReplacementIdText = Annotated[str, _shown("replacement")]
EndpointIdText = Annotated[str, _shown("endpoint")]
DeliveryIdText = Annotated[str, _shown("delivery")]
EventIdText = Annotated[str, _shown("event")]
AuditIdText = Annotated[str, _shown("audit")]
LetterIdText = Annotated[str, _shown("letter")]
