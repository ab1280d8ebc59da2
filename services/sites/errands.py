"""Errands: what a heartbeat brings or fetches besides usage. Rare, done one by one, under the line's lock.

`waiting` in the line's row says that something is there: a command, a letter that the site is back, a look at a clone
or at an inventory. A heartbeat without errands pays nothing for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.sites import clones, commands, credentials, flags, inventory, letters, standing
from services.sites.administration_tables import Command
from services.sites.findings import Backups, Lost
from services.sites.heartbeat import Accepted, Heartbeat, Repeat
from services.sites.ladder import Rung
from services.sites.tables import SilenceTimer
from services.usage import Line, LineId, UsageEntry

LOST_ALLOWED = 1


@dataclass(frozen=True, slots=True)
class Errand:
    """A heartbeat that was accepted, now or before; `took_over` if it came with the next credential."""

    line_id: LineId
    waiting: bool
    took_over: bool
    beat: Heartbeat
    outcome: Accepted | Repeat
    now: datetime


@dataclass(slots=True)
class Fetched:
    """What the answer holds for it."""

    commands: Sequence[Command] = ()
    notices: list[dict[str, Any]] = field(default_factory=list)


def needed(errand: Errand) -> bool:
    """Tell whether there is anything to do."""
    beat = errand.beat
    brings = beat.results or beat.next_credential_sha256 or _too_many_backups(beat)
    return bool(errand.waiting or errand.took_over or brings or _lost(errand))


async def run(db: AsyncSession, errand: Errand) -> Fetched:
    """Do what is to be done; a repeat has brought nothing new."""
    fetched = Fetched()
    if errand.took_over:
        await credentials.take_over(db, errand.line_id, errand.beat.bearer.credential_sha256, errand.now)
    if not isinstance(errand.outcome, Accepted):
        return fetched
    await _bring(db, errand, fetched)
    if errand.waiting:
        await _tell_back(db, errand)
        await _look_for_clone(db, errand)
        await inventory.compare(db, errand.line_id, errand.beat.deployed, errand.now)
        site_id, installation_id, line = errand.line_id
        own = (Line.site_id == site_id, Line.installation_id == installation_id, Line.line == line)
        await db.execute(update(Line).where(*own).values(waiting=False))
        fetched.commands = await commands.ride(db, errand.line_id, errand.beat.sequence, errand.now)
    return fetched


async def _bring(db: AsyncSession, errand: Errand, fetched: Fetched) -> None:
    """Take in what it brings: an offered credential before the result of the command that asked for it."""
    beat = errand.beat
    if beat.next_credential_sha256:
        fetched.notices += await credentials.offer(db, errand.line_id, beat.next_credential_sha256, errand.now)
    if beat.results:
        fetched.notices += await commands.take_results(db, errand.line_id, beat.results, errand.now)
    if _lost(errand):
        await _look_at_lost(db, errand)
    if beat.backups and _too_many_backups(beat):
        found = Backups(kind="backups", machines=sum(beat.backups), deployed=sum(beat.deployed))
        await flags.raise_flag(db, errand.line_id[0], flags.IMPLAUSIBLE, found, errand.now)


async def _look_at_lost(db: AsyncSession, errand: Errand) -> None:
    """Flag a site whose spool was truncated more than once."""
    site_id, installation_id, _ = errand.line_id
    told = select(func.count()).where(
        UsageEntry.site_id == site_id, UsageEntry.installation_id == installation_id, UsageEntry.kind == "lost"
    )
    count = await db.scalar(told) or 0
    if count > LOST_ALLOWED:
        await flags.raise_flag(db, site_id, flags.IMPLAUSIBLE, Lost(kind="lost", times=count), errand.now)


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
    await clones.sighted(
        db,
        site_id,
        installation_id,
        line,
        address=errand.beat.address(),
        hostname=errand.beat.hostname,
        now=errand.now,
    )
    key = await keys.of_site_for_update(db, site_id)
    await clones.look(db, key, installation_id, line, errand.now)


def _lost(errand: Errand) -> bool:
    return isinstance(errand.outcome, Accepted) and any(one.entry.kind == "lost" for one in errand.outcome.new)


def _too_many_backups(beat: Heartbeat) -> bool:
    return beat.backups is not None and sum(beat.backups) > sum(beat.deployed)
