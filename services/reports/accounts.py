"""Accounts: what a distributor has set and stated, as it, the vendor and (if allowed) its MSP read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent, Kind, Refusal
from services.partners import PartnerKind, Principal
from services.reports.billing_tables import Invoice, Price, PriceList, Statement, StatementFile, StatementLine
from services.reports.counting import terms
from services.reports.pricing import Tier
from services.reports.tables import ClosedPeriod, Report
from services.reports.wording import language_of


class AmountsNotShown(Refusal):
    """Your distributor does not show amounts here."""

    kind = Kind.FORBIDDEN
    code = "amounts_not_shown"


@dataclass(frozen=True, slots=True)
class SetPrices:
    """A price list with its tiers."""

    row: PriceList
    tiers: Mapping[str, Sequence[Tier]]


@dataclass(frozen=True, slots=True)
class StatedMonth:
    """A statement with its month and the invoices that were written from it."""

    row: Statement
    month: str
    invoices: Sequence[Invoice]


@dataclass(frozen=True, slots=True)
class AmountLine:
    """One priced quantity of a report."""

    month: str
    origin: str
    type: str | None
    quantity: int
    unit_price: Decimal | None
    amount: Decimal
    currency: str


async def prices_set(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> list[SetPrices]:
    """Give a page of the price lists that a distributor set, oldest first; the vendor sees all."""
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    own = partners.visible_chain(caller, None, PriceList.distributor_id)
    query = select(PriceList).where(own).order_by(PriceList.id).limit(limit)
    rows = (await db.scalars(query if after is None else query.where(PriceList.id > after))).all()
    return [await with_tiers(db, row) for row in rows]


async def with_tiers(db: AsyncSession, row: PriceList) -> SetPrices:
    """Give a price list with its tiers."""
    prices = await db.scalars(select(Price).where(Price.list_id == row.id).order_by(Price.type, Price.from_units))
    tiers: dict[str, list[Tier]] = {}
    for price in prices:
        tiers.setdefault(price.type, []).append(Tier(price.from_units, price.price))
    return SetPrices(row, dict(tiers))


async def statements(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> list[StatedMonth]:
    """Give a page of a distributor's statements, oldest first; the vendor sees all."""
    query = _statements(caller).order_by(Statement.id).limit(limit)
    rows = await db.execute(query if after is None else query.where(Statement.id > after))
    return [StatedMonth(row, month, await _invoices(db, row)) for row, month in rows.all()]


async def one_statement(db: AsyncSession, caller: Principal, statement_id: UUID) -> StatedMonth:
    """Give one; raises `Absent` also for a stranger's."""
    found = (await db.execute(_statements(caller).where(Statement.id == statement_id))).first()
    if found is None:
        raise Absent
    row, month = found
    return StatedMonth(row, month, await _invoices(db, row))


async def statement_file(db: AsyncSession, caller: Principal, statement_id: UUID, form: str) -> bytes:
    """Give the bytes of one form of a statement; `pdf` is the one in the distributor's language. Raises `Absent`."""
    row = (await one_statement(db, caller, statement_id)).row
    if form == "pdf":
        distributor = await db.get_one(partners.Distributor, row.distributor_id)
        form = f"pdf.{language_of(distributor.language)}"
    wanted = (StatementFile.statement_id == statement_id, StatementFile.form == form)
    content = await db.scalar(select(StatementFile.content).where(*wanted))
    if content is None:
        raise Absent
    return content


async def stated_for(db: AsyncSession, statement_id: UUID, msp_id: UUID) -> str:
    """Give the currency in which a statement states an MSP; raises `Absent` if it does not."""
    wanted = (StatementLine.statement_id == statement_id, StatementLine.msp_id == msp_id)
    currency = await db.scalar(select(StatementLine.currency).where(*wanted).order_by(StatementLine.position).limit(1))
    if currency is None:
        raise Absent
    return currency


async def amounts_of(db: AsyncSession, caller: Principal, report_id: UUID, now: datetime) -> list[AmountLine]:
    """Give what a report comes to, once it is stated; raises `AmountsNotShown`, and `Absent` also for a stranger's."""
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    report = await db.scalar(select(Report).where(Report.id == report_id, Report.issued_at.is_not(None), own))
    if report is None:
        raise Absent
    if caller.kind is PartnerKind.MSP and not (await terms(db, report.distributor_id, now))[1]:
        raise AmountsNotShown
    rows = await db.execute(
        select(StatementLine, ClosedPeriod.month)
        .join(ClosedPeriod, ClosedPeriod.starts_at == StatementLine.starts_at)
        .where(StatementLine.report_id == report_id, ClosedPeriod.distributor_id == report.distributor_id)
        .order_by(StatementLine.statement_id, StatementLine.position)
    )
    names = ("origin", "type", "quantity", "unit_price", "amount", "currency")
    return [AmountLine(month, *(getattr(line, name) for name in names)) for line, month in rows.all()]


def _statements(caller: Principal) -> Select[Statement, str]:
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    period = (ClosedPeriod.distributor_id == Statement.distributor_id) & (ClosedPeriod.starts_at == Statement.starts_at)
    own = partners.visible_chain(caller, None, Statement.distributor_id)
    return select(Statement, ClosedPeriod.month).join(ClosedPeriod, period).where(own)


async def _invoices(db: AsyncSession, row: Statement) -> Sequence[Invoice]:
    """Give the invoices that hold: the last one recorded for each MSP."""
    own = select(Invoice).where(Invoice.statement_id == row.id).order_by(Invoice.recorded_at)
    return list({invoice.msp_id: invoice for invoice in await db.scalars(own)}.values())
