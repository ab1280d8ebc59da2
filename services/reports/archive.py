"""The archive: a partner's reports, provisional and issued."""

from asyncio import to_thread
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent, Invalid
from services.partners import Distributor, Msp, PartnerKind, Principal
from services.reports.counting import count_lines, receipts_of
from services.reports.document import Heading, compose, write
from services.reports.lines import read_lines
from services.reports.outlook import PresentMonth, present_month
from services.reports.tables import ClosedPeriod, Report, ReportFile
from services.reports.wording import Language, language_of
from services.usage import day_starts, zone_data_version, zone_info


@dataclass(frozen=True, slots=True)
class IssuedReport:
    """An issued report, without its bytes."""

    report_id: UUID
    msp_id: UUID
    msp: str
    number: str
    month: str
    issued_at: datetime
    document_sha256: bytes


@dataclass(frozen=True, slots=True)
class ProvisionalReport:
    """The present month's report as it would be if the month closed now: canonical JSON."""

    month: str
    document: bytes


async def provisional(db: AsyncSession, caller: Principal, msp_id: UUID, now: datetime) -> ProvisionalReport:
    """Write the present month's report of an MSP; raises `Absent`.

    Ten thousand sites take seconds, so it is written in a thread, and what else the process has to do goes on.
    """
    month = await present_month(db, caller, msp_id, now)
    rows = await read_lines(db, month.distributor.id, msp_id, month.span)
    counted = await count_lines(db, msp_id, month.distributor.id, month.period, month.span, rows)
    receipts = await receipts_of(db, counted)
    return ProvisionalReport(
        month.period.month,
        await to_thread(lambda: write(compose(provisional_heading(month), counted, (), receipts))),
    )


def provisional_heading(month: PresentMonth) -> Heading:
    """Give the heading of a provisional report."""
    period = month.period
    return Heading(
        distributor=month.distributor.name,
        msp=month.msp.name,
        language=month.msp.language,
        month=period.month,
        zone=period.zone,
        zone_data=zone_data_version(),
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        cut_off_at=month.span.cut_off_at,
        days=[at.astimezone(zone_info(period.zone)).date() for at in day_starts(period)],
    )


async def issued(
    db: AsyncSession,
    principal: Principal,
    *,
    after: UUID | None,
    limit: int,
    msp_id: UUID | None = None,
    month: str | None = None,
) -> Sequence[IssuedReport]:
    """Give a page of the principal's issued reports in the order of their issue, of one MSP or month only.

    It begins after one of them; raises `Invalid` if that is none of its own.
    """
    period = (ClosedPeriod.distributor_id == Report.distributor_id) & (ClosedPeriod.starts_at == Report.starts_at)
    query = (
        select(
            Report.id,
            Report.msp_id,
            Report.msp_name,
            Report.number,
            ClosedPeriod.month,
            Report.issued_at,
            Report.document_sha256,
        )
        .join(ClosedPeriod, period)
        .where(partners.visible_chain(principal, Report.msp_id, Report.distributor_id), Report.issued_at.is_not(None))
        .order_by(Report.place)
        .limit(limit)
    )
    if msp_id is not None:
        query = query.where(Report.msp_id == msp_id)
    if month is not None:
        query = query.where(ClosedPeriod.month == month)
    if after is not None:
        query = query.where(Report.place > await _place(db, principal, after))
    return [IssuedReport(*row) for row in await db.execute(query)]  # type: ignore[arg-type]


async def _place(db: AsyncSession, principal: Principal, report_id: UUID) -> int:
    own = partners.visible_chain(principal, Report.msp_id, Report.distributor_id)
    place = await db.scalar(select(Report.place).where(Report.id == report_id, own))
    if place is None:
        raise Invalid(pointer="/query/after")
    return place


async def file_of(db: AsyncSession, principal: Principal, report_id: UUID, form: str) -> bytes:
    """Give the bytes of one form of an issued report; raises `Absent` also for a stranger's.

    `pdf` is the one in the reader's own language.
    """
    if form == "pdf":
        form = f"pdf.{await _language(db, principal)}"
    content = await db.scalar(
        select(ReportFile.content)
        .join(Report, Report.id == ReportFile.report_id)
        .where(ReportFile.report_id == report_id, ReportFile.form == form)
        .where(partners.visible_chain(principal, Report.msp_id, Report.distributor_id))
    )
    if content is None:
        raise Absent
    return content


async def _language(db: AsyncSession, reader: Principal) -> Language:
    if reader.kind is PartnerKind.VENDOR:
        return language_of("")
    language = Msp.language if reader.kind is PartnerKind.MSP else Distributor.language
    table = Msp.id if reader.kind is PartnerKind.MSP else Distributor.id
    return language_of(await db.scalar(select(language).where(table == reader.partner_id)) or "")
