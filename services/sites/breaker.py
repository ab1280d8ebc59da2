"""The breaker: when too many sites would be disabled at once the sweep holds, for then the fault is rather ours.

Counted are the sites disabled within the last day and those due now; above 5 % of the active ones, and above 10, the
sweep disables no more. A held site waits for the end of its silence or for an operator, and after a day it counts for
the others no more: a long-dead MSP does not hold them for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.ids import new_id
from services.keys import Key, KeyEvent
from services.sites.tables import SilenceTimer, SweepHold

ALWAYS_ALLOWED = 10
ONE_IN = 20
COUNTED_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Load:
    """What the breaker goes by; `active` is counted only as far as the decision needs."""

    due: int
    disabled: int
    active: int

    @property
    def trips(self) -> bool:
        """Whether so many are too many."""
        wanted = self.due + self.disabled
        return wanted > ALWAYS_ALLOWED and wanted * ONE_IN > self.active


@dataclass(frozen=True, slots=True)
class Held:
    """The sites of one MSP that the sweep holds."""

    msp_id: UUID
    msp: str
    sites: int
    since_at: datetime


async def load(db: AsyncSession, now: datetime) -> Load:
    """Count. Of the active ones no more are counted than would be enough, so the cost is by the silent sites."""
    due = await db.scalar(
        select(func.count())
        .select_from(SilenceTimer)
        .where(
            SilenceTimer.rung == "disable",
            SilenceTimer.due_at <= now,
            SilenceTimer.let_go_at.is_(None),
            or_(SilenceTimer.held_at.is_(None), SilenceTimer.held_at > now - COUNTED_FOR),
        )
    )
    disabled = await db.scalar(
        select(func.count())
        .select_from(KeyEvent)
        .join(Key, (Key.site_id == KeyEvent.site_id) & (Key.id == KeyEvent.key_id))
        .where(
            KeyEvent.event == "disabled",
            KeyEvent.recorded_at > now - COUNTED_FOR,
            KeyEvent.reason == keys.SILENT,
            Key.disabled_at.is_not(None),
        )
    )
    wanted = (due or 0) + (disabled or 0)
    some = select(SilenceTimer.site_id).limit(wanted * ONE_IN + 1).subquery()
    active = await db.scalar(select(func.count()).select_from(some))
    return Load(due or 0, disabled or 0, active or 0)


async def hold(db: AsyncSession, timers: Sequence[SilenceTimer], found: Load, now: datetime) -> None:
    """Hold sites that are due, and raise the alarm, if it is not raised yet."""
    for timer in timers:
        timer.held_at = now
    if await _open(db) is None:
        row = SweepHold(id=new_id(now), from_at=now, until_at=None, due=found.due, disabled=found.disabled)
        row.active = found.active
        db.add(row)
    await db.flush()


async def settle(db: AsyncSession, now: datetime) -> None:
    """Take the alarm back when nothing is held any more."""
    alarm = await _open(db)
    if alarm is not None:
        await db.flush()
        held = select(SilenceTimer.site_id).where(SilenceTimer.held_at.is_not(None)).limit(1)
        if await db.scalar(held) is None:
            alarm.until_at = now


async def held(db: AsyncSession) -> list[Held]:
    """Give what the sweep holds, by MSP, most first."""
    rows = await db.execute(
        select(Key.msp_id, partners.Msp.name, func.count(), func.min(SilenceTimer.held_at))
        .join(Key, Key.site_id == SilenceTimer.site_id)
        .join(partners.Msp, partners.Msp.id == Key.msp_id)
        .where(SilenceTimer.held_at.is_not(None))
        .group_by(Key.msp_id, partners.Msp.name)
        .order_by(func.count().desc(), Key.msp_id)
    )
    return [Held(msp_id, name, count, since_at) for msp_id, name, count, since_at in rows if since_at]


async def release(db: AsyncSession, msp_id: UUID, now: datetime) -> int:
    """Let the sweep disable what it holds of an MSP, at its next turn; gives how many sites."""
    own = select(Key.site_id).where(Key.msp_id == msp_id)
    done = await db.execute(
        update(SilenceTimer)
        .where(SilenceTimer.held_at.is_not(None), SilenceTimer.site_id.in_(own))
        .values(held_at=None, let_go_at=now)
        .returning(SilenceTimer.site_id)
    )
    return len(done.all())


async def _open(db: AsyncSession) -> SweepHold | None:
    return await db.scalar(select(SweepHold).where(SweepHold.until_at.is_(None)))
