"""Stating: what a distributor may invoice for a period, once its reports are issued; in parts, if some is held.

A price that is missing holds its MSP's statement; nothing is ever stated at 0 for want of a price. What is stated is
kept line by line, so that a later correction has its price, tier and currency, and a later price changes nothing.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import rfc8785
from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.ids import new_id
from services.partners import Distributor, Msp
from services.reports.billing_tables import (
    Invoice,
    PriceCorrection,
    PriceList,
    Statement,
    StatementFile,
    StatementLine,
)
from services.reports.claims import decisions, standing
from services.reports.letters import tell_stated
from services.reports.price_lists import rates_for
from services.reports.pricing import amount
from services.reports.statement import (
    Contested,
    Stated,
    StatedLine,
    StatementHeading,
    compose_statement,
    statement_name,
)
from services.reports.tables import Charge, ClosedPeriod, Dispute, Report, ReportLine

TYPES = ("server", "workstation", "server_plus")


@dataclass(frozen=True, slots=True)
class Unfiled:
    """A statement whose forms are to be made."""

    statement_id: UUID
    document: bytes


async def unstated(db: AsyncSession) -> list[tuple[UUID, datetime]]:
    """Give the periods that have issued reports which no statement holds, of distributors with prices; oldest first."""
    stated = exists().where(StatementLine.report_id == Report.id)
    priced = exists().where(PriceList.distributor_id == Report.distributor_id)
    rows = await db.execute(
        select(Report.distributor_id, Report.starts_at)
        .where(Report.issued_at.is_not(None), ~stated, priced)
        .distinct()
        .order_by(Report.starts_at, Report.distributor_id)
    )
    return [(row.distributor_id, row.starts_at) for row in rows]


async def state(db: AsyncSession, distributor_id: UUID, starts_at: datetime, now: datetime) -> UUID | None:
    """State what can be stated of a period; None while reports are on their way, or all that is left is held.

    The distributor's row is locked, so two workers make one statement.
    """
    distributor = await db.get_one(Distributor, distributor_id, with_for_update=True)
    closed = await db.get_one(ClosedPeriod, (distributor_id, starts_at))
    reports = await _reports(db, closed)
    if any(report.issued_at is None and report.held is None for report, _ in reports):
        return None
    part = 1 + (await db.scalar(select(func.max(Statement.part)).where(*_of(closed))) or 0)
    at = closed.cut_off_at if part == 1 else now
    stated, kept, held = await _state_all(db, closed, reports, at)
    if not stated:
        return None
    called = (await partners.called_at(db, [distributor], closed.ends_at))[distributor_id]
    own = {name: getattr(distributor, name) for name in ("legal_name", "address", "vat_number")}
    heading = StatementHeading(
        distributor={"name": called.name, **own},
        language=called.language,
        month=closed.month,
        zone=closed.zone,
        starts_at=closed.starts_at,
        ends_at=closed.ends_at,
        part=part,
        issued_at=at,
        held=held,
        contested=await _contested(db, distributor_id, at),
    )
    return await _store(db, closed, heading, stated, kept, now)


async def settled(db: AsyncSession) -> bool:
    """Tell whether all that is closed is issued and stated; what is held counts as not."""
    waiting = await db.scalar(select(exists().where(Report.issued_at.is_(None))))
    return not waiting and not await unstated(db) and await next_unfiled(db) is None


async def next_unfiled(db: AsyncSession) -> Unfiled | None:
    """Give a statement whose forms are to be made; the caller renders it outside any transaction."""
    filed = exists().where(StatementFile.statement_id == Statement.id)
    row = await db.scalar(select(Statement).where(~filed).order_by(Statement.starts_at, Statement.id).limit(1))
    return Unfiled(row.id, row.document) if row is not None else None


async def file_statement(db: AsyncSession, statement_id: UUID, forms: dict[str, bytes]) -> bool:
    """Keep the forms of a statement and tell the distributor; False if another worker did."""
    row = await db.get_one(Statement, statement_id, with_for_update=True)
    if await db.scalar(select(exists().where(StatementFile.statement_id == statement_id))):
        return False
    for form, content in sorted(forms.items()):
        db.add(StatementFile(statement_id=row.id, form=form, content=content, sha256=sha256(content).digest()))
    await tell_stated(db, row, json.loads(row.document))
    await db.flush()
    return True


async def statement_files(db: AsyncSession, form: str) -> list[tuple[str, bytes]]:
    """Give one form of every statement, with its name, in order: for an operator and the replay."""
    rows = await db.execute(
        select(ClosedPeriod.month, Statement.part, StatementFile.content)
        .join(StatementFile, StatementFile.statement_id == Statement.id)
        .join(
            ClosedPeriod,
            (ClosedPeriod.distributor_id == Statement.distributor_id) & (ClosedPeriod.starts_at == Statement.starts_at),
        )
        .where(StatementFile.form == form)
        .order_by(Statement.starts_at, Statement.part)
    )
    return [(statement_name(row.month, row.part), row.content) for row in rows]


Kept = list[tuple[StatedLine, UUID | None, datetime, UUID | None]]
"""A stated line, with its report, its period's start, and the price correction that it settles."""


async def _state_all(
    db: AsyncSession, closed: ClosedPeriod, reports: Sequence[tuple[Report, Msp]], at: datetime
) -> tuple[list[Stated], dict[UUID, Kept], list[tuple[str, str]]]:
    stated, kept, held = [], {}, []
    for report, msp in reports:
        if report.held is not None:
            held.append((report.msp_name, "report_held"))
            continue
        if await db.scalar(select(exists().where(StatementLine.report_id == report.id))):
            continue
        lines = await _lines(db, closed, report, at)
        if lines is None:
            held.append((report.msp_name, "price_missing"))
            continue
        lines += await _price_corrections(db, closed, report, at)
        kept[msp.id] = lines
        stated.append(Stated(msp.id, _identity(report, msp), report.number, [line for line, *_ in lines]))
    return stated, kept, held


async def _lines(db: AsyncSession, closed: ClosedPeriod, report: Report, at: datetime) -> Kept | None:
    """Price what a report charges; None if a price is missing for a quantity that is not 0."""
    rates = await rates_for(db, closed.distributor_id, report.msp_id, closed.month, at)
    charges = list(await db.scalars(select(Charge).where(Charge.report_id == report.id)))
    lines: Kept = []
    for name in TYPES:
        quantity = sum(getattr(charge, name) for charge in charges if charge.origin == "report")
        price = rates.unit_price(name, quantity) if rates else None
        if price is None or rates is None:
            if quantity:
                return None
            continue
        line = StatedLine(
            "report", closed.month, name, quantity, price, amount(quantity, price, rates.currency), rates.currency
        )
        lines.append((line, report.id, closed.starts_at, None))
    if not lines:
        return None
    corrections = await _corrections(db, [charge for charge in charges if charge.origin != "report"], at)
    return None if corrections is None else [*lines, *corrections]


async def _corrections(db: AsyncSession, charges: Sequence[Charge], at: datetime) -> Kept | None:
    """Price corrections as their period was priced; None if that is not stated yet."""
    groups: dict[tuple[datetime, str], list[Charge]] = defaultdict(list)
    for charge in charges:
        groups[charge.starts_at, charge.origin].append(charge)
    lines: Kept = []
    for (starts_at, origin), own in sorted(groups.items()):
        for name in TYPES:
            quantity = sum(getattr(charge, name) for charge in own)
            if quantity:
                line = await _as_then(db, own[0], origin, name, quantity, at)
                if line is None:
                    return None
                lines.append((line, own[0].report_id, starts_at, None))
    return lines


async def _as_then(
    db: AsyncSession, charge: Charge, origin: str, name: str, quantity: int, at: datetime
) -> StatedLine | None:
    row = (
        await db.execute(
            select(StatementLine, Statement, ClosedPeriod.month)
            .join(Statement, Statement.id == StatementLine.statement_id)
            .join(
                ClosedPeriod,
                (ClosedPeriod.distributor_id == Statement.distributor_id)
                & (ClosedPeriod.starts_at == Statement.starts_at),
            )
            .where(
                Statement.distributor_id == charge.distributor_id,
                StatementLine.msp_id == charge.msp_id,
                StatementLine.starts_at == charge.starts_at,
                StatementLine.origin == "report",
            )
            .order_by((StatementLine.type == name).desc(), StatementLine.position)
            .limit(1)
        )
    ).first()
    if row is None:
        return None
    then, statement, month = row
    unit_price = then.unit_price
    if then.type != name:  # none of this type was stated then, and none had a price
        rates = await rates_for(db, charge.distributor_id, charge.msp_id, month, at)
        unit_price = rates.unit_price(name, 0) if rates and rates.currency == then.currency else None
    if unit_price is None:
        return None
    invoice = await _invoice(db, statement.id, charge.msp_id)
    return StatedLine(
        origin=origin,
        month=month,
        type=name,
        quantity=quantity,
        unit_price=unit_price,
        amount=amount(quantity, unit_price, then.currency),
        currency=then.currency,
        statement=statement_name(month, statement.part),
        invoice=invoice.number if invoice else None,
        invoiced_on=invoice.invoiced_on.isoformat() if invoice else None,
    )


async def _price_corrections(db: AsyncSession, closed: ClosedPeriod, report: Report, at: datetime) -> Kept:
    settled = exists().where(StatementLine.price_correction_id == PriceCorrection.id)
    rows = await db.execute(
        select(PriceCorrection, Statement, ClosedPeriod.month)
        .join(Statement, Statement.id == PriceCorrection.statement_id)
        .join(
            ClosedPeriod,
            (ClosedPeriod.distributor_id == Statement.distributor_id) & (ClosedPeriod.starts_at == Statement.starts_at),
        )
        .where(
            PriceCorrection.distributor_id == closed.distributor_id,
            PriceCorrection.msp_id == report.msp_id,
            PriceCorrection.recorded_at <= at,
            ~settled,
        )
        .order_by(PriceCorrection.recorded_at, PriceCorrection.id)
    )
    lines: Kept = []
    for row, statement, month in rows.all():
        invoice = await _invoice(db, statement.id, report.msp_id)
        line = StatedLine(
            origin="price",
            month=month,
            type=None,
            quantity=0,
            unit_price=None,
            amount=row.amount,
            currency=row.currency,
            statement=statement_name(month, statement.part),
            invoice=invoice.number if invoice else None,
            invoiced_on=invoice.invoiced_on.isoformat() if invoice else None,
            reason=row.reason,
        )
        lines.append((line, report.id, statement.starts_at, row.id))
    return lines


async def _invoice(db: AsyncSession, statement_id: UUID, msp_id: UUID) -> Invoice | None:
    return await db.scalar(
        select(Invoice)
        .where(Invoice.statement_id == statement_id, Invoice.msp_id == msp_id)
        .order_by(Invoice.recorded_at.desc())
        .limit(1)
    )


async def _contested(db: AsyncSession, distributor_id: UUID, at: datetime) -> list[Contested]:
    """Give the lines under dispute at an instant, each apart from all others."""
    rows = await db.execute(
        select(Dispute, ReportLine.name, Msp.name, Report.number, ClosedPeriod.month, Charge)
        .join(Report, Report.id == Dispute.report_id)
        .join(Msp, Msp.id == Dispute.msp_id)
        .join(
            ReportLine,
            (ReportLine.site_id == Dispute.site_id)
            & (ReportLine.distributor_id == Dispute.distributor_id)
            & (ReportLine.starts_at == Dispute.starts_at),
        )
        .join(Charge, (Charge.site_id == Dispute.site_id) & (Charge.report_id == Dispute.report_id))
        .join(
            ClosedPeriod,
            (ClosedPeriod.distributor_id == Dispute.distributor_id) & (ClosedPeriod.starts_at == Dispute.starts_at),
        )
        .where(Dispute.distributor_id == distributor_id, Dispute.opened_at <= at, Charge.origin == "report")
        .order_by(Msp.name, ClosedPeriod.month, ReportLine.name, Dispute.site_id)
    )
    found = []
    for row, site, msp, number, month, charge in rows.all():
        answers = [one for one in await decisions(db, row) if one.decided_at <= at]
        stands = standing(row, answers, at)
        if stands in ("open", "refused"):
            charged = (charge.server, charge.workstation, charge.server_plus)
            claimed = (row.server, row.workstation, row.server_plus)
            found.append(Contested(msp, site, month, number or "", charged, claimed, stands, row.reason))
    return found


async def _reports(db: AsyncSession, closed: ClosedPeriod) -> list[tuple[Report, Msp]]:
    rows = await db.execute(
        select(Report, Msp)
        .join(Msp, Msp.id == Report.msp_id)
        .where(Report.distributor_id == closed.distributor_id, Report.starts_at == closed.starts_at)
        .order_by(Report.msp_name, Report.id)
    )
    return [(report, msp) for report, msp in rows.all()]


def _identity(report: Report, msp: Msp) -> dict[str, str | None]:
    """Give whom an invoice goes to: by the name that the report has, with the legal data of now."""
    names = ("legal_name", "address", "country", "vat_number", "tax_code", "sdi_code", "pec", "customer_code")
    return {"msp": report.msp_name, **{name: getattr(msp, name) for name in names}}


def _of(closed: ClosedPeriod) -> tuple[Any, Any]:
    return Statement.distributor_id == closed.distributor_id, Statement.starts_at == closed.starts_at


async def _store(
    db: AsyncSession,
    closed: ClosedPeriod,
    heading: StatementHeading,
    stated: Sequence[Stated],
    kept: dict[UUID, Kept],
    now: datetime,
) -> UUID:
    document = rfc8785.dumps(compose_statement(heading, stated))
    row = Statement(
        id=new_id(now),
        distributor_id=closed.distributor_id,
        starts_at=closed.starts_at,
        part=heading.part,
        issued_at=heading.issued_at,
        document=document,
        document_sha256=sha256(document).digest(),
    )
    db.add(row)
    await db.flush()
    every = [(msp_id, *line) for msp_id, lines in kept.items() for line in lines]
    for position, (msp_id, line, report_id, starts_at, correction_id) in enumerate(every, start=1):
        db.add(
            StatementLine(
                statement_id=row.id,
                position=position,
                msp_id=msp_id,
                report_id=report_id,
                starts_at=starts_at,
                origin=line.origin,
                type=line.type,
                quantity=line.quantity,
                unit_price=line.unit_price,
                amount=Decimal(line.amount),
                currency=line.currency,
                price_correction_id=correction_id,
            )
        )
    await db.flush()
    return row.id
