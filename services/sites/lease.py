"""The lease, which a site can check offline: when it is due, how long it lasts, what it says. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services import ids
from services.signing import SigningKey

_TYPES = ("server", "workstation", "server_plus")


def renew_after(heartbeat_seconds: int, disable_after_seconds: int) -> timedelta:
    """Give S, the age at which a lease is renewed."""
    return timedelta(seconds=max(disable_after_seconds // 14, heartbeat_seconds))


def expires_at(issued_at: datetime, heartbeat_seconds: int, disable_after_seconds: int) -> datetime:
    """Give the end: never before the published date of disabling, at most 2 S after it."""
    spare = 2 * renew_after(heartbeat_seconds, disable_after_seconds)
    return issued_at + timedelta(seconds=disable_after_seconds) + spare


def lease_may_end_at(renew_at: datetime, heartbeat_seconds: int, disable_after_seconds: int) -> datetime:
    """Give the latest end of the lease in hand, from when it is to be renewed."""
    issued_at = renew_at - renew_after(heartbeat_seconds, disable_after_seconds)
    return expires_at(issued_at, heartbeat_seconds, disable_after_seconds)


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What a lease states of one installation."""

    installation_id: UUID
    key_id: UUID
    state: str
    through: int
    receipt: bytes
    heartbeat_seconds: int
    disable_after_seconds: int


@dataclass(frozen=True, slots=True)
class LeaseSigner:
    """Signs leases in the service's name."""

    issuer: str
    key: SigningKey

    def sign(self, terms: LeaseTerms, now: datetime) -> str:
        """Give the lease as a compact JWS."""
        expiry = expires_at(now, terms.heartbeat_seconds, terms.disable_after_seconds)
        claims = {
            "iss": self.issuer,
            "sub": str(terms.installation_id),
            "key": ids.show("key", terms.key_id),
            "state": terms.state,
            "types": _TYPES,
            "restore": "always",
            "through": terms.through,
            "receipt": terms.receipt.hex(),
            "iat": int(now.timestamp()),
            "exp": int(expiry.timestamp()),
        }
        return self.key.sign(json.dumps(claims, separators=(",", ":")).encode())
