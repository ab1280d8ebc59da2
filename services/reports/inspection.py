"""Looking into a close without changing it: what it would charge, and both computations where they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent
from services.reports.charging import Counted
from services.reports.counting import count_lines
from services.reports.lines import read_lines, take_lines
from services.reports.tables import ClosedPeriod, Report
from services.reports.writing import differences, lines_of, period_of, span_of
from services.usage import Span, Three, month_period, period_at

_WITHIN = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Inspected:
    """One MSP's report as it would be, or as it was taken: `differences` is empty where both computations agree."""

    msp: str
    sites: int
    charged: Three
    differences: dict[str, Any]


async def dry_run(db: AsyncSession, distributor_id: UUID, month: str, now: datetime) -> list[Inspected]:
    """Tell what a close of a month would charge, from what is known now; nothing is stored."""
    zones = await partners.zones_of(db, distributor_id)
    period = period_at(zones, month_period(partners.zone_at(zones, now), month).starts_at + _WITHIN)
    span = Span(period.starts_at, min(period.ends_at, now), now, distributor_id)
    found = []
    for msp in await partners.msps_of(db, distributor_id, period.starts_at, period.ends_at):
        rows = await read_lines(db, distributor_id, msp.id, span)
        counted = await count_lines(db, msp.id, distributor_id, period, span, rows)
        found.append(_inspected(msp.name, counted))
    return found


async def explain(db: AsyncSession, distributor_id: UUID, month: str) -> list[Inspected]:
    """Count the lines of a closed month again and tell where the two computations differ, MSP by MSP."""
    closed = await _closed(db, distributor_id, month)
    period, span = period_of(closed), span_of(closed)
    reports = await db.scalars(_reports_of(closed).order_by(Report.msp_name, Report.id))
    found = []
    for report in reports.all():
        rows = await lines_of(db, report)
        counted = await count_lines(db, report.msp_id, distributor_id, period, span, rows)
        found.append(_inspected(report.msp_name, counted))
    return found


async def take_again(db: AsyncSession, report_id: UUID) -> bool:
    """Take the lines of a held report again, once what made the difference is mended; False if it is not held."""
    report = await db.get(Report, report_id, with_for_update=True)
    if report is None:
        raise Absent
    if report.held is None:
        return False
    closed = await db.get_one(ClosedPeriod, (report.distributor_id, report.starts_at))
    for line in await lines_of(db, report):
        await db.delete(line)
    await db.flush()
    await take_lines(db, report.distributor_id, [report.msp_id], span_of(closed))
    report.held = None
    await db.flush()
    return True


async def held(db: AsyncSession, distributor_id: UUID, month: str) -> list[Report]:
    """Give the reports of a closed month that are held."""
    closed = await _closed(db, distributor_id, month)
    return list(await db.scalars(_reports_of(closed).where(Report.held.is_not(None)).order_by(Report.msp_name)))


async def _closed(db: AsyncSession, distributor_id: UUID, month: str) -> ClosedPeriod:
    closed = await db.scalar(
        select(ClosedPeriod)
        .where(ClosedPeriod.distributor_id == distributor_id, ClosedPeriod.month == month)
        .order_by(ClosedPeriod.starts_at)
        .limit(1)
    )
    if closed is None:
        raise Absent("This month is not closed for this distributor.")
    return closed


def _reports_of(closed: ClosedPeriod) -> Any:
    return select(Report).where(Report.distributor_id == closed.distributor_id, Report.starts_at == closed.starts_at)


def _inspected(msp: str, counted: Sequence[Counted]) -> Inspected:
    server, workstation, server_plus = (sum(one.charged[number] for one in counted) for number in range(3))
    return Inspected(msp, len(counted), (server, workstation, server_plus), differences(counted))
