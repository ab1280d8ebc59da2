"""Policies at work: a change is written into the lines that it concerns, and can be tried on the fleet before."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.keys import Key, KeyState
from services.partners import Msp, Policy
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


async def change_of_key(
    db: AsyncSession, site_id: UUID, *, values: dict[str, int | None], actor: str, now: datetime
) -> Policy:
    """Change a key's own values, None taking one back, and tell its site; gives the policy then in force.

    Twice is once. Raises `PolicyOutOfBounds`.
    """
    partners.check_values(values)
    key = await standing.lock(db, site_id)
    before = await keys.set_key_policy(db, key, values)
    if before != values:
        changed = (f"{knob}: {_show(before[knob])} to {_show(value)}" for knob, value in values.items())
        keys.note(db, key, "policy_changed", actor=actor, now=now, reason="; ".join(changed))
        await tell(db, key, now)
    return await keys.policy_of_key(db, key, now)


async def dry_run(db: AsyncSession, now: datetime, disable_after: timedelta | None = None) -> list[WouldDisable]:
    """Give the active sites that silence would disable now, longest first: under the policies in force, or another."""
    rows = await db.execute(
        select(Key, Msp.name, func.max(Line.last_contact_at))
        .join(Msp, Msp.id == Key.msp_id)
        .join(Installation, (Installation.site_id == Key.site_id) & (Installation.key_id == Key.id))
        .join(Line, (Line.site_id == Key.site_id) & (Line.installation_id == Installation.installation_id))
        .where(Installation.product == standing.SITE_MANAGER, Installation.ended_at.is_(None))
        .where(Key.disabled_at.is_(None), Key.activated_at.is_not(None))
        .group_by(Key.site_id, Key.id, Msp.name)
    )
    heard = [(key, msp, contact) for key, msp, contact in rows if key.state is KeyState.ACTIVE]
    in_force = await keys.policies_of_keys(db, [key for key, _, _ in heard], now)
    own = await outages(db, min((contact for _, _, contact in heard), default=now), now)
    found = []
    for key, msp, contact in heard:
        since_at = deadline(contact, disable_after or in_force[key.site_id].disable_after, own)
        found.append(WouldDisable(key.site_id, key.name, msp, contact, since_at))
    return sorted((one for one in found if one.since_at <= now), key=lambda one: (one.since_at, one.name))


def _show(value: int | None) -> str:
    return "as the MSP's" if value is None else str(value)
