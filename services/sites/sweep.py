"""The sweep: disables the keys of sites that stayed silent too long, and nothing else does.

It costs by the timers that are due, not by the sites: a timer that fires for a site that has been heard is armed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.sites import standing
from services.sites.pulse import outages
from services.sites.silence import deadline, silence
from services.sites.tables import SilenceTimer
from services.usage import Line


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did."""

    disabled: int
    rearmed: int


async def next_timer_at(db: AsyncSession) -> datetime | None:
    """Give when the sweep has something to look at next."""
    return await db.scalar(select(SilenceTimer.due_at).order_by(SilenceTimer.due_at).limit(1))


async def sweep(db: AsyncSession, now: datetime, *, limit: int = 500) -> Swept:
    """Look at up to `limit` timers that are due; both zero when there are none left.

    The silence is judged again under the lines' locks, so that a heartbeat in between wins, and the key is disabled
    as of the deadline, whenever the sweep runs.
    """
    timers = await _due(db, now, limit)
    heard = await _last_contacts(db, timers)
    since = min((line.last_contact_at for line in heard.values()), default=now)
    own = await outages(db, since, now)
    disabled = 0
    for timer in timers:
        line = heard[timer.site_id, timer.installation_id]
        allowed = timedelta(seconds=line.disable_after_seconds)
        if silence(line.last_contact_at, now, own) >= allowed:
            await _disable(db, timer, deadline(line.last_contact_at, allowed, own), now)
            disabled += 1
        else:
            timer.due_at = deadline(line.last_contact_at, allowed, own)
    await db.flush()
    return Swept(disabled, len(timers) - disabled)


async def _due(db: AsyncSession, now: datetime, limit: int) -> Sequence[SilenceTimer]:
    due = select(SilenceTimer).where(SilenceTimer.due_at <= now).order_by(SilenceTimer.due_at).limit(limit)
    return (await db.scalars(due.with_for_update(skip_locked=True))).all()


async def _last_contacts(db: AsyncSession, timers: Sequence[SilenceTimer]) -> dict[tuple[UUID, UUID], Line]:
    """Lock the lines of the installations whose timers fired; give for each the line that was heard last."""
    wanted = [(timer.site_id, timer.installation_id) for timer in timers]
    rows = await db.scalars(
        select(Line)
        .where(tuple_(Line.site_id, Line.installation_id).in_(wanted))
        .order_by(Line.site_id, Line.installation_id, Line.line)
        .with_for_update()
    )
    heard: dict[tuple[UUID, UUID], Line] = {}
    for row in rows:
        known = heard.get((row.site_id, row.installation_id))
        if known is None or row.last_contact_at > known.last_contact_at:
            heard[row.site_id, row.installation_id] = row
    return heard


async def _disable(db: AsyncSession, timer: SilenceTimer, at: datetime, now: datetime) -> None:
    key = await keys.of_site_for_update(db, timer.site_id)
    keys.disable(db, key, at=at, now=now)
    await standing.tell(db, key)
    await db.delete(timer)
