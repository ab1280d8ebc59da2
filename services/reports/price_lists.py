"""Price lists: recorded, never changed; the newest in force for a period holds, an MSP's own before all others."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent, Invalid
from services.ids import new_id
from services.reports.billing_tables import BillingTerms, Invoice, Price, PriceCorrection, PriceList, Statement
from services.reports.charging import NoData
from services.reports.pricing import Rates, Tier, rounded

_TYPES = ("server", "workstation", "server_plus")
_CURRENCY = re.compile("[A-Z]{3}")
_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
_PLACES_MAX = 6


async def set_terms(
    db: AsyncSession, distributor_id: UUID, *, no_data: NoData, shows_amounts: bool, actor: str, now: datetime
) -> None:
    """Choose what a distributor charges where nothing is known, and whether its MSPs see amounts; from now on."""
    last = select(func.max(BillingTerms.recorded_at)).where(BillingTerms.distributor_id == distributor_id)
    at = _after(await db.scalar(last), now)
    db.add(
        BillingTerms(
            distributor_id=distributor_id, recorded_at=at, no_data=no_data, shows_amounts=shows_amounts, actor=actor
        )
    )
    await db.flush()


async def set_prices(
    db: AsyncSession,
    distributor_id: UUID,
    *,
    msp_id: UUID | None,
    currency: str,
    from_month: str,
    tiers: Mapping[str, Sequence[Tier]],
    actor: str,
    now: datetime,
) -> PriceList:
    """Record a price list in force from the period of a month on; raises `Invalid`.

    A later list of the same month takes its place for what is not yet stated; issued statements never change.
    """
    _check(currency, from_month, tiers)
    row = PriceList(
        id=new_id(now),
        distributor_id=distributor_id,
        msp_id=msp_id,
        currency=currency,
        from_month=from_month,
        actor=actor,
        recorded_at=now,
    )
    db.add(row)
    await db.flush()
    for name, own in tiers.items():
        for tier in own:
            db.add(Price(list_id=row.id, type=name, from_units=tier.from_units, price=tier.price))
    await db.flush()
    return row


async def rates_for(db: AsyncSession, distributor_id: UUID, msp_id: UUID, month: str, at: datetime) -> Rates | None:
    """Give the prices in force for an MSP and a month as recorded by an instant: its own list, else the general one."""
    rows = await db.scalars(
        select(PriceList)
        .where(
            PriceList.distributor_id == distributor_id,
            PriceList.msp_id.is_(None) | (PriceList.msp_id == msp_id),
            PriceList.from_month <= month,
            PriceList.recorded_at <= at,
        )
        .order_by(
            PriceList.msp_id.is_(None), PriceList.from_month.desc(), PriceList.recorded_at.desc(), PriceList.id.desc()
        )
        .limit(1)
    )
    chosen = rows.first()
    if chosen is None:
        return None
    prices = await db.scalars(select(Price).where(Price.list_id == chosen.id))
    tiers: dict[str, list[Tier]] = {}
    for price in prices:
        tiers.setdefault(price.type, []).append(Tier(price.from_units, price.price))
    return Rates(chosen.currency, dict(tiers))


async def record_invoice(
    db: AsyncSession,
    statement: Statement,
    msp_id: UUID,
    *,
    number: str,
    invoiced_on: date,
    actor: str,
    now: datetime,
) -> None:
    """Record the invoice that was written from a statement for an MSP; later corrections cite it."""
    own = (Invoice.statement_id == statement.id, Invoice.msp_id == msp_id)
    at = _after(await db.scalar(select(func.max(Invoice.recorded_at)).where(*own)), now)
    db.add(
        Invoice(
            statement_id=statement.id,
            msp_id=msp_id,
            recorded_at=at,
            number=number,
            invoiced_on=invoiced_on,
            actor=actor,
        )
    )
    await db.flush()


async def correct_price(
    db: AsyncSession,
    statement: Statement,
    msp_id: UUID,
    *,
    amount: Decimal,
    currency: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Correct a price that was stated wrongly: a signed amount, naming the statement, that the next one holds."""
    if rounded(amount, currency) != amount or amount == 0:
        raise Invalid("The amount must be a sum of this currency, and not zero.", pointer="/amount")
    db.add(
        PriceCorrection(
            id=new_id(now),
            distributor_id=statement.distributor_id,
            msp_id=msp_id,
            statement_id=statement.id,
            amount=amount,
            currency=currency,
            reason=reason,
            actor=actor,
            recorded_at=now,
        )
    )
    await db.flush()


async def statement_of(db: AsyncSession, distributor_id: UUID, statement_id: UUID) -> Statement:
    """Give a statement of a distributor; raises `Absent`."""
    row = await db.get(Statement, statement_id)
    if row is None or row.distributor_id != distributor_id:
        raise Absent
    return row


def _check(currency: str, from_month: str, tiers: Mapping[str, Sequence[Tier]]) -> None:
    if not _CURRENCY.fullmatch(currency):
        raise Invalid("A currency is three letters, like EUR.", pointer="/currency")
    if not _MONTH.fullmatch(from_month):
        raise Invalid("A month is written like 2026-03.", pointer="/from_month")
    for name, own in tiers.items():
        if name not in _TYPES:
            raise Invalid(f"There is no agent type {name!r}.", pointer="/prices")
        units = [tier.from_units for tier in own]
        if len(set(units)) != len(units) or 0 not in units:
            raise Invalid("The tiers of a type begin at 0 and differ.", pointer=f"/prices/{name}")
        if any(_places(tier.price) > _PLACES_MAX or tier.price < 0 for tier in own):
            raise Invalid("A price has at most six places and is not negative.", pointer=f"/prices/{name}")


def _after(last: datetime | None, now: datetime) -> datetime:
    """Give the instant of a new row: after the last one, also within one instant."""
    return now if last is None else max(now, last + timedelta(microseconds=1))


def _places(price: Decimal) -> int:
    exponent = price.as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
