"""Who asks: a person or a program of the vendor, a distributor or an MSP, and what it may do. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services import ids
from services.errors import Kind, Refusal

VENDOR_ID = UUID(int=0)


class PartnerKind(StrEnum):
    """The three kinds of partner."""

    VENDOR = "vendor"
    DISTRIBUTOR = "distributor"
    MSP = "msp"


class Role(StrEnum):
    """What a person may do: read; work; also decide for good and manage people."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"


class Right(StrEnum):
    """What one may do; the scopes of a token are rights."""

    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    KEYS_ADMIN = "keys:admin"
    SITES_READ = "sites:read"
    SITES_WRITE = "sites:write"
    REPORTS_READ = "reports:read"
    REPORTS_WRITE = "reports:write"
    PARTNERS_READ = "partners:read"
    PARTNERS_WRITE = "partners:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    EVENTS_READ = "events:read"
    PEOPLE_READ = "people:read"
    PEOPLE_ADMIN = "people:admin"


# Managing people asks for a person: no token can be given these.
_OF_PEOPLE = frozenset({Right.PEOPLE_READ, Right.PEOPLE_ADMIN})
TOKEN_RIGHTS = frozenset(Right) - _OF_PEOPLE
_READ = frozenset(right for right in Right if right.endswith(":read"))
_MEMBER = _READ | {Right.KEYS_WRITE, Right.SITES_WRITE, Right.REPORTS_WRITE, Right.PARTNERS_WRITE}
_OF_ROLE = {Role.VIEWER: _READ, Role.MEMBER: _MEMBER, Role.ADMIN: frozenset(Right)}


class RightMissing(Refusal):
    """Your role, or your token's scopes, do not allow this."""

    kind = Kind.FORBIDDEN
    code = "right_missing"


class FreshSignInNeeded(Refusal):
    """This asks for a sign-in within the last ten minutes: confirm your password and try again."""

    kind = Kind.FORBIDDEN
    code = "fresh_sign_in_needed"


class TotpRequired(Refusal):
    """The vendor's people must set up a second factor before anything else."""

    kind = Kind.FORBIDDEN
    code = "totp_required"


class WrongPartner(Refusal):
    """This is not for your kind of partner."""

    kind = Kind.FORBIDDEN
    code = "wrong_partner"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the client's address and the request's id, for the audit log."""

    address: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, when, from where, and with which rights."""

    partner_id: UUID
    credential_id: UUID
    kind: PartnerKind = PartnerKind.MSP
    rights: frozenset[Right] = TOKEN_RIGHTS
    user_id: UUID | None = None
    fresh: bool = True
    must_enrol: bool = False
    at: datetime | None = None
    origin: Origin = Origin()
    name: str | None = None

    @property
    def actor(self) -> str:
        """How timelines and the audit log name it; `name` is for an operator, who has no credential."""
        if self.name is not None:
            return self.name
        return ids.show("user", self.user_id) if self.user_id else ids.show("token", self.credential_id)

    @property
    def msp_id(self) -> UUID:
        """The MSP that asks; raises `WrongPartner` for a distributor or the vendor."""
        return self.one_of(PartnerKind.MSP)

    def one_of(self, *kinds: PartnerKind) -> UUID:
        """Give the partner's id if it is of one of these kinds; raises `WrongPartner`."""
        if self.kind not in kinds:
            raise WrongPartner
        return self.partner_id

    def require(self, right: Right, *, grave: bool = False) -> None:
        """Let through who has the right, and for a grave act a fresh sign-in; raises a refusal that says which."""
        if self.must_enrol:
            raise TotpRequired
        if right not in self.rights:
            raise RightMissing(right=str(right))
        if grave and not self.fresh:
            raise FreshSignInNeeded

    def person(self) -> UUID:
        """Give the person who asks; raises `RightMissing` for a program."""
        if self.user_id is None:
            raise RightMissing("This is for people, not for programs.")
        return self.user_id


def rights_of(role: Role) -> frozenset[Right]:
    """Give the rights of a role."""
    return _OF_ROLE[role]
