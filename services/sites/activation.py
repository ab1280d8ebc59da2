"""Activation: an installation binds itself to a key. Every row of the protocol's table is a branch below."""

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
from services.sites import first_time, refusals, seats, standing
from services.sites.binding import Activation, bind, newest_line
from services.sites.echo import Echo
from services.sites.intake import Desk
from services.sites.lease import LeaseTerms, renew_after
from services.sites.steering import next_heartbeat_seconds
from services.sites.tables import Installation
from services.usage import Line

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


WORTH_KEEPING = (KeyAlreadyBound, CredentialMismatch, seats.SeatsExhausted)


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


async def activate(
    db: AsyncSession, desk: Desk, request: Activation, now: datetime, *, address: str | None = None
) -> Activated:
    """Bind an installation to its key, or give the binding it has.

    The key's row lock makes it one of any number at once. Raises `KeyUnknown`, `KeyMalformed`, `KeySuspended`,
    `KeyRevoked`, `MspNotApproved`, `VersionUnsupported`, and those `WORTH_KEEPING`: `KeyAlreadyBound`,
    `CredentialMismatch`, `SeatsExhausted`, which have been written down for the MSP when they are raised.
    """
    if request.product == standing.SITE_MANAGER:
        _check_version(request.version)
    code_hash = keys.hash_of_code(desk.vault, request.license_key)
    known = await standing.take_turn(db, code_hash)
    if known is None:
        raise keys.KeyUnknown
    if request.product == standing.SITE_MANAGER:
        usual = await first_time.bind(db, known, code_hash, request, now, address=address)
        if usual is not None:
            return _activated(desk, known, *usual, now, first=True)
    await standing.lock_lines_of(db, known.site_id)
    key = await keys.find_for_update(db, code_hash)
    await _check_allowed(db, key)
    policy = await keys.policy_of_key(db, key, now)
    try:
        bound = await _bound(db, key, request, now)
    except WORTH_KEEPING as refusal:
        await refusals.keep(db, key, request, refusal.code, address=address, now=now)
        raise
    if bound is None:
        line = await bind(db, key, request, policy, now, address=address)
        await refusals.settle(db, key, request)
    else:
        line = await newest_line(db, key.site_id, bound.installation_id)
        line.renew_lease_at = now + renew_after(line.heartbeat_seconds, line.disable_after_seconds)
    return _activated(desk, key, line, policy, now, first=bound is None)


def _check_version(version: str) -> None:
    major = version.partition(".")[0]
    if not (major.isascii() and major.isdigit()) or int(major) < OLDEST_SITE_MANAGER:
        raise VersionUnsupported(pointer="/version")


async def _check_allowed(db: AsyncSession, key: Key) -> None:
    if key.revoked_at is not None:
        raise KeyRevoked
    if key.state is KeyState.SUSPENDED:
        raise KeySuspended
    await partners.approved_msp(db, key.msp_id)


async def _bound(db: AsyncSession, key: Key, request: Activation, now: datetime) -> Installation | None:
    """Give the binding that the request repeats; None if it is a new one. Raises what stands against either."""
    own = await db.get(Installation, (key.site_id, request.installation_id), populate_existing=True)
    live = own is not None and own.ended_at is None and own.released_at is None
    if request.product == standing.SITE_MANAGER:
        holder = await _site_manager_of(db, key)
        taken = await refusals.held_for_another(db, key, request, now) if holder is None else holder is not own
        if taken:
            raise KeyAlreadyBound(pointer="/license_key")
    if own is None or not live:
        if request.product == seats.STANDALONE and not await seats.free(db, key, now):
            raise seats.SeatsExhausted(pointer="/license_key")
        return None
    if own.product != request.product or not same(own.credential_sha256, request.credential_sha256):
        raise CredentialMismatch(pointer="/credential_sha256")
    return own


async def _site_manager_of(db: AsyncSession, key: Key) -> Installation | None:
    return await db.scalar(
        select(Installation).where(
            Installation.site_id == key.site_id,
            Installation.key_id == key.id,
            Installation.product == standing.SITE_MANAGER,
            Installation.released_at.is_(None),
        )
    )


def _activated(desk: Desk, key: Key, line: Line, policy: Policy, now: datetime, *, first: bool) -> Activated:
    # Once a heartbeat was accepted no echo is given: a clone could ask its way into step.
    first_echo = Echo(line.line, 0, 0).seal(desk.vault, key.site_id, line.installation_id)
    terms = LeaseTerms(
        installation_id=line.installation_id,
        key_id=key.id,
        state=key.state,
        through=line.through,
        receipt=line.receipt,
        heartbeat_seconds=line.heartbeat_seconds,
        disable_after_seconds=line.disable_after_seconds,
    )
    return Activated(
        first=first,
        site_id=key.site_id,
        key_id=key.id,
        installation_id=line.installation_id,
        state=key.state,
        policy=policy,
        echo=first_echo if line.sequence == 0 else None,
        through=line.through,
        receipt=line.receipt,
        lease=desk.signer.sign(terms, now) if key.state is KeyState.ACTIVE else None,
        server_time=now,
        next_heartbeat_seconds=next_heartbeat_seconds(line.installation_id, line.heartbeat_seconds, now),
    )
