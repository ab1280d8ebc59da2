"""The history of a site's usage, as it was reported: each change, and each day's peaks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.partners import Principal
from services.usage.calendar import first_instant
from services.usage.figures import Span, figures_of
from services.usage.partitions import whole_from
from services.usage.raw import raw_sites
from services.usage.recount import Curve, curve
from services.usage.tables import UsageEntry


@dataclass(frozen=True, slots=True)
class DayPeaks:
    """The peaks of one day of the distributor's: type -> (peak, first instant of it); empty where nothing is known."""

    day: date
    peaks: dict[str, tuple[int, datetime]]


async def changes_of(
    db: AsyncSession, principal: Principal, site_id: UUID, *, start: datetime, end: datetime, limit: int
) -> Sequence[UsageEntry]:
    """Give the changes of a site in `[start, end)` that lie in the principal's own interval, oldest first."""
    archived_before = await whole_from(db)
    query = select(UsageEntry).where(
        UsageEntry.site_id == site_id,
        UsageEntry.kind == "change",
        UsageEntry.at >= max(start, archived_before or start),
        UsageEntry.at < end,
        partners.seen_by(principal, UsageEntry.site_id, UsageEntry.at),
    )
    order = (UsageEntry.at, UsageEntry.installation_id, UsageEntry.line, UsageEntry.n)
    return (await db.scalars(query.order_by(*order).limit(limit))).all()


async def days_of(
    db: AsyncSession, site_id: UUID, msp_id: UUID, *, zone: str, first: date, last: date, now: datetime
) -> list[DayPeaks]:
    """Give a site's peaks of each day of an MSP's, in the zone of its distributor; days to come are left out.

    Of days that are archived nothing is known here any more.
    """
    days: list[DayPeaks] = []
    archived_before = await whole_from(db)
    day = first
    while day <= last and (starts_at := first_instant(zone, day)) < now:
        span = Span(starts_at, min(first_instant(zone, day + timedelta(days=1)), now), now)
        archived = archived_before is not None and starts_at < archived_before
        figures = {
            one.site_id: one.peaks for one in ([] if archived else await figures_of(db, [msp_id], span, [site_id]))
        }
        days.append(DayPeaks(day, figures.get(site_id, {})))
        day += timedelta(days=1)
    return days


async def curve_of(db: AsyncSession, site_id: UUID, msp_id: UUID, span: Span) -> Curve:
    """Give the function of an MSP's site in a span, as it is known at the cut-off."""
    async for site in raw_sites(db, msp_id, span, [site_id]):
        return curve(site.lines, site.from_at, min(site.until_at, span.cut_off_at))
    return Curve([], [], {})
