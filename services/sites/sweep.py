"""The sweep: climbs the ladder of every silence, and disables the keys of sites that stayed silent too long.

It costs by the timers that are due, not by the sites: a timer that fires for a site that has been heard is armed again.
Each silence is judged again under the lines' locks, so that a heartbeat in between wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.keys import Key
from services.sites import breaker, letters, seats, standing
from services.sites.ladder import Ladder, Rung, ladder, step
from services.sites.pulse import outages
from services.sites.tables import Installation, SilenceTimer
from services.usage import Line

_CLIMBS = SilenceTimer.rung != Rung.DISABLE
_ENDS = SilenceTimer.rung == Rung.DISABLE
_LETTERS = {Rung.WARN: letters.WARNING, Rung.FINAL: letters.FINAL}


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did."""

    disabled: int
    rearmed: int
    told: int = 0
    held: int = 0

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.disabled or self.rearmed or self.told or self.held)


@dataclass(frozen=True, slots=True)
class _Silence:
    """A timer that fired, with the locked lines of its installation and what is needed to judge it."""

    timer: SilenceTimer
    lines: Sequence[Line]
    key: Key
    installation: Installation
    governs: bool
    dates: Ladder

    @property
    def heard_at(self) -> datetime:
        return max(line.last_contact_at for line in self.lines)


async def next_timer_at(db: AsyncSession) -> datetime | None:
    """Give when the sweep has something to look at next."""
    waiting = select(SilenceTimer.due_at).where(SilenceTimer.held_at.is_(None))
    return await db.scalar(waiting.order_by(SilenceTimer.due_at).limit(1))


async def sweep(db: AsyncSession, now: datetime, *, limit: int = 500) -> Swept:
    """Look at up to `limit` timers that are due; idle when there are none left.

    First those that are on their way up the ladder. As long as one of them is due nothing is disabled: only then does
    the breaker see all whose silence has ended. A key is disabled as of the deadline, whenever the sweep runs.
    """
    told = rearmed = 0
    fired = await _due(db, now, limit)
    for silence in fired:
        if silence.timer.rung != Rung.DISABLE:
            did = await _climb(db, silence, now)
            told, rearmed = told + did, rearmed + (not did)
    await db.flush()
    if await db.scalar(select(SilenceTimer.site_id).where(*_is_due(_CLIMBS, now)).limit(1)) is not None:
        return Swept(0, rearmed, told)
    ends = [one for one in fired if one.timer.rung == Rung.DISABLE and one.timer.due_at <= now]
    silent = [one for one in ends if now >= one.dates.disable_at]
    for silence in ends:
        if now < silence.dates.disable_at:
            _rearm(silence)
            rearmed += 1
    disabled = await _disable_all(db, silent, now)
    await breaker.settle(db, now)
    await db.flush()
    return Swept(disabled, rearmed, told, len(silent) - disabled)


async def _disable_all(db: AsyncSession, silent: Sequence[_Silence], now: datetime) -> int:
    """Disable what may be disabled; hold the rest."""
    waiting = [one for one in silent if one.timer.let_go_at is None]
    if waiting and (found := await breaker.load(db, now)).trips:
        await breaker.hold(db, [one.timer for one in waiting], found, now)
        silent = [one for one in silent if one.timer.let_go_at is not None]
    for one in silent:
        await _disable(db, one, now)
    return len(silent)


async def _climb(db: AsyncSession, silence: _Silence, now: datetime) -> bool:
    """Do what is due on the way up; False if there was nothing but to look again later."""
    timer = silence.timer
    if timer.silent_since_at != silence.heard_at:
        timer.rung, timer.silent_since_at = Rung.WARN, silence.heard_at
    if not silence.governs:
        return await _climb_seat(db, silence, now)
    next_step = step(silence.dates, Rung(timer.rung), now)
    timer.rung, timer.due_at = next_step.rung, next_step.due_at
    if next_step.rung is not Rung.WARN:
        for line in silence.lines:
            line.waiting = True  # whoever is heard then arms the timer again, and is told of
    if next_step.does is None:
        return False
    kind = _LETTERS[next_step.does]
    await letters.tell_silence(db, kind, silence.key, silence.heard_at, silence.dates, now)
    return True


async def _climb_seat(db: AsyncSession, silence: _Silence, now: datetime) -> bool:
    """A standalone beside a Site Manager has no ladder: its seat ends."""
    if now < silence.dates.disable_at:
        silence.timer.due_at = silence.dates.disable_at
        return False
    await seats.end_silent(db, silence.key, silence.installation, silence.heard_at, now)
    return True


def _rearm(silence: _Silence) -> None:
    timer = silence.timer
    timer.let_go_at = None
    if timer.silent_since_at != silence.heard_at:
        timer.rung, timer.due_at, timer.silent_since_at = Rung.WARN, silence.dates.warn_at, None
    else:
        timer.due_at = silence.dates.disable_at


async def _disable(db: AsyncSession, one: _Silence, now: datetime) -> None:
    reason = keys.SILENT if one.timer.let_go_at is None else "silent, let go"
    if one.installation.product == seats.STANDALONE:
        await seats.end_silent(db, one.key, one.installation, one.heard_at, now)
    else:
        await db.delete(one.timer)
    if one.key.disabled_at is None:
        keys.disable(db, one.key, at=one.dates.disable_at, now=now, reason=reason)
        await letters.tell_silence(db, letters.DISABLED, one.key, one.heard_at, one.dates, now)
    await standing.tell(db, one.key)


async def _due(db: AsyncSession, now: datetime, limit: int) -> list[_Silence]:
    """Lock what is due in the order lines, keys, timers, and read what is needed to judge it; first what climbs.

    All of it at once: lines that were locked after keys could cross those who are heard. A timer that another
    transaction has, or changes before its turn, is left to the next sweep.
    """
    wanted = await _fired(db, _CLIMBS, now, limit)
    if len(wanted) < limit:
        wanted += await _fired(db, _ENDS, now, limit)
    if not wanted:
        return []
    locked, some_keys = await standing.lock_all(db, {site_id for site_id, _ in wanted})
    timers = await db.scalars(
        select(SilenceTimer)
        .where(tuple_(SilenceTimer.site_id, SilenceTimer.installation_id).in_(wanted), *_is_due(true(), now))
        .order_by(SilenceTimer.site_id, SilenceTimer.installation_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    lines: dict[tuple[UUID, UUID], list[Line]] = {one: [] for one in wanted}
    for line in locked:
        if (line.site_id, line.installation_id) in lines:
            lines[line.site_id, line.installation_id].append(line)
    return await _silences(db, timers.all(), lines, {key.site_id: key for key in some_keys}, now)


async def _fired(db: AsyncSession, rung: ColumnElement[bool], now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    ids = select(SilenceTimer.site_id, SilenceTimer.installation_id).where(*_is_due(rung, now))
    found = await db.execute(ids.order_by(SilenceTimer.due_at).limit(limit))
    return [(site_id, installation_id) for site_id, installation_id in found]


def _is_due(rung: ColumnElement[bool], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return SilenceTimer.due_at <= now, SilenceTimer.held_at.is_(None), rung


async def _silences(
    db: AsyncSession,
    timers: Sequence[SilenceTimer],
    lines: dict[tuple[UUID, UUID], list[Line]],
    by_site: dict[UUID, Key],
    now: datetime,
) -> list[_Silence]:
    policies = await keys.policies_of_keys(db, list(by_site.values()), now)
    entitled = await _entitled(db, set(by_site))
    since = min((line.last_contact_at for some in lines.values() for line in some), default=now)
    own = await outages(db, since, now)
    found = []
    for timer in timers:
        some, key = lines[timer.site_id, timer.installation_id], by_site[timer.site_id]
        beside = entitled[timer.site_id]
        installation = beside[timer.installation_id]
        heard_at = max(line.last_contact_at for line in some)
        dates = ladder(heard_at, policies[key.site_id], own, key.snoozed_until_at)
        governs = installation.product == standing.SITE_MANAGER or len(beside) == 1
        found.append(_Silence(timer, some, key, installation, governs, dates))
    return found


async def _entitled(db: AsyncSession, site_ids: set[UUID]) -> dict[UUID, dict[UUID, Installation]]:
    """Give the installations of sites that are entitled to something, by site."""
    rows = await db.scalars(
        select(Installation)
        .where(Installation.site_id.in_(site_ids), Installation.ended_at.is_(None))
        .execution_options(populate_existing=True)
    )
    found: dict[UUID, dict[UUID, Installation]] = {}
    for row in rows:
        found.setdefault(row.site_id, {})[row.installation_id] = row
    return found
