"""Closing a month, in steps that are safe to run twice and by two workers: close, write, render, issue.

What is due is read from the database alone: a period that has ended, its grace with it, and is not closed. Each step
is one transaction of the caller's; a crash between two leaves rows that say what is to be done next.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.ids import new_id
from services.keys import Key
from services.partners import Distributor
from services.reports.document import Heading, compose, write
from services.reports.lines import take_lines
from services.reports.tables import ClosedPeriod, Report, ReportCounter, ReportFile, ReportLine
from services.usage import Period, Span, next_period, period_containing, zone_data_version, zone_info


@dataclass(frozen=True, slots=True)
class Due:
    """A period whose figures are to be taken, and the cut-off of what counts."""

    distributor_id: UUID
    period: Period
    cut_off_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """A report that is written and waits to be rendered and issued."""

    report_id: UUID
    document: bytes


async def next_close_at(db: AsyncSession) -> datetime | None:
    """Give when the next period of any distributor is to be closed; may lie in the past."""
    waiting = [await _next_of(db, distributor, ended) for distributor, ended in await _distributors(db)]
    return min((due.cut_off_at for due in waiting), default=None)


async def due(db: AsyncSession, now: datetime) -> list[UUID]:
    """Give the distributors that have a period to close now, however long ago it ended."""
    waiting = [await _next_of(db, distributor, ended) for distributor, ended in await _distributors(db)]
    return [one.distributor_id for one in waiting if one.cut_off_at <= now]


async def close(db: AsyncSession, distributor_id: UUID, now: datetime) -> Due | None:
    """Close the distributor's next period if it is due: its figures, and a report to write for each MSP with keys.

    The distributor's row is locked, so of two workers the second finds nothing due.
    """
    distributor = await db.get_one(Distributor, distributor_id, with_for_update=True)
    ended = await db.scalar(select(func.max(ClosedPeriod.ends_at)).where(ClosedPeriod.distributor_id == distributor_id))
    one = await _next_of(db, distributor, ended)
    if one.cut_off_at > now:
        return None
    period = one.period
    db.add(
        ClosedPeriod(
            distributor_id=distributor_id,
            starts_at=period.starts_at,
            ends_at=period.ends_at,
            month=period.month,
            zone=period.zone,
            zone_data=zone_data_version(),
            cut_off_at=one.cut_off_at,
        )
    )
    await db.flush()
    await _announce(db, one, now)
    return one


async def write_next(db: AsyncSession, distributor_id: UUID) -> UUID | None:
    """Write the distributor's next report: its number, its document. None when all are written.

    Numbers run in the order of periods and MSP names without a gap, for the counter is locked first.
    """
    await db.get_one(Distributor, distributor_id, with_for_update=True)
    report = await db.scalar(
        select(Report)
        .where(Report.distributor_id == distributor_id, Report.document.is_(None))
        .order_by(Report.starts_at, Report.msp_name, Report.id)
        .limit(1)
    )
    if report is None:
        return None
    period = await db.get_one(ClosedPeriod, (distributor_id, report.starts_at))
    report.number = await _next_number(db, period)
    lines = await db.scalars(
        select(ReportLine)
        .where(
            ReportLine.distributor_id == distributor_id,
            ReportLine.starts_at == report.starts_at,
            ReportLine.msp_id == report.msp_id,
        )
        .order_by(ReportLine.name, ReportLine.site_id)
    )
    distributor = await db.get_one(Distributor, distributor_id)
    report.document = write(compose(_heading(distributor, period, report), lines.all()))
    report.document_sha256 = sha256(report.document).digest()
    await db.flush()
    return report.id


async def unfinished(db: AsyncSession) -> list[UUID]:
    """Give the distributors that have reports to write."""
    return list(await db.scalars(select(Report.distributor_id).where(Report.document.is_(None)).distinct()))


async def next_unissued(db: AsyncSession, *, without: Collection[UUID] = ()) -> Written | None:
    """Give a report that is written and not issued; the caller renders it outside any transaction."""
    row = (
        await db.execute(
            select(Report.id, Report.document)
            .where(Report.issued_at.is_(None), Report.document.is_not(None), Report.id.not_in(without))
            .order_by(Report.distributor_id, Report.starts_at, Report.number)
            .limit(1)
        )
    ).first()
    return Written(row.id, row.document or b"") if row is not None else None


async def issue(db: AsyncSession, report_id: UUID, forms: dict[str, bytes]) -> bool:
    """Issue a report with its forms; False if another worker did. Dated at the cut-off, whenever it is done."""
    report = await db.get_one(Report, report_id, with_for_update=True, populate_existing=True)
    if report.issued_at is not None:
        return False
    period = await db.get_one(ClosedPeriod, (report.distributor_id, report.starts_at))
    report.issued_at = period.cut_off_at
    for form, content in sorted(forms.items()):
        db.add(ReportFile(report_id=report_id, form=form, content=content, sha256=sha256(content).digest()))
    await db.flush()
    return True


async def _distributors(db: AsyncSession) -> list[tuple[Distributor, datetime | None]]:
    last = select(func.max(ClosedPeriod.ends_at)).where(ClosedPeriod.distributor_id == Distributor.id)
    rows = await db.execute(select(Distributor, last.scalar_subquery()).order_by(Distributor.id))
    return [(distributor, ended) for distributor, ended in rows]


async def _next_of(db: AsyncSession, distributor: Distributor, ended: datetime | None) -> Due:
    """Give the period that follows the last closed one; the first holds the distributor's beginning."""
    if ended is None:
        period = period_containing(distributor.zone, distributor.created_at)
    else:
        period = next_period(Period("", distributor.zone, ended, ended))
    policy = await partners.policy_of(db, distributor_id=distributor.id)
    return Due(distributor.id, period, period.ends_at + policy.close_grace)


async def _announce(db: AsyncSession, one: Due, now: datetime) -> None:
    period = one.period
    msps = await partners.msps_of(db, one.distributor_id, period.starts_at, period.ends_at)
    span = Span(period.starts_at, period.ends_at, one.cut_off_at)
    await take_lines(db, one.distributor_id, [msp.id for msp in msps], span)
    has_key = exists().where(Key.msp_id == partners.Msp.id, Key.created_at < period.ends_at)
    with_keys = set(await db.scalars(select(partners.Msp.id).where(has_key)))
    for msp in msps:
        if msp.id in with_keys:
            db.add(_announced(one, msp.id, msp.name, now))
    await db.flush()


def _announced(one: Due, msp_id: UUID, msp_name: str, now: datetime) -> Report:
    return Report(
        id=new_id(now),
        distributor_id=one.distributor_id,
        starts_at=one.period.starts_at,
        msp_id=msp_id,
        msp_name=msp_name,
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


def _heading(distributor: Distributor, period: ClosedPeriod, report: Report) -> Heading:
    return Heading(
        distributor=distributor.name,
        msp=report.msp_name,
        month=period.month,
        zone=period.zone,
        zone_data=period.zone_data,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        cut_off_at=period.cut_off_at,
        number=report.number,
        issued_at=period.cut_off_at,
    )
