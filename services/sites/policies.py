"""Policies at work: a change is written into the lines that it concerns, and can be tried on the fleet before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.keys import Key, KeyState
from services.partners import Level, Msp, Policy, Role
from services.sites import standing
from services.sites.pulse import outages
from services.sites.silence import deadline
from services.sites.tables import Installation, SilenceTimer
from services.usage import Line


@dataclass(frozen=True, slots=True)
class WouldDisable:
    """A site that a policy would disable now."""

    site_id: UUID
    name: str
    msp: str
    last_contact_at: datetime
    since_at: datetime


async def tell(db: AsyncSession, key: Key, now: datetime) -> None:
    """Write the policy in force into a site's lines, and have its silences judged by it at the next sweep.

    The caller holds the locks of the site's lines and key.
    """
    policy = await keys.policy_of_key(db, key, now)
    other = (Line.heartbeat_seconds != policy.heartbeat_seconds) | (
        Line.disable_after_seconds != policy.disable_after_seconds
    )
    told = {
        "heartbeat_seconds": policy.heartbeat_seconds,
        "disable_after_seconds": policy.disable_after_seconds,
        # The lease in hand may end before the new date of disabling.
        "renew_lease_at": now,
    }
    lines = update(Line).where(Line.site_id == key.site_id, other).values(told)
    await db.execute(lines.execution_options(synchronize_session=False))
    timers = update(SilenceTimer).where(SilenceTimer.site_id == key.site_id, SilenceTimer.held_at.is_(None))
    await db.execute(timers.values(due_at=now))


async def tell_msp(db: AsyncSession, msp_id: UUID, now: datetime) -> None:
    """Tell all sites of an MSP, in the order of their ids."""
    for site_id in await db.scalars(select(Key.site_id).where(Key.msp_id == msp_id).order_by(Key.site_id)):
        await tell(db, await standing.lock(db, site_id), now)


async def change(
    db: AsyncSession,
    who: Role,
    level: Level,
    subject_id: UUID,
    *,
    values: Mapping[str, int | None],
    actor: str,
    now: datetime,
) -> list[UUID]:
    """Change a level's policy; gives the MSPs whose sites are to be told of it (`tell_msp`), in order.

    Raises `PolicyNotYours`, `PolicyOutOfBounds`.
    """
    if not await partners.change_policy(db, who, level, subject_id, values=values, actor=actor, now=now):
        return []
    if level == "msp":
        return [subject_id]
    found = list(await db.scalars(select(Msp.id).order_by(Msp.id)))
    if level == "programme":
        return found
    return [one for one in found if await partners.distributor_of(db, one, now) == subject_id]


async def change_of_key(
    db: AsyncSession, who: Role, site_id: UUID, *, values: dict[str, int | None], actor: str, now: datetime
) -> Policy:
    """Change a key's own values, and tell its site; gives the policy then in force.

    Raises `PolicyNotYours`, `PolicyOutOfBounds`.
    """
    await partners.check_values(db, who, values)
    key = await standing.lock(db, site_id)
    before = await keys.set_key_policy(db, key, values)
    if before != values:
        partners.record_change(db, "key", key.id, before=before, after=values, actor=actor, now=now)
        await tell(db, key, now)
    return await keys.policy_of_key(db, key, now)


async def dry_run(
    db: AsyncSession, disable_after: timedelta, now: datetime, *, msp_id: UUID | None = None
) -> list[WouldDisable]:
    """Give the active sites that would be disabled now if this were the silence that disables, longest first."""
    query = (
        select(Key, Msp.name, Line.last_contact_at)
        .join(Msp, Msp.id == Key.msp_id)
        .join(Installation, (Installation.site_id == Key.site_id) & (Installation.key_id == Key.id))
        .join(Line, (Line.site_id == Key.site_id) & (Line.installation_id == Installation.installation_id))
        .where(Installation.product == standing.SITE_MANAGER, Installation.ended_at.is_(None))
        .where(Key.disabled_at.is_(None), Key.activated_at.is_not(None))
    )
    rows = (await db.execute(query if msp_id is None else query.where(Key.msp_id == msp_id))).all()
    heard: dict[UUID, tuple[Key, str, datetime]] = {}
    for key, msp, contact in rows:
        if key.site_id not in heard or heard[key.site_id][2] < contact:
            heard[key.site_id] = key, msp, contact
    own = await outages(db, min((one[2] for one in heard.values()), default=now), now)
    found = [
        WouldDisable(key.site_id, key.name, msp, contact, deadline(contact, disable_after, own))
        for key, msp, contact in heard.values()
        if key.state is KeyState.ACTIVE
    ]
    return sorted((one for one in found if one.since_at <= now), key=lambda one: (one.since_at, one.name))
