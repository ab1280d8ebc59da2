"""The lease: the service's signed word that this installation may work, checked offline. Pure.

A genuine lease cannot be made without the service's key, moved to another installation, or kept beyond its
end; one that is refused is refused for a named reason. Restore never depends on it.
"""

import binascii
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from site_manager.wire import from_base64url

ALGORITHMS: Final = ("Ed25519", "EdDSA")
SKEW: Final = timedelta(minutes=5)
TOKEN_MAX: Final = 16_384

Reason = Literal["malformed", "algorithm", "key_unknown", "forged", "foreign", "future", "expired"]
KeyRing = Mapping[str, OKPKey]


@dataclass(frozen=True, slots=True)
class Lease:
    """What a genuine lease says."""

    state: str
    types: tuple[str, ...]
    through: int
    receipt: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LeaseRefused:
    """A lease that counts nothing, and why."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Permission:
    """What the site may do now."""

    new_agents: bool
    backups: bool
    restore: Literal[True] = True


def read_key_ring(jwks: str) -> dict[str, OKPKey]:
    """The Ed25519 keys of a JWKS document by their `kid`; keys of other kinds are passed over."""
    try:
        keys = json.loads(jwks)["keys"]
        return {key["kid"]: _public_key(key) for key in keys if key.get("crv") == "Ed25519" and "kid" in key}
    except (ValueError, KeyError, TypeError, AttributeError, JoseError):
        return {}


def _public_key(key: dict[str, Any]) -> OKPKey:
    # Only what is public: a document that holds more must not turn into a private key here.
    return OKPKey.import_key({name: key[name] for name in ("kty", "crv", "x", "kid")})


def check_lease(token: str, keys: KeyRing, *, installation_id: str, key_id: str, now: datetime) -> Lease | LeaseRefused:
    """The lease, if its signature is the service's and it is this installation's, this key's and of now."""
    header = _header(token)
    if header is None:
        return LeaseRefused("malformed")
    if header.get("alg") not in ALGORITHMS:
        return LeaseRefused("algorithm")
    key = keys.get(str(header.get("kid")))
    if key is None:
        return LeaseRefused("key_unknown")
    payload = _verified(token, key)
    if payload is None:
        return LeaseRefused("forged")
    return _judge(payload, installation_id, key_id, now)


def _header(token: str) -> dict[str, Any] | None:
    try:
        if len(token) > TOKEN_MAX or token.count(".") != 2:
            return None
        header = json.loads(from_base64url(token.partition(".")[0]))
    except (ValueError, binascii.Error):
        return None
    return header if isinstance(header, dict) else None


def _verified(token: str, key: OKPKey) -> bytes | None:
    try:
        with warnings.catch_warnings():
            # joserfc warns of the name EdDSA; the key is Ed25519, so both names mean one algorithm.
            warnings.simplefilter("ignore")
            return jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload
    except (JoseError, ValueError):
        return None


def _judge(payload: bytes, installation_id: str, key_id: str, now: datetime) -> Lease | LeaseRefused:
    try:
        claims = json.loads(payload)
        subject, key = claims["sub"], claims["key"]
        lease = Lease(
            state=str(claims["state"]),
            types=tuple(str(name) for name in claims["types"]),
            through=int(claims["through"]),
            receipt=str(claims["receipt"]),
            issued_at=datetime.fromtimestamp(claims["iat"], UTC),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return LeaseRefused("malformed")
    if subject != installation_id or key != key_id:
        return LeaseRefused("foreign")
    if lease.issued_at > now + SKEW:
        return LeaseRefused("future")
    return LeaseRefused("expired") if lease.expires_at <= now else lease


def permission(state: str | None, lease: Lease | None) -> Permission:
    """What the state last told and the lease in hand (None: none that holds now) allow."""
    if state == "active":
        return Permission(new_agents=lease is not None, backups=lease is not None)
    if state == "suspended":
        return Permission(new_agents=False, backups=lease is not None)
    return Permission(new_agents=False, backups=False)
