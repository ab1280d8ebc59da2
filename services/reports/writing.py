"""Writing a report: its lines counted a second way, its charges, its number, its document. One transaction an MSP."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, partners
from services.ids import new_id
from services.partners import Distributor, Msp
from services.reports.charging import Correction, Counted, difference
from services.reports.counting import count_lines, receipts_of
from services.reports.document import Heading, compose, cover_of, write
from services.reports.tables import Charge, ClosedPeriod, Report, ReportAlarm, ReportCounter, ReportLine
from services.usage import Period, Span, day_starts, zone_info


@dataclass(frozen=True, slots=True)
class Written:
    """A report that was written, or is held for a difference between its two computations."""

    report_id: UUID
    held: dict[str, Any] | None


async def write_next(db: AsyncSession, distributor_id: UUID) -> Written | None:
    """Write the distributor's next report: its number, its document. None when all are written or held.

    Numbers run in the order of periods and MSP names without a gap, for the distributor is locked first. A report whose
    figures come out different the second time is held, raises an alarm, takes no number, and holds up no other.
    """
    # Plans are kept for a connection's life, and the first are made for tables that are still empty: with 2,000 reports
    # to write, those would read all charges and reports written so far for each.
    await db.execute(text("set local plan_cache_mode = force_custom_plan"))
    await db.get_one(Distributor, distributor_id, with_for_update=True)
    report = await db.scalar(
        select(Report)
        .where(Report.distributor_id == distributor_id, Report.document.is_(None), Report.held.is_(None))
        .order_by(Report.starts_at, Report.msp_name, Report.id)
        .limit(1)
        .execution_options(populate_existing=True)
    )
    if report is None:
        return None
    closed = await db.get_one(ClosedPeriod, (distributor_id, report.starts_at))
    counted = await _counted(db, report, closed)
    if held := differences(counted):
        await _hold(db, report, closed, held)
        return Written(report.id, held)
    _charge(db, report, closed, counted)
    report.number = await _next_number(db, closed)
    document = compose(
        await heading_of(db, closed, report),
        counted,
        await corrections_in(db, report.id),
        await receipts_of(db, counted),
    )
    report.document = write(document)
    report.document_sha256 = sha256(report.document).digest()
    report.cover = dict(cover_of(document))
    await db.flush()
    return Written(report.id, None)


def differences(counted: Sequence[Counted]) -> dict[str, Any]:
    """Give what the two computations differ in, by site."""
    found = {ids.show("site", one.row.site_id): difference(one.row, one.recount) for one in counted}
    return {site: differs for site, differs in found.items() if differs}


def period_of(closed: ClosedPeriod) -> Period:
    """Give the period of a closed one."""
    return Period(closed.month, closed.zone, closed.starts_at, closed.ends_at)


def span_of(closed: ClosedPeriod) -> Span:
    """Give the span of which the figures of a closed period were taken."""
    return Span(closed.starts_at, closed.ends_at, closed.cut_off_at, closed.distributor_id)


async def lines_of(db: AsyncSession, report: Report) -> Sequence[ReportLine]:
    """Give the stored lines of a report, in their order."""
    rows = await db.scalars(
        select(ReportLine)
        .where(
            ReportLine.distributor_id == report.distributor_id,
            ReportLine.starts_at == report.starts_at,
            ReportLine.msp_id == report.msp_id,
        )
        .order_by(ReportLine.name, ReportLine.site_id)
    )
    return rows.all()


async def heading_of(db: AsyncSession, closed: ClosedPeriod, report: Report) -> Heading:
    """Give the heading of a report; without a number it is provisional."""
    distributor = await db.get_one(Distributor, closed.distributor_id)
    msp = await db.get_one(Msp, report.msp_id)
    called = await partners.called_at(db, [distributor, msp], closed.ends_at)
    zone = zone_info(closed.zone)
    return Heading(
        distributor=called[distributor.id].name,
        msp=report.msp_name,
        language=called[msp.id].language,
        month=closed.month,
        zone=closed.zone,
        zone_data=closed.zone_data,
        starts_at=closed.starts_at,
        ends_at=closed.ends_at,
        cut_off_at=closed.cut_off_at,
        days=[at.astimezone(zone).date() for at in day_starts(period_of(closed))],
        number=report.number,
        issued_at=closed.cut_off_at if report.number else None,
    )


async def corrections_in(db: AsyncSession, report_id: UUID) -> list[Correction]:
    """Give the signed lines that a report holds for earlier periods, in a stable order."""
    held = (Charge.report_id == report_id, Charge.origin != "report")
    # Most reports hold none, and are not to pay for a plan that reads all lines of the period.
    if not await db.scalar(select(exists().where(*held))):
        return []
    rows = await db.execute(
        select(Charge, ReportLine.name, ClosedPeriod.month, Report.number)
        .join(
            ReportLine,
            (ReportLine.site_id == Charge.site_id)
            & (ReportLine.distributor_id == Charge.distributor_id)
            & (ReportLine.starts_at == Charge.starts_at),
        )
        .join(
            ClosedPeriod,
            (ClosedPeriod.distributor_id == Charge.distributor_id) & (ClosedPeriod.starts_at == Charge.starts_at),
        )
        .join(
            Report,
            (Report.distributor_id == Charge.distributor_id)
            & (Report.starts_at == Charge.starts_at)
            & (Report.msp_id == Charge.msp_id),
        )
        .where(*held)
        .order_by(Charge.starts_at, ReportLine.name, Charge.site_id, Charge.origin, Charge.id)
    )
    return [
        Correction(
            site_id=charge.site_id,
            site=name,
            month=month,
            report_number=number or "",
            origin=charge.origin,
            quantities=(charge.server, charge.workstation, charge.server_plus),
            reason=charge.reason,
            actor=charge.actor,
        )
        for charge, name, month, number in rows
    ]


async def _counted(db: AsyncSession, report: Report, closed: ClosedPeriod) -> list[Counted]:
    rows = await lines_of(db, report)
    return await count_lines(db, report.msp_id, report.distributor_id, period_of(closed), span_of(closed), rows)


async def _hold(db: AsyncSession, report: Report, closed: ClosedPeriod, held: dict[str, Any]) -> None:
    report.held = held
    alarm = {"report_id": report.id, "raised_at": closed.cut_off_at, "difference": held}
    await db.execute(insert(ReportAlarm).values(alarm).on_conflict_do_nothing())
    subject = {"report": ids.show("report", report.id), "month": closed.month}
    delivery.emit(db, partner_id=report.distributor_id, kind="report.held", subject=subject, now=closed.cut_off_at)
    await db.flush()


def _charge(db: AsyncSession, report: Report, closed: ClosedPeriod, counted: Sequence[Counted]) -> None:
    for one in counted:
        server, workstation, server_plus = one.charged
        db.add(
            Charge(
                site_id=one.row.site_id,
                id=new_id(closed.cut_off_at),
                report_id=report.id,
                distributor_id=report.distributor_id,
                msp_id=report.msp_id,
                starts_at=report.starts_at,
                origin="report",
                server=server,
                workstation=workstation,
                server_plus=server_plus,
                reason="estimate" if "estimate" in one.flags else None,
            )
        )


async def _next_number(db: AsyncSession, period: ClosedPeriod) -> str:
    year = period.cut_off_at.astimezone(zone_info(period.zone)).year
    counting = insert(ReportCounter).values(distributor_id=period.distributor_id, year=year, last=1)
    last = await db.scalar(
        counting.on_conflict_do_update(
            index_elements=["distributor_id", "year"], set_={"last": ReportCounter.last + 1}
        ).returning(ReportCounter.last)
    )
    return f"{year}-{last:05d}"
