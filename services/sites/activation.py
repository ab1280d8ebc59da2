"""Activation: one Site Manager binds itself to a key. Every row of the protocol's table is a branch below."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.errors import Kind, Refusal
from services.keys import Key, KeyState
from services.partners import Policy
from services.signing import same
from services.sites import standing
from services.sites.echo import Echo
from services.sites.intake import Desk
from services.sites.lease import LeaseTerms, renew_after
from services.sites.steering import next_heartbeat_seconds
from services.sites.tables import Installation
from services.usage import Line, first_receipt

OLDEST_SITE_MANAGER = 7


class KeyAlreadyBound(Refusal):
    """Another Site Manager is bound to this key. Ask your MSP to release it, then activate again."""

    kind = Kind.CONFLICT
    code = "key_already_bound"


class CredentialMismatch(Refusal):
    """This installation is bound with another credential. Ask your MSP to release the key, then activate again."""

    kind = Kind.CONFLICT
    code = "credential_mismatch"


class KeySuspended(Refusal):
    """This key is suspended. Ask your MSP."""

    kind = Kind.FORBIDDEN
    code = "key_suspended"


class KeyRevoked(Refusal):
    """This key was revoked. Ask your MSP for a new one."""

    kind = Kind.FORBIDDEN
    code = "key_revoked"


class VersionUnsupported(Refusal):
    """This Site Manager is older than version 7. Update it, then activate again."""

    kind = Kind.INVALID
    code = "version_unsupported"


@dataclass(frozen=True, slots=True)
class Activation:
    """A well-formed request to activate. The secret itself is not in it, only its SHA-256."""

    license_key: str
    installation_id: UUID
    credential_sha256: bytes
    public_key: bytes
    product: str
    version: str
    hostname: str
    name: str | None = None
    timezone: str | None = None
    console_url: str | None = None


@dataclass(frozen=True, slots=True)
class Activated:
    """The binding, as the site is told it; `first` tells a new one from a repeat."""

    first: bool
    site_id: UUID
    key_id: UUID
    installation_id: UUID
    state: KeyState
    policy: Policy
    echo: str | None
    through: int
    receipt: bytes
    lease: str | None
    server_time: datetime
    next_heartbeat_seconds: int


async def activate(db: AsyncSession, desk: Desk, request: Activation, now: datetime) -> Activated:
    """Bind an installation to its key, or give the binding it has.

    The key's row lock makes it one of any number at once. Raises `KeyUnknown`, `KeyMalformed`, `KeyAlreadyBound`,
    `CredentialMismatch`, `KeySuspended`, `KeyRevoked`, `MspNotApproved`, `VersionUnsupported`.
    """
    _check_version(request.version)
    key = await keys.find_for_update(db, desk.vault, request.license_key)
    if key.revoked_at is not None:
        raise KeyRevoked
    if key.suspended_at is not None:
        raise KeySuspended
    await partners.approved_msp(db, key.msp_id)
    policy = await partners.policy_of_msp(db, key.msp_id, now)
    bound = await _bound_to(db, key)
    if bound is None:
        line = await _bind(db, key, request, policy, now)
    else:
        _check_same(bound, request)
        line = await db.get_one(Line, (key.site_id, bound.installation_id, 0))
    return _activated(desk, key, line, policy, now, first=bound is None)


def _check_version(version: str) -> None:
    major = version.partition(".")[0]
    if not (major.isascii() and major.isdigit()) or int(major) < OLDEST_SITE_MANAGER:
        raise VersionUnsupported(pointer="/version")


def _check_same(bound: Installation, request: Activation) -> None:
    if bound.installation_id != request.installation_id:
        raise KeyAlreadyBound(pointer="/license_key")
    if not same(bound.credential_sha256, request.credential_sha256):
        raise CredentialMismatch(pointer="/credential_sha256")


async def _bound_to(db: AsyncSession, key: Key) -> Installation | None:
    return await db.scalar(
        select(Installation).where(
            Installation.site_id == key.site_id,
            Installation.key_id == key.id,
            Installation.product == "site_manager",
            Installation.released_at.is_(None),
        )
    )


async def _bind(db: AsyncSession, key: Key, request: Activation, policy: Policy, now: datetime) -> Line:
    installation = Installation(
        site_id=key.site_id,
        installation_id=request.installation_id,
        key_id=key.id,
        product=request.product,
        credential_sha256=request.credential_sha256,
        public_key=request.public_key,
        version=request.version,
        hostname=request.hostname,
        name=request.name,
        timezone=request.timezone,
        console_url=request.console_url,
        activated_at=now,
        released_at=None,
    )
    keys.activate(db, key, now=now, actor="site")
    line = _first_line(installation, key.state, policy, now)
    db.add_all([installation, line])
    await db.flush()
    await standing.arm(db, key.site_id, request.installation_id, now + policy.disable_after)
    return line


def _first_line(installation: Installation, state: KeyState, policy: Policy, now: datetime) -> Line:
    renewed_after = renew_after(policy.heartbeat_seconds, policy.disable_after_seconds)
    return Line(
        site_id=installation.site_id,
        installation_id=installation.installation_id,
        line=0,
        credential_sha256=installation.credential_sha256,
        key_id=installation.key_id,
        product=installation.product,
        told_state=state,
        heartbeat_seconds=policy.heartbeat_seconds,
        disable_after_seconds=policy.disable_after_seconds,
        sequence=0,
        through=0,
        receipt=first_receipt(str(installation.installation_id)),
        said_more=False,
        last_contact_at=now,
        last_entry_at=now,
        begins_at=now,
        renew_lease_at=now + renewed_after,
        waiting=False,
    )


def _activated(desk: Desk, key: Key, line: Line, policy: Policy, now: datetime, *, first: bool) -> Activated:
    terms = LeaseTerms(
        installation_id=line.installation_id,
        key_id=key.id,
        state=key.state,
        through=line.through,
        receipt=line.receipt,
        heartbeat_seconds=line.heartbeat_seconds,
        disable_after_seconds=line.disable_after_seconds,
    )
    # Once a heartbeat was accepted no echo is given: a clone could ask its way into step.
    echo = Echo(0, 0, 0).seal(desk.vault, key.site_id, line.installation_id) if line.sequence == 0 else None
    return Activated(
        first=first,
        site_id=key.site_id,
        key_id=key.id,
        installation_id=line.installation_id,
        state=key.state,
        policy=policy,
        echo=echo,
        through=line.through,
        receipt=line.receipt,
        lease=desk.signer.sign(terms, now) if key.state is KeyState.ACTIVE else None,
        server_time=now,
        next_heartbeat_seconds=next_heartbeat_seconds(line.installation_id, line.heartbeat_seconds, now),
    )
