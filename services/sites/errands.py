"""Errands: what a heartbeat brings or fetches besides usage. Rare, done one by one, under the line's lock.

`waiting` in the line's row says that something is there: commands, a letter that the site is back, a look at a clone.
A heartbeat without errands pays nothing for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.sites import clones, commands, credentials, flags, letters, standing
from services.sites.command_tables import BackupSummary
from services.sites.commands import Command
from services.sites.heartbeat import Accepted, Extras, Heartbeat, Repeat
from services.sites.ladder import Rung
from services.sites.tables import SilenceTimer
from services.usage import Counts, Line, LineId, UsageEntry

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
    return errand.waiting or errand.beat.extras is not None or _lost(errand)


async def run(db: AsyncSession, errand: Errand) -> Sequence[Command]:
    """Do what is to be done; gives the commands that ride in the answer."""
    site_id, installation_id, _ = errand.line_id
    if errand.beat.extras is not None:
        await _take(db, errand, errand.beat.extras)
    if _lost(errand):
        await _look_at_lost(db, errand)
    if not errand.waiting:
        return ()
    if isinstance(errand.outcome, Accepted):
        await _tell_back(db, errand)
        await _look_for_clone(db, errand)
    found = await commands.waiting_for(db, site_id, installation_id, errand.now)
    if not found and isinstance(errand.outcome, Accepted):
        own = (Line.site_id == site_id, Line.installation_id == installation_id, Line.line == errand.line_id[2])
        await db.execute(update(Line).where(*own).values(waiting=False))
    return found


async def _take(db: AsyncSession, errand: Errand, extras: Extras) -> None:
    site_id, installation_id, _ = errand.line_id
    await commands.take_results(db, site_id, installation_id, extras.results, errand.now)
    if extras.next_credential_sha256 is not None:
        await credentials.offer(db, site_id, installation_id, extras.next_credential_sha256, errand.now)
    if extras.backups is not None:
        row = {"at": errand.now, **extras.backups}
        summary = insert(BackupSummary).values(site_id=site_id, installation_id=installation_id, **row)
        keys_ = ["site_id", "installation_id"]
        await db.execute(summary.on_conflict_do_update(index_elements=keys_, set_=row))
        counts = errand.outcome.head.counts or Counts(0, 0, 0)
        total = sum(extras.backups.values())
        if total > counts.total:
            detail = f"{total} backups of {counts.total} agents"
            await flags.raise_flag(db, site_id, flags.IMPLAUSIBLE, detail, errand.now)


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
