"""The book: statements as a distributor goes through them, what still waits to be stated and why, and its prices.

Every function asks as often for fifty rows as for one.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent
from services.partners import Distributor, Msp, PartnerKind, Principal
from services.reports.billing_tables import (
    Invoice,
    Price,
    PriceCorrection,
    PriceList,
    Statement,
    StatementFile,
    StatementLine,
)
from services.reports.document import TYPES
from services.reports.pricing import Rates, Tier, amount
from services.reports.shelf import StoredForm
from services.reports.tables import Charge, ClosedPeriod, Report


@dataclass(frozen=True, slots=True)
class Booked:
    """A statement with its sums: how many MSPs it states, and how many of these have their invoice."""

    statement_id: UUID
    distributor_id: UUID
    distributor: str
    month: str
    part: int
    issued_at: datetime
    totals: Mapping[str, Decimal] = field(default_factory=dict)
    msps: int = 0
    invoiced: int = 0


@dataclass(frozen=True, slots=True)
class OpenedStatement:
    """A statement taken from the book: its document, its forms, the invoices that hold, by MSP."""

    row: Booked
    document: Mapping[str, Any]
    document_sha256: bytes
    forms: Sequence[StoredForm]
    invoices: Mapping[UUID, Invoice]


@dataclass(frozen=True, slots=True)
class DraftLine:
    """What a type would come to; no price is no amount."""

    type: str
    quantity: int
    unit_price: Decimal | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An issued or held report that no statement has yet. `why`: report_held, price_missing, or ready."""

    report_id: UUID
    msp_id: UUID
    msp: str
    distributor: str
    month: str
    why: str
    currency: str | None
    lines: Sequence[DraftLine]

    @property
    def missing(self) -> list[str]:
        """The types that have a quantity and no price."""
        return [line.type for line in self.lines if line.quantity and line.amount is None]

    @property
    def total(self) -> Decimal:
        """What the priced lines come to."""
        return sum((line.amount for line in self.lines if line.amount is not None), Decimal(0))


@dataclass(frozen=True, slots=True)
class Listed:
    """A price list with its tiers and whose it is. `in_force`: it is what the present month is priced by."""

    row: PriceList
    msp: str | None
    distributor: str
    tiers: Mapping[str, Sequence[Tier]]
    in_force: bool


async def book(
    db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int, text: str | None = None
) -> list[Booked]:
    """Give a page of the statements, newest first; the vendor sees every distributor's, or those so named."""
    query = _statements(caller).order_by(Statement.id.desc()).limit(limit)
    if after is not None:
        query = query.where(Statement.id < after)
    if text:
        query = query.where(Distributor.name.icontains(text, autoescape=True))
    return await _with_sums(db, [Booked(*row) for row in await db.execute(query)])


async def opened(db: AsyncSession, caller: Principal, statement_id: UUID) -> OpenedStatement:
    """Give one statement with its document; raises `Absent` also for a stranger's."""
    query = _statements(caller).add_columns(Statement.document, Statement.document_sha256)
    found = (await db.execute(query.where(Statement.id == statement_id))).first()
    if found is None:
        raise Absent
    [row] = await _with_sums(db, [Booked(*found[:-2])])
    forms = await db.execute(
        select(StatementFile.form, func.octet_length(StatementFile.content), StatementFile.sha256)
        .where(StatementFile.statement_id == statement_id)
        .order_by(StatementFile.form)
    )
    written = await db.scalars(
        select(Invoice).where(Invoice.statement_id == statement_id).order_by(Invoice.recorded_at)
    )
    return OpenedStatement(
        row, json.loads(found[-2]), found[-1], [StoredForm(*one) for one in forms], {one.msp_id: one for one in written}
    )


async def price_corrections_of(db: AsyncSession, statement_id: UUID, msp_id: UUID) -> Sequence[PriceCorrection]:
    """Give the price corrections of what a statement states for an MSP, oldest first."""
    own = (PriceCorrection.statement_id == statement_id, PriceCorrection.msp_id == msp_id)
    return (await db.scalars(select(PriceCorrection).where(*own).order_by(PriceCorrection.recorded_at))).all()


async def waiting(db: AsyncSession, caller: Principal, now: datetime, *, limit: int) -> tuple[int, list[Waiting]]:
    """Give how many closed reports no statement has yet, and the oldest of them, each as a draft and why it waits."""
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    stated = exists().where(StatementLine.report_id == Report.id)
    here = (own, Report.document.is_not(None) | Report.held.is_not(None), ~stated)
    count = await db.scalar(select(func.count()).select_from(Report).where(*here)) or 0
    sums = [func.coalesce(func.sum(getattr(Charge, name)), 0) for name in TYPES]
    rows = await db.execute(
        select(
            Report.id, Report.msp_id, Report.msp_name, Report.distributor_id, Distributor.name, ClosedPeriod.month,
            Report.held.is_not(None), *sums,
        )
        .join(Distributor, Distributor.id == Report.distributor_id)
        .join(
            ClosedPeriod,
            (ClosedPeriod.distributor_id == Report.distributor_id) & (ClosedPeriod.starts_at == Report.starts_at),
        )
        .outerjoin(Charge, (Charge.report_id == Report.id) & (Charge.origin == "report"))
        .where(*here)
        .group_by(Report.id, Distributor.name, ClosedPeriod.month)
        .order_by(Report.starts_at, Report.msp_name, Report.id)
        .limit(limit)
    )  # fmt: skip
    every = rows.all()
    lists = await _lists(db, {row[3] for row in every}, now)
    return count, [_waiting(row, lists.get(row[3], [])) for row in every]


async def price_lists(
    db: AsyncSession, caller: Principal, month: str, *, after: UUID | None, limit: int, text: str | None = None
) -> list[Listed]:
    """Give a page of the price lists, newest first; those of MSPs so named only, if asked for."""
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    own = partners.visible_chain(caller, None, PriceList.distributor_id)
    query = (
        select(PriceList, Msp.name, Distributor.name)
        .outerjoin(Msp, Msp.id == PriceList.msp_id)
        .join(Distributor, Distributor.id == PriceList.distributor_id)
        .where(own)
        .order_by(PriceList.id.desc())
        .limit(limit)
    )
    if after is not None:
        query = query.where(PriceList.id < after)
    if text:
        query = query.where(Msp.name.icontains(text, autoescape=True))
    rows = (await db.execute(query)).all()
    tiers = await _tiers(db, [row.id for row, _, _ in rows])
    force = await _in_force(db, {row.distributor_id for row, _, _ in rows}, month)
    return [Listed(row, msp, distributor, tiers.get(row.id, {}), row.id in force) for row, msp, distributor in rows]


async def rates_of(db: AsyncSession, distributor_id: UUID, msp_id: UUID | None, month: str) -> Rates | None:
    """Give the prices in force for a month: an MSP's own, else the general ones; None if there are none."""
    lists = (await _lists(db, {distributor_id}, None)).get(distributor_id, [])
    return _chosen(lists, msp_id, month)


def _statements(caller: Principal) -> Select[*tuple[Any, ...]]:
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    period = (ClosedPeriod.distributor_id == Statement.distributor_id) & (ClosedPeriod.starts_at == Statement.starts_at)
    own = partners.visible_chain(caller, None, Statement.distributor_id)
    return (
        select(
            Statement.id,
            Statement.distributor_id,
            Distributor.name,
            ClosedPeriod.month,
            Statement.part,
            Statement.issued_at,
        )
        .join(ClosedPeriod, period)
        .join(Distributor, Distributor.id == Statement.distributor_id)
        .where(own)
    )


async def _with_sums(db: AsyncSession, rows: Sequence[Booked]) -> list[Booked]:
    ids = [row.statement_id for row in rows]
    totals: dict[UUID, dict[str, Decimal]] = defaultdict(dict)
    sums = select(StatementLine.statement_id, StatementLine.currency, func.sum(StatementLine.amount))
    of_these = StatementLine.statement_id.in_(ids)
    by_currency = sums.where(of_these).group_by(StatementLine.statement_id, StatementLine.currency)
    for statement_id, currency, total in await db.execute(by_currency.order_by(StatementLine.currency)):
        totals[statement_id][currency] = total
    stated = await _count(db, select(StatementLine.statement_id, StatementLine.msp_id).where(of_these))
    invoiced = await _count(db, select(Invoice.statement_id, Invoice.msp_id).where(Invoice.statement_id.in_(ids)))
    return [
        Booked(
            row.statement_id, row.distributor_id, row.distributor, row.month, row.part, row.issued_at,
            totals.get(row.statement_id, {}), stated.get(row.statement_id, 0), invoiced.get(row.statement_id, 0),
        )
        for row in rows
    ]  # fmt: skip


async def _count(db: AsyncSession, pairs: Select[UUID, UUID]) -> dict[UUID, int]:
    """Count the different seconds of each first."""
    found = pairs.distinct().subquery()
    first = found.c[0]
    return {row[0]: row[1] for row in await db.execute(select(first, func.count()).group_by(first))}


def _waiting(row: Any, lists: Sequence[tuple[PriceList, Rates]]) -> Waiting:
    report_id, msp_id, msp, _, distributor, month, held, *quantities = row
    rates = _chosen(lists, msp_id, month)
    lines = [_draft(name, quantities[number], rates) for number, name in enumerate(TYPES)]
    unpriced = any(line.quantity and line.amount is None for line in lines) or rates is None
    why = "report_held" if held else "price_missing" if unpriced else "ready"
    return Waiting(report_id, msp_id, msp, distributor, month, why, rates.currency if rates else None, lines)


def _draft(name: str, quantity: int, rates: Rates | None) -> DraftLine:
    price = rates.unit_price(name, quantity) if rates is not None else None
    if rates is None or price is None:
        return DraftLine(name, quantity, None, None)
    return DraftLine(name, quantity, price, amount(quantity, price, rates.currency))


def _chosen(lists: Sequence[tuple[PriceList, Rates]], msp_id: UUID | None, month: str) -> Rates | None:
    """Choose as `price_lists.rates_for` does: an MSP's own before the general one, the newest of the latest month."""
    fitting = [(row, rates) for row, rates in lists if row.msp_id in (None, msp_id) and row.from_month <= month]
    if not fitting:
        return None
    order = lambda one: (one[0].msp_id is not None, one[0].from_month, one[0].recorded_at, one[0].id)  # noqa: E731
    return max(fitting, key=order)[1]


async def _lists(
    db: AsyncSession, distributor_ids: set[UUID], now: datetime | None
) -> dict[UUID, list[tuple[PriceList, Rates]]]:
    query = select(PriceList).where(PriceList.distributor_id.in_(distributor_ids))
    rows = (await db.scalars(query if now is None else query.where(PriceList.recorded_at <= now))).all()
    tiers = await _tiers(db, [row.id for row in rows])
    found: dict[UUID, list[tuple[PriceList, Rates]]] = defaultdict(list)
    for row in rows:
        found[row.distributor_id].append((row, Rates(row.currency, tiers.get(row.id, {}))))
    return found


async def _tiers(db: AsyncSession, list_ids: Sequence[UUID]) -> dict[UUID, dict[str, list[Tier]]]:
    prices = await db.scalars(
        select(Price).where(Price.list_id.in_(list_ids)).order_by(Price.list_id, Price.type, Price.from_units)
    )
    tiers: dict[UUID, dict[str, list[Tier]]] = defaultdict(lambda: defaultdict(list))
    for price in prices:
        tiers[price.list_id][price.type].append(Tier(price.from_units, price.price))
    return {list_id: dict(own) for list_id, own in tiers.items()}


async def _in_force(db: AsyncSession, distributor_ids: set[UUID], month: str) -> set[UUID]:
    """Give the lists by which a month is priced: the general one of each distributor, and each MSP's own."""
    order = (PriceList.distributor_id, PriceList.msp_id, PriceList.from_month.desc(), PriceList.recorded_at.desc())
    query = (
        select(PriceList.id)
        .where(PriceList.distributor_id.in_(distributor_ids), PriceList.from_month <= month)
        .ext(distinct_on(PriceList.distributor_id, PriceList.msp_id))
        .order_by(*order, PriceList.id.desc())
    )
    return set((await db.scalars(query)).all())
