"""The API's pulse: committed once a minute, so that the service knows when it was itself away, or not reached."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.sites.arrivals import MINUTE, Collapse, Minute, Watch, judge
from services.sites.silence import Outage
from services.sites.tables import ArrivalWatch, CollapsedStretch, PulseMinute, PulseStretch

PULSE_SECONDS = 60
_GAP = timedelta(minutes=3)
_SETTLED = 2 * MINUTE
_KEPT = timedelta(days=2)
_JUDGED_AT_ONCE = timedelta(days=2)


async def pulse(
    db: AsyncSession,
    now: datetime,
    *,
    up_since: datetime | None = None,
    counted: Mapping[datetime, Minute] | None = None,
) -> None:
    """Note that the API is up, and what it counted since its last pulse (`Pace.take_counts`).

    `up_since` vouches for the time since then (a replay that moves the clock by hours).
    """
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
    if counted:
        await _count(db, counted)
        await _judge(db, min(counted), now)


async def outages(db: AsyncSession, since: datetime, now: datetime) -> list[Outage]:
    """Give the service's own outages that reach past `since`, in order and apart.

    They are the gaps between the pulse's stretches, and the stretches in which the sites could not reach it.
    """
    return _merged([*await _gaps(db, since, now), *await _collapses(db, since, now)])


async def _gaps(db: AsyncSession, since: datetime, now: datetime) -> list[Outage]:
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


async def _collapses(db: AsyncSession, since: datetime, now: datetime) -> list[Outage]:
    rows = await db.execute(
        select(CollapsedStretch.from_at, CollapsedStretch.until_at)
        .where(CollapsedStretch.until_at > since, CollapsedStretch.from_at < now)
        .order_by(CollapsedStretch.from_at)
    )
    return [Outage(from_at, until_at) for from_at, until_at in rows]


def _merged(found: list[Outage]) -> list[Outage]:
    apart: list[Outage] = []
    for one in sorted(found):
        if apart and one.from_at <= apart[-1].until_at:
            apart[-1] = Outage(apart[-1].from_at, max(apart[-1].until_at, one.until_at))
        else:
            apart.append(one)
    return apart


async def _count(db: AsyncSession, counted: Mapping[datetime, Minute]) -> None:
    rows = [{"at": at, "told": one.told, "arrived": one.arrived} for at, one in sorted(counted.items())]
    adding = insert(PulseMinute).values(rows)
    sums = {name: getattr(PulseMinute, name) + adding.excluded[name] for name in ("told", "arrived")}
    await db.execute(adding.on_conflict_do_update(index_elements=["at"], set_=sums))


async def _judge(db: AsyncSession, first: datetime, now: datetime) -> None:
    """Judge the minutes that every process has committed by now, once, whichever process does it."""
    await db.execute(insert(ArrivalWatch).values(id=1, judged_until_at=first, level=0.0).on_conflict_do_nothing())
    row = await db.get_one(ArrivalWatch, 1, with_for_update=True)
    until = now.replace(second=0, microsecond=0) - _SETTLED
    since = max(row.judged_until_at, until - _JUDGED_AT_ONCE)
    found = await db.execute(select(PulseMinute).where(PulseMinute.at >= since, PulseMinute.at < until))
    known = {one.at: Minute(one.told, one.arrived) for one in found.scalars()}
    minutes = [known.get(since + n * MINUTE, Minute(0, 0)) for n in range(max((until - since) // MINUTE, 0))]
    watch, collapses = judge(Watch(since, row.level, row.collapsed_since_at), minutes)
    row.judged_until_at, row.level = watch.judged_until_at, watch.level
    row.collapsed_since_at = watch.collapsed_since_at
    for one in collapses:
        await _keep(db, one)
    await db.execute(delete(PulseMinute).where(PulseMinute.at < now - _KEPT))
    await db.flush()


async def _keep(db: AsyncSession, one: Collapse) -> None:
    stretch = insert(CollapsedStretch).values(from_at=one.from_at, until_at=one.until_at)
    longer = {"until_at": func.greatest(CollapsedStretch.until_at, stretch.excluded.until_at)}
    await db.execute(stretch.on_conflict_do_update(index_elements=["from_at"], set_=longer))
