"""What a request that cannot be carried out raises: a kind, a code, and a docstring that is its message.

Codes are the contract: an error keeps its code for ever. Which HTTP status a kind becomes is decided in
`license_api.problems` alone. An *expected* no (a refused seat, a late change) is a value, not an error.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum


class Kind(StrEnum):
    """Why a request was not carried out, in words that every front door can translate."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    ABSENT = "absent"
    CONFLICT = "conflict"
    STALE = "stale"
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


class Refusal(Exception):
    """The request cannot be carried out."""

    kind: Kind
    code: str

    def __init__(
        self,
        detail: str | None = None,
        *,
        pointer: str | None = None,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        """Tell more: `pointer` (JSON pointer to the field), seconds to wait, headers and members for the answer."""
        self.detail = detail or (self.__doc__ or "").strip().partition("\n")[0]
        self.pointer = pointer
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.members = members
        super().__init__(self.detail)


class Invalid(Refusal):
    """The request is not one that the contract allows."""

    kind = Kind.INVALID
    code = "request_invalid"


class Absent(Refusal):
    """There is no such thing, or not for you."""

    kind = Kind.ABSENT
    code = "not_found"


class Unauthenticated(Refusal):
    """The credential is missing, wrong or expired."""

    kind = Kind.UNAUTHENTICATED
    code = "credential_invalid"


class Unavailable(Refusal):
    """The service cannot answer just now. Try again later; nothing is lost."""

    kind = Kind.UNAVAILABLE
    code = "unavailable"


class TooManyAttempts(Refusal):
    """Too many failed attempts from this address. Wait and try again."""

    kind = Kind.TOO_MANY
    code = "too_many_attempts"


class TooManyRequests(Refusal):
    """Too many requests. The RateLimit headers say how many there may be, and Retry-After when to go on."""

    kind = Kind.TOO_MANY
    code = "too_many_requests"


class ChangedMeanwhile(Refusal):
    """It has changed since you read it. Read it again before you change it."""

    kind = Kind.STALE
    code = "changed_meanwhile"


class BodyTooLarge(Refusal):
    """The body is larger than the service reads."""

    kind = Kind.TOO_LARGE
    code = "body_too_large"


def every_refusal() -> Iterator[type[Refusal]]:
    """Every error there is, once all features are imported; for the contract and its tests."""
    waiting = list(Refusal.__subclasses__())
    while waiting:
        refusal = waiting.pop()
        waiting.extend(refusal.__subclasses__())
        yield refusal
