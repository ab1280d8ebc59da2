"""The API's pulse: committed once a minute, so that the service knows when it was itself away."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.sites.silence import Outage
from services.sites.tables import PulseStretch

PULSE_SECONDS = 60
_GAP = timedelta(minutes=3)


async def pulse(db: AsyncSession, now: datetime, *, up_since: datetime | None = None) -> None:
    """Note that the API is up. `up_since` vouches for the time since then (a replay that moves the clock by hours)."""
    reach = min(now - _GAP, up_since) if up_since is not None else now - _GAP
    latest = select(PulseStretch.from_at).order_by(PulseStretch.until_at.desc()).limit(1).scalar_subquery()
    extended = await db.execute(
        update(PulseStretch)
        .where(PulseStretch.from_at == latest, PulseStretch.until_at >= reach)
        .values(until_at=func.greatest(PulseStretch.until_at, now))
        .returning(PulseStretch.from_at)
    )
    if extended.first() is None:
        stretch = insert(PulseStretch).values(from_at=up_since or now, until_at=now)
        await db.execute(stretch.on_conflict_do_nothing())


async def outages(db: AsyncSession, since: datetime, now: datetime) -> list[Outage]:
    """Give the service's own outages that reach past `since`: the gaps between its stretches, in order."""
    before = select(func.max(PulseStretch.until_at)).where(PulseStretch.until_at <= since).scalar_subquery()
    stretches = await db.execute(
        select(PulseStretch.from_at, PulseStretch.until_at)
        .where(PulseStretch.until_at >= func.coalesce(before, since), PulseStretch.from_at <= now)
        .order_by(PulseStretch.from_at)
    )
    gaps: list[Outage] = []
    reached: datetime | None = None
    for from_at, until_at in stretches:
        if reached is not None and from_at > reached:
            gaps.append(Outage(reached, from_at))
        reached = until_at if reached is None else max(reached, until_at)
    if reached is not None and now - reached > _GAP:
        gaps.append(Outage(reached, now))
    return gaps
