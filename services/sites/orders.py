"""Orders: what a partner does to a key. Each is done once however often it is given, and is one row of the timeline.

Locks are taken in the order lines, key, timers; the lines are told of every change, so that the next heartbeat knows.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, keys, partners
from services.errors import Kind, Refusal
from services.ids import show
from services.keys import Key
from services.signing import Vault
from services.sites import refusals, standing
from services.sites.lease import lease_may_end_at
from services.sites.tables import Installation, SilenceTimer
from services.usage import Line, count_again, stop_counting

SNOOZED_MAX = timedelta(days=366)


class NothingToRelease(Refusal):
    """No Site Manager is bound to this key."""

    kind = Kind.CONFLICT
    code = "nothing_to_release"


class SnoozedTooLong(Refusal):
    """Warnings can be snoozed to a date in the future, at most a year away."""

    kind = Kind.INVALID
    code = "snoozed_too_long"


async def suspend(db: AsyncSession, site_id: UUID, *, reason: str, actor: str, now: datetime) -> Key:
    """Suspend a site's key until it is resumed; raises `KeyRevokedForGood`."""
    key = await standing.lock(db, site_id)
    if keys.suspend(db, key, reason=reason, actor=actor, now=now):
        await standing.tell(db, key)
    return key


async def resume(db: AsyncSession, site_id: UUID, *, actor: str, now: datetime) -> Key:
    """Take the suspension of a site's key back; raises `KeyRevokedForGood`."""
    key = await standing.lock(db, site_id)
    if keys.resume(db, key, actor=actor, now=now):
        await standing.tell(db, key)
    return key


async def revoke(db: AsyncSession, site_id: UUID, *, reason: str, actor: str, now: datetime) -> Key:
    """Revoke a site's key for good. It counts until the site has been told, at the latest until its lease ends."""
    lines = await standing.lock_lines_of(db, site_id)
    key = await keys.of_site_for_update(db, site_id)
    if keys.revoke(db, key, reason=reason, actor=actor, now=now):
        await standing.tell(db, key)
        ends: dict[UUID, datetime] = {}
        for line in lines:
            known = ends.get(line.installation_id, now)
            ends[line.installation_id] = max(known, _lease_end(line))
            await standing.disarm(db, site_id, line.installation_id)
        for installation_id, at in ends.items():
            await stop_counting(db, site_id, installation_id, at, "revoked")
    return key


async def rotate(
    db: AsyncSession, vault: Vault, site_id: UUID, *, replaces: str, actor: str, now: datetime
) -> tuple[Key, str]:
    """Give a site's key a new code; site, binding and line of the report stay. Raises `KeyAlreadyRotated`."""
    key = await standing.lock(db, site_id)
    was_revoked = key.revoked_at is not None
    code = keys.rotate(db, vault, key, replaces=replaces, actor=actor, now=now)
    if was_revoked:
        await standing.tell(db, key)
        for installation_id in await _entitled(db, site_id):
            await count_again(db, site_id, installation_id, now)
            await standing.arm(db, key, installation_id, now)
    return key, code


async def release(db: AsyncSession, site_id: UUID, *, actor: str, now: datetime) -> Key:
    """Release the binding, so that another Site Manager may activate; until it does the old one counts.

    Twice is once. Raises `NothingToRelease` if none was ever bound.
    """
    key = await standing.lock(db, site_id)
    found = await bound(db, key)
    if not found:
        raise NothingToRelease
    await refusals.open_to_any(db, key)
    for installation in found:
        if installation.released_at is None:
            installation.released_at = now
            keys.note(db, key, "released", actor=actor, now=now, reason=installation.hostname)
    await db.flush()
    return key


async def bound(db: AsyncSession, key: Key) -> list[Installation]:
    """Give the Site Managers that hold a key, also the released one that counts until it is succeeded."""
    found = await db.scalars(
        select(Installation)
        .where(
            Installation.site_id == key.site_id,
            Installation.key_id == key.id,
            Installation.product == standing.SITE_MANAGER,
            Installation.ended_at.is_(None),
        )
        .execution_options(populate_existing=True)
    )
    return list(found)


async def snooze(db: AsyncSession, site_id: UUID, *, until: datetime | None, actor: str, now: datetime) -> Key:
    """Send no warning of silence before an instant; None ends it. Raises `SnoozedTooLong`."""
    if until is not None and not now < until <= now + SNOOZED_MAX:
        raise SnoozedTooLong(pointer="/until")
    key = await standing.lock(db, site_id)
    if key.snoozed_until_at != until:
        key.snoozed_until_at = until
        keys.note(db, key, "snoozed" if until else "unsnoozed", actor=actor, now=now, reason=_show(until))
        first = (SilenceTimer.site_id == site_id, SilenceTimer.rung == "warn")
        await db.execute(update(SilenceTimer).where(*first).values(due_at=now))
    return key


async def suspend_msp(db: AsyncSession, msp_id: UUID, *, reason: str, actor: str, now: datetime) -> int:
    """Suspend an MSP: all its keys at once, and those it gets later; gives how many were changed. Twice is once."""
    msp = await _msp(db, msp_id)
    if msp.suspended_at is None:
        msp.suspended_at, msp.suspended_reason = now, reason
        await _tell_of_msp(db, msp_id, "msp.suspended", now)
    changed = 0
    for site_id in await _sites_of(db, msp_id):
        key = await standing.lock(db, site_id)
        if keys.suspend_with_msp(db, key, reason=msp.suspended_reason or reason, actor=actor, now=now):
            await standing.tell(db, key)
            changed += 1
    return changed


async def resume_msp(db: AsyncSession, msp_id: UUID, *, actor: str, now: datetime) -> int:
    """Take an MSP's suspension back; keys that were suspended of themselves stay so. Twice is once."""
    msp = await _msp(db, msp_id)
    if msp.suspended_at is not None:
        msp.suspended_at = msp.suspended_reason = None
        await _tell_of_msp(db, msp_id, "msp.resumed", now)
    changed = 0
    for site_id in await _sites_of(db, msp_id):
        key = await standing.lock(db, site_id)
        if keys.resume_with_msp(db, key, actor=actor, now=now):
            await standing.tell(db, key)
            changed += 1
    return changed


def _lease_end(line: Line) -> datetime:
    return lease_may_end_at(line.renew_lease_at, line.heartbeat_seconds, line.disable_after_seconds)


def _show(instant: datetime | None) -> str | None:
    return instant.isoformat().replace("+00:00", "Z") if instant else None


async def _entitled(db: AsyncSession, site_id: UUID) -> list[UUID]:
    rows = select(Installation.installation_id).where(Installation.site_id == site_id, Installation.ended_at.is_(None))
    return list(await db.scalars(rows.order_by(Installation.installation_id)))


async def _msp(db: AsyncSession, msp_id: UUID) -> partners.Msp:
    """Lock an MSP, but not for those who only name it: a key that is handed over to it holds its own locks already."""
    return await db.get_one(partners.Msp, msp_id, with_for_update={"key_share": True}, populate_existing=True)


async def _tell_of_msp(db: AsyncSession, msp_id: UUID, kind: delivery.EventKind, now: datetime) -> None:
    for partner_id in (msp_id, await partners.distributor_of(db, msp_id, now)):
        delivery.emit(db, partner_id=partner_id, kind=kind, subject={"msp": show("msp", msp_id)}, now=now)


async def _sites_of(db: AsyncSession, msp_id: UUID) -> list[UUID]:
    """In the order of their ids, so that two that do the same do not cross."""
    return list(await db.scalars(select(Key.site_id).where(Key.msp_id == msp_id).order_by(Key.site_id)))
