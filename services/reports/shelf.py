"""The shelf: issued reports as a person goes through them, newest first, with what each comes to and the month before.

Every function asks as often for fifty reports as for one.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent
from services.partners import Distributor, Msp, PartnerKind, Principal
from services.reports.billing_tables import StatementLine
from services.reports.cases import pending
from services.reports.counting import terms
from services.reports.document import TYPES, Document, line_in
from services.reports.tables import Adjustment, Charge, ClosedPeriod, Dispute, Report, ReportFile, ReportLine
from services.usage import Three

_MONTHS = 13
_TYPES = (Charge.server, Charge.workstation, Charge.server_plus)
_TOTALS = Report.cover["totals"]
_CHARGED = tuple(_TOTALS[name].as_integer() for name in TYPES)
_CORRECTED = _TOTALS["corrections"]["total"].as_integer()
Place = tuple[UUID, UUID, datetime]
"""Where a line is: distributor, site, the period's start."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """An issued report, with its sums. `disputed` counts the lines whose dispute is not decided yet."""

    report_id: UUID
    msp_id: UUID
    msp: str
    distributor_id: UUID
    distributor: str
    number: str
    month: str
    starts_at: datetime
    issued_at: datetime
    charged: Three
    corrected: int
    sites: int
    disputed: int = 0
    stated: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """What is charged for the month itself."""
        return sum(self.charged)


@dataclass(frozen=True, slots=True)
class StoredForm:
    """One form of a report, without its bytes."""

    form: str
    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class OpenedReport:
    """An issued report taken from the shelf: its row, what it says beside its lines, its forms."""

    row: Shelved
    cover: Document
    forms: Sequence[StoredForm]


@dataclass(frozen=True, slots=True)
class Before:
    """What was charged for a site in the month before."""

    site_id: UUID
    name: str
    charged: Three


@dataclass(frozen=True, slots=True)
class MonthSum:
    """What a month of an MSP came to when it was issued."""

    report_id: UUID
    month: str
    charged: Three


@dataclass(frozen=True, slots=True)
class Later:
    """What was decided or found of a line after its report: a signed change; `number` is None until a report has it."""

    origin: str
    quantities: Three
    reason: str | None
    actor: str | None
    number: str | None
    report_id: UUID | None


async def shelf(
    db: AsyncSession,
    caller: Principal,
    now: datetime,
    *,
    after: UUID | None,
    limit: int,
    month: str | None = None,
    text: str | None = None,
    distributor_id: UUID | None = None,
) -> list[Shelved]:
    """Give a page of the caller's issued reports, newest month first and by MSP.

    Only of one month, of MSPs so named, or of one distributor's.
    """
    query = _reports(caller).order_by(Report.starts_at.desc(), Report.msp_name, Report.id).limit(limit)
    if month is not None:
        query = query.where(ClosedPeriod.month == month)
    if text:
        query = query.where(Report.msp_name.icontains(text, autoescape=True))
    if distributor_id is not None:
        query = query.where(Report.distributor_id == distributor_id)
    if after is not None:
        query = query.where(await _past(db, caller, after))
    return await _with_standing(db, caller, [_shelved(row) for row in await db.execute(query)], now)


async def msps_of(db: AsyncSession, caller: Principal, report_ids: Collection[UUID]) -> dict[UUID, str]:
    """Give the names of the MSPs of those of some reports that the caller sees."""
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    rows = await db.execute(select(Report.id, Report.msp_name).where(Report.id.in_(report_ids), own))
    return {row.id: row.msp_name for row in rows}


async def months(db: AsyncSession, caller: Principal) -> Sequence[str]:
    """Give the months of which the caller has reports, newest first."""
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    found = (
        Report.distributor_id == ClosedPeriod.distributor_id,
        Report.starts_at == ClosedPeriod.starts_at,
        Report.issued_at.is_not(None),
        own,
    )
    query = select(ClosedPeriod.month).where(select(Report.id).where(*found).exists()).distinct()
    return (await db.scalars(query.order_by(ClosedPeriod.month.desc()))).all()


async def distributors(db: AsyncSession, caller: Principal) -> list[tuple[UUID, str]]:
    """Give the distributors of the caller's issued reports, by name."""
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    there = exists().where(Report.distributor_id == Distributor.id, Report.issued_at.is_not(None), own)
    rows = await db.execute(select(Distributor.id, Distributor.name).where(there).order_by(Distributor.name))
    return [(row[0], row[1]) for row in rows]


async def sums_of_month(
    db: AsyncSession, caller: Principal, month: str, distributor_id: UUID | None = None
) -> tuple[int, Three, int]:
    """Give how many of the caller's reports a month has, what they charge by type, and their corrections' sum.

    Only of one distributor's, if one is named.
    """
    period = (Report.distributor_id == ClosedPeriod.distributor_id) & (Report.starts_at == ClosedPeriod.starts_at)
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    query = (
        select(func.count(), *(func.coalesce(func.sum(one), 0) for one in (*_CHARGED, _CORRECTED)))
        .select_from(ClosedPeriod)
        .join(Report, period)
        .where(ClosedPeriod.month == month, Report.issued_at.is_not(None), own)
    )
    if distributor_id is not None:
        query = query.where(Report.distributor_id == distributor_id)
    row: Any = (await db.execute(query)).one()
    return row[0], row[1:4], row[4]


async def opened(db: AsyncSession, caller: Principal, report_id: UUID, now: datetime) -> OpenedReport:
    """Give one report with its cover and its forms; raises `Absent` also for a stranger's."""
    query = _reports(caller).add_columns(Report.cover).where(Report.id == report_id)
    found = (await db.execute(query)).first()
    if found is None:
        raise Absent
    [shelved] = await _with_standing(db, caller, [_shelved(found[:-1])], now)
    forms = await db.execute(
        select(ReportFile.form, func.octet_length(ReportFile.content), ReportFile.sha256)
        .where(ReportFile.report_id == report_id)
        .order_by(ReportFile.form)
    )
    return OpenedReport(shelved, found[-1], [StoredForm(*one) for one in forms])


async def line_as_issued(db: AsyncSession, caller: Principal, report_id: UUID, site_id: UUID) -> Mapping[str, Any]:
    """Give a line of a report as its document has it; raises `Absent` also for a stranger's."""
    document = await db.scalar(_reports(caller).with_only_columns(Report.document).where(Report.id == report_id))
    line = line_in(document, site_id) if document is not None else None
    if line is None:
        raise Absent
    return line


async def month_before(
    db: AsyncSession, caller: Principal, msp_id: UUID, starts_at: datetime, site_ids: Sequence[UUID] | None = None
) -> list[Before]:
    """Give what an MSP's last report before an instant charged, for all sites or some; empty if there was none."""
    last = _issued(caller, msp_id).where(Report.starts_at < starts_at).order_by(Report.starts_at.desc()).limit(1)
    report_id = await db.scalar(last)
    if report_id is None:
        return []
    query = (
        select(Charge.site_id, ReportLine.name, *_TYPES)
        .join(
            ReportLine,
            (ReportLine.site_id == Charge.site_id)
            & (ReportLine.distributor_id == Charge.distributor_id)
            & (ReportLine.starts_at == Charge.starts_at),
        )
        .where(Charge.report_id == report_id, Charge.origin == "report")
    )
    if site_ids is not None:
        query = query.where(Charge.site_id.in_(site_ids))
    return [Before(row[0], row[1], (row[2], row[3], row[4])) for row in await db.execute(query)]


async def month_by_month(db: AsyncSession, caller: Principal, msp_id: UUID, until: datetime) -> list[MonthSum]:
    """Give what an MSP's months came to, up to the one that begins at an instant; the last thirteen, oldest first."""
    query = (
        _reports(caller)
        .where(Report.msp_id == msp_id, Report.starts_at <= until)
        .with_only_columns(Report.id, ClosedPeriod.month, *_CHARGED)
        .order_by(Report.starts_at.desc())
        .limit(_MONTHS)
    )
    rows = list(await db.execute(query))
    return [MonthSum(row[0], row[1], (row[2], row[3], row[4])) for row in reversed(rows)]


def _reports(caller: Principal) -> Select[*tuple[Any, ...]]:
    period = (ClosedPeriod.distributor_id == Report.distributor_id) & (ClosedPeriod.starts_at == Report.starts_at)
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    return (
        select(
            Report.id,
            Report.msp_id,
            Report.msp_name,
            Report.distributor_id,
            Distributor.name,
            Report.number,
            ClosedPeriod.month,
            Report.starts_at,
            Report.issued_at,
            *_CHARGED,
            _CORRECTED,
            _TOTALS["sites"].as_integer(),
        )
        .join(ClosedPeriod, period)
        .join(Distributor, Distributor.id == Report.distributor_id)
        .where(own, Report.issued_at.is_not(None), Report.cover.is_not(None))
    )


def _shelved(row: Any) -> Shelved:
    server, workstation, server_plus, corrected, sites = row[-5:]
    return Shelved(*(*row[:-5], (server, workstation, server_plus), corrected, sites))


def _issued(caller: Principal, msp_id: UUID) -> Select[*tuple[Any, ...]]:
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    return select(Report.id).where(Report.msp_id == msp_id, Report.issued_at.is_not(None), own)


async def _past(db: AsyncSession, caller: Principal, after: UUID) -> ColumnElement[bool]:
    """Give the condition for what comes after a report on the shelf."""
    query = _reports(caller).where(Report.id == after).with_only_columns(Report.starts_at, Report.msp_name)
    last = (await db.execute(query)).first()
    if last is None:
        raise Absent
    starts_at, name = last
    later = tuple_(Report.msp_name, Report.id) > tuple_(name, after)
    return or_(Report.starts_at < starts_at, and_(Report.starts_at == starts_at, later))


async def _with_standing(db: AsyncSession, caller: Principal, rows: Sequence[Shelved], now: datetime) -> list[Shelved]:
    disputed = await _disputed(db, [row.report_id for row in rows], now)
    stated = await _stated(db, await _with_amounts(db, caller, rows, now))
    return [replace(row, disputed=disputed.get(row.report_id, 0), stated=stated.get(row.report_id, {})) for row in rows]


async def _disputed(db: AsyncSession, report_ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    """Count the disputes of reports that are not decided yet."""
    rows = await db.execute(
        select(Dispute.report_id, func.count())
        .where(Dispute.report_id.in_(report_ids), pending(now))
        .group_by(Dispute.report_id)
    )
    return {row[0]: row[1] for row in rows}


async def _with_amounts(db: AsyncSession, caller: Principal, rows: Sequence[Shelved], now: datetime) -> list[UUID]:
    """Give the reports whose amounts the caller may see: an MSP, those of distributors that show them."""
    shown = {row.distributor_id for row in rows}
    if caller.kind is PartnerKind.MSP:
        shown = {one for one in shown if (await terms(db, one, now))[1]}
    return [row.report_id for row in rows if row.distributor_id in shown]


async def _stated(db: AsyncSession, report_ids: Sequence[UUID]) -> dict[UUID, dict[str, Decimal]]:
    """Give what reports come to by currency, where that is stated and the caller may see it."""
    rows = await db.execute(
        select(StatementLine.report_id, StatementLine.currency, func.sum(StatementLine.amount))
        .where(StatementLine.report_id.in_(report_ids))
        .group_by(StatementLine.report_id, StatementLine.currency)
    )
    found: dict[UUID, dict[str, Decimal]] = defaultdict(dict)
    for report_id, currency, amount in rows:
        if report_id is not None:
            found[report_id][currency] = amount
    return found


async def later_of(
    db: AsyncSession, caller: Principal, site_id: UUID, distributor_id: UUID, starts_at: datetime
) -> list[Later]:
    """Give what came after a line of a report: corrections that reports hold, then what the next one will hold."""
    own = partners.visible_chain(caller, Charge.msp_id, Charge.distributor_id)
    place = (Charge.site_id == site_id, Charge.distributor_id == distributor_id, Charge.starts_at == starts_at)
    held = await db.execute(
        select(Charge, Report.number)
        .join(Report, Report.id == Charge.report_id)
        .where(*place, own, Charge.origin != "report", Report.issued_at.is_not(None))
        .order_by(Report.starts_at, Charge.id)
    )
    waiting = await db.scalars(
        select(Adjustment)
        .where(
            Adjustment.site_id == site_id,
            Adjustment.distributor_id == distributor_id,
            Adjustment.starts_at == starts_at,
            partners.visible_chain(caller, Adjustment.msp_id, Adjustment.distributor_id),
            ~exists().where(Charge.site_id == Adjustment.site_id, Charge.adjustment_id == Adjustment.id),
        )
        .order_by(Adjustment.decided_at)
    )
    found = [Later(row.origin, _three(row), row.reason, row.actor, number, row.report_id) for row, number in held]
    return found + [Later("adjustment", _three(row), row.reason, row.actor, None, None) for row in waiting]


def _three(row: Charge | Adjustment) -> Three:
    return row.server, row.workstation, row.server_plus


async def msps_named(db: AsyncSession, caller: Principal, text: str, *, limit: int) -> list[tuple[UUID, str]]:
    """Give the caller's MSPs whose name has a text, by name."""
    named = (partners.visible_msp(caller, Msp.id), Msp.name.icontains(text, autoescape=True))
    rows = await db.execute(select(Msp.id, Msp.name).where(*named).order_by(Msp.name).limit(limit))
    return [(row[0], row[1]) for row in rows]
