"""What a distributor invoices by: its terms and price lists, its statements, the invoices written from them."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, StringConstraints

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import (
    Count,
    DistributorIdText,
    Flag,
    Instant,
    Message,
    MspIdText,
    Name,
    PriceListIdText,
    ReportIdText,
    Said,
    Sha256Hex,
    StatementIdText,
)
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, partners, reports
from services.errors import Absent, ChangedMeanwhile, Invalid
from services.partners import IdempotencyKeyReused, PartnerKind, Right, WrongPartner

router = APIRouter(tags=["billing"], route_class=OnceRoute)
PriceText = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,10}(\.[0-9]{1,6})?$"), Field(examples=["4.50"], description="Exact.")
]
SumText = Annotated[
    str, StringConstraints(pattern=r"^-?[0-9]{1,10}(\.[0-9]{1,3})?$"), Field(examples=["-12.50"], description="Signed.")
]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$"), Field(examples=["EUR"])]
Month = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$"), Field(examples=["2026-03"])]
Form = Annotated[Literal["json", "csv", "xlsx", "pdf", "pdf.it", "pdf.en"], Path()]
_CREATES = (IdempotencyKeyReused, WrongPartner, *CALLER_REFUSALS)
FILES: dict[str, Any] = {
    "application/json": {"schema": {"type": "object"}},
    "text/csv": {"schema": {"type": "string"}},
    reports.MEDIA_TYPES["xlsx"]: {"schema": {"type": "string", "format": "binary"}},
    "application/pdf": {"schema": {"type": "string", "format": "binary"}},
}


class Terms(Message):
    """What is charged for a site without any data in a month, and whether MSPs see amounts."""

    no_data: Literal["nothing", "last_known"]
    shows_amounts: Flag


class TierShown(Message):
    """From so many units of the type on, the price of each of them."""

    from_units: Count
    price: PriceText


_Tiers = Annotated[list[TierShown], Field(min_length=1, max_length=50)]


class Prices(Message):
    """The tiers of each type; a type that is left out has no price, which holds the statement of whoever uses it."""

    server: _Tiers | None = None
    workstation: _Tiers | None = None
    server_plus: _Tiers | None = None


class NewPriceList(Message):
    """A price list in force from the period of a month on: for one MSP, or for all that have none of their own."""

    msp_id: MspIdText | None = None
    currency: Currency
    from_month: Month
    prices: Prices


class PriceListShown(Said):
    """A price list. It never changes: a newer one of the same month takes its place for what is not yet stated."""

    id: PriceListIdText
    distributor_id: DistributorIdText
    msp_id: MspIdText | None
    currency: str
    from_month: str
    prices: Prices
    recorded_at: Instant


class PriceListPage(Said):
    """A page of price lists."""

    items: list[PriceListShown]


class InvoiceShown(Said):
    """The invoice that was written for an MSP."""

    msp_id: MspIdText
    number: str
    invoiced_on: date
    recorded_at: Instant


class StatementShown(Said):
    """A statement. A part after the first holds what was held before."""

    id: StatementIdText
    distributor_id: DistributorIdText
    month: str
    part: int
    issued_at: Instant
    sha256: Sha256Hex
    invoices: list[InvoiceShown]


class StatementPage(Said):
    """A page of statements."""

    items: list[StatementShown]


class NewInvoice(Message):
    """The number and the date of an invoice that was written from a statement for one of its MSPs."""

    msp_id: MspIdText
    number: Name
    invoiced_on: date


class NewPriceCorrection(Message):
    """A signed amount that corrects a wrong price which was stated, and why."""

    msp_id: MspIdText
    amount: SumText
    reason: Name


class PriceCorrectionShown(Said):
    """The next statement holds it as a line that names this one."""

    statement_id: StatementIdText
    msp_id: MspIdText
    amount: str
    currency: str


class AmountShown(Said):
    """One priced quantity; a correction has the price of its own month."""

    month: str
    origin: str
    type: str | None
    quantity: int
    unit_price: str | None
    amount: str
    currency: str


class Amounts(Said):
    """What a report comes to; empty until it is stated."""

    report_id: ReportIdText
    items: list[AmountShown]


@router.get(
    "/v1/billing-terms",
    operation_id="getBillingTerms",
    summary="The distributor's terms in force",
    responses=described(WrongPartner, *CALLER_REFUSALS),
)
async def get_terms(caller: Caller, db: Db, now: Now, response: Response) -> Terms:
    """With an ETag for changes."""
    caller.require(Right.REPORTS_READ)
    shown = _terms(await reports.terms(db, caller.one_of(PartnerKind.DISTRIBUTOR), now))
    tag(response, shown)
    return shown


@router.put(
    "/v1/billing-terms",
    operation_id="setBillingTerms",
    summary="Set the distributor's terms",
    responses=described(ChangedMeanwhile, Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def put_terms(
    body: Terms, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> Terms:
    """In force at once, for periods that close from now on."""
    caller.require(Right.REPORTS_WRITE)
    distributor_id = caller.one_of(PartnerKind.DISTRIBUTOR)
    await partners.one_distributor(db, caller, distributor_id, lock=True)
    before = _terms(await reports.terms(db, distributor_id, now))
    match(if_match, before)
    if body != before:
        terms = body.model_dump()
        await reports.set_terms(db, distributor_id, **terms, actor=caller.actor, now=now)
        shown = ids.show("distributor", distributor_id)
        await partners.note(db, caller, "terms.set", shown, before=before.model_dump(), after=terms, now=now)
    tag(response, body)
    return body


@router.get(
    "/v1/price-lists",
    operation_id="listPriceLists",
    summary="The distributor's price lists",
    responses=described(Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def list_price_lists(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> PriceListPage:
    """Oldest first. The vendor sees every distributor's."""
    caller.require(Right.REPORTS_READ)
    rows = await reports.prices_set(db, caller, after=cursor("price_list", after), limit=limit)
    link_next(request, response, rows, limit, lambda one: ids.show("price_list", one.row.id))
    return PriceListPage(items=[_price_list(one) for one in rows])


@router.post(
    "/v1/price-lists",
    operation_id="setPrices",
    summary="Set prices from the period of a month on",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, *_CREATES),
)
async def post_price_list(body: NewPriceList, caller: Caller, db: Db, now: Now) -> PriceListShown:
    """All units of a type have the price of the tier that the MSP's total reached. What is stated never changes."""
    caller.require(Right.REPORTS_WRITE)
    distributor_id = caller.one_of(PartnerKind.DISTRIBUTOR)
    msp_id = named("msp", body.msp_id) if body.msp_id else None
    if msp_id is not None:
        await partners.one_msp(db, caller, msp_id)
    given = body.prices.model_dump(exclude_none=True)
    tiers = {
        name: [reports.Tier(one["from_units"], Decimal(one["price"])) for one in own] for name, own in given.items()
    }
    row = await reports.set_prices(
        db,
        distributor_id,
        msp_id=msp_id,
        currency=body.currency,
        from_month=body.from_month,
        tiers=tiers,
        actor=caller.actor,
        now=now,
    )
    after = body.model_dump(exclude_none=True)
    await partners.note(db, caller, "prices.set", ids.show("price_list", row.id), after=after, now=now)
    return _price_list(await reports.with_tiers(db, row))


@router.get(
    "/v1/statements",
    operation_id="listStatements",
    summary="The distributor's statements",
    responses=described(Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def list_statements(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> StatementPage:
    """Oldest first. The vendor sees every distributor's."""
    caller.require(Right.REPORTS_READ)
    rows = await reports.statements(db, caller, after=cursor("statement", after), limit=limit)
    link_next(request, response, rows, limit, lambda one: ids.show("statement", one.row.id))
    return StatementPage(items=[_statement(one) for one in rows])


@router.get(
    "/v1/statements/{statement_id}",
    operation_id="getStatement",
    summary="One statement, with the invoices that were recorded",
    responses=described(Absent, WrongPartner, *CALLER_REFUSALS),
)
async def get_statement(statement_id: str, caller: Caller, db: Db) -> StatementShown:
    """Its lines are in its forms."""
    caller.require(Right.REPORTS_READ)
    return _statement(await reports.one_statement(db, caller, named("statement", statement_id)))


@router.get(
    "/v1/statements/{statement_id}/{form}",
    operation_id="downloadStatement",
    summary="One form of a statement: the very bytes",
    response_class=Response,
    responses={200: {"content": FILES}, **described(Absent, Invalid, WrongPartner, *CALLER_REFUSALS)},
)
async def download_statement(statement_id: str, form: Form, caller: Caller, db: Db) -> Response:
    """Issued bytes never change. `pdf` is in the distributor's own language."""
    caller.require(Right.REPORTS_READ)
    content = await reports.statement_file(db, caller, named("statement", statement_id), form)
    return Response(content, media_type=reports.MEDIA_TYPES.get(form, "application/pdf"))


@router.post(
    "/v1/statements/{statement_id}/invoices",
    operation_id="recordInvoice",
    summary="Record the invoice that was written for an MSP",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, *_CREATES),
)
async def post_invoice(statement_id: str, body: NewInvoice, caller: Caller, db: Db, now: Now) -> StatementShown:
    """Later corrections cite it. Recorded again, the last one holds."""
    caller.require(Right.REPORTS_WRITE)
    caller.one_of(PartnerKind.DISTRIBUTOR)
    one = await reports.one_statement(db, caller, named("statement", statement_id))
    msp_id = named("msp", body.msp_id)
    await reports.stated_for(db, one.row.id, msp_id)
    await reports.record_invoice(
        db, one.row, msp_id, number=body.number, invoiced_on=body.invoiced_on, actor=caller.actor, now=now
    )
    after = body.model_dump(mode="json")
    await partners.note(db, caller, "invoice.recorded", statement_id, after=after, msp_id=msp_id, now=now)
    return _statement(await reports.one_statement(db, caller, one.row.id))


@router.post(
    "/v1/statements/{statement_id}/price-corrections",
    operation_id="correctPrice",
    summary="Correct a price that was stated wrongly",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, *_CREATES),
)
async def post_price_correction(
    statement_id: str, body: NewPriceCorrection, caller: Caller, db: Db, now: Now
) -> PriceCorrectionShown:
    """A signed line of the next statement, which names this one. Issued statements never change."""
    caller.require(Right.REPORTS_WRITE)
    caller.one_of(PartnerKind.DISTRIBUTOR)
    one = await reports.one_statement(db, caller, named("statement", statement_id))
    msp_id = named("msp", body.msp_id)
    currency = await reports.stated_for(db, one.row.id, msp_id)
    amount = Decimal(body.amount)
    await reports.correct_price(
        db, one.row, msp_id, amount=amount, currency=currency, reason=body.reason, actor=caller.actor, now=now
    )
    await partners.note(db, caller, "price.corrected", statement_id, after=body.model_dump(), msp_id=msp_id, now=now)
    return PriceCorrectionShown(statement_id=statement_id, msp_id=body.msp_id, amount=body.amount, currency=currency)


@router.get(
    "/v1/reports/{report_id}/amounts",
    operation_id="getAmounts",
    summary="What an issued report comes to",
    responses=described(Absent, reports.AmountsNotShown, *CALLER_REFUSALS),
)
async def get_amounts(report_id: str, caller: Caller, db: Db, now: Now) -> Amounts:
    """An MSP sees amounts if its distributor allows it."""
    caller.require(Right.REPORTS_READ)
    lines = await reports.amounts_of(db, caller, named("report", report_id), now)
    return Amounts(report_id=report_id, items=[_amount(line) for line in lines])


def _terms(terms: tuple[Any, bool]) -> Terms:
    return Terms(no_data=terms[0], shows_amounts=terms[1])


def _price_list(one: reports.SetPrices) -> PriceListShown:
    row = one.row
    prices = {
        name: [TierShown(from_units=tier.from_units, price=reports.show_price(tier.price)) for tier in own]
        for name, own in one.tiers.items()
    }
    return PriceListShown(
        id=ids.show("price_list", row.id),
        distributor_id=ids.show("distributor", row.distributor_id),
        msp_id=ids.show("msp", row.msp_id) if row.msp_id else None,
        currency=row.currency,
        from_month=row.from_month,
        prices=Prices(**prices),
        recorded_at=row.recorded_at,
    )


def _statement(one: reports.StatedMonth) -> StatementShown:
    row = one.row
    return StatementShown(
        id=ids.show("statement", row.id),
        distributor_id=ids.show("distributor", row.distributor_id),
        month=one.month,
        part=row.part,
        issued_at=row.issued_at,
        sha256=row.document_sha256.hex(),
        invoices=[
            InvoiceShown(
                msp_id=ids.show("msp", invoice.msp_id),
                number=invoice.number,
                invoiced_on=invoice.invoiced_on,
                recorded_at=invoice.recorded_at,
            )
            for invoice in one.invoices
        ],
    )


def _amount(line: reports.AmountLine) -> AmountShown:
    return AmountShown(
        month=line.month,
        origin=line.origin,
        type=line.type,
        quantity=line.quantity,
        unit_price=reports.show_price(line.unit_price) if line.unit_price is not None else None,
        amount=str(reports.rounded(line.amount, line.currency)),
        currency=line.currency,
    )
