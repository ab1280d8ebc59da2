"""Errands: what a heartbeat brings or fetches besides usage. Rare, done one by one, under the line's lock.

`waiting` in the line's row says that something is there: a letter that the site is back, a look at a clone.
A heartbeat without errands pays nothing for them.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.sites import clones, flags, letters, standing
from services.sites.heartbeat import Accepted, Heartbeat, Repeat
from services.sites.ladder import Rung
from services.sites.tables import SilenceTimer
from services.usage import Line, LineId, UsageEntry

LOST_ALLOWED = 1


@dataclass(frozen=True, slots=True)
class Errand:
    """A heartbeat that was accepted, now or before."""

    line_id: LineId
    waiting: bool
    beat: Heartbeat
    outcome: Accepted | Repeat
    now: datetime


def needed(errand: Errand) -> bool:
    """Tell whether there is anything to do."""
    return errand.waiting or _lost(errand)


async def run(db: AsyncSession, errand: Errand) -> None:
    """Do what is to be done; a repeat has brought nothing new."""
    if not isinstance(errand.outcome, Accepted):
        return
    if _lost(errand):
        await _look_at_lost(db, errand)
    if errand.waiting:
        await _tell_back(db, errand)
        await _look_for_clone(db, errand)
        site_id, installation_id, line = errand.line_id
        own = (Line.site_id == site_id, Line.installation_id == installation_id, Line.line == line)
        await db.execute(update(Line).where(*own).values(waiting=False))


async def _look_at_lost(db: AsyncSession, errand: Errand) -> None:
    """Flag a site whose spool was truncated more than once."""
    site_id, installation_id, _ = errand.line_id
    told = select(func.count()).where(
        UsageEntry.site_id == site_id, UsageEntry.installation_id == installation_id, UsageEntry.kind == "lost"
    )
    count = await db.scalar(told) or 0
    if count > LOST_ALLOWED:
        await flags.raise_flag(db, site_id, flags.IMPLAUSIBLE, f"changes were lost {count} times", errand.now)


async def _tell_back(db: AsyncSession, errand: Errand) -> None:
    """A silence that had been told of is over: say so, and begin at the foot of the ladder."""
    site_id, installation_id, _ = errand.line_id
    key = await keys.of_site_for_update(db, site_id)
    timer = await db.get(SilenceTimer, (site_id, installation_id), with_for_update=True, populate_existing=True)
    if timer is None or timer.rung == Rung.WARN:
        return
    await letters.tell_back(db, key, errand.now)
    await standing.arm(db, key, installation_id, errand.now)


async def _look_for_clone(db: AsyncSession, errand: Errand) -> None:
    site_id, installation_id, line = errand.line_id
    origin = errand.beat.origin
    await clones.sighted(
        db,
        site_id,
        installation_id,
        line,
        address=origin.address if origin else None,
        hostname=origin.hostname if origin else None,
        now=errand.now,
    )
    key = await keys.of_site_for_update(db, site_id)
    await clones.look(db, key, installation_id, line, errand.now)


def _lost(errand: Errand) -> bool:
    return isinstance(errand.outcome, Accepted) and any(one.entry.kind == "lost" for one in errand.outcome.new)
