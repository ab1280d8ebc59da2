"""Statements: what a distributor may invoice for a month, MSP by MSP; what waits and why; invoices, wrong prices."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console import answers, once
from license_api.console.disputes import Reason
from license_api.console.flags import ORIGINS, TYPES, people
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.billing import SumText
from license_api.v1.fields import Message, Name
from license_api.v1.pages import cursor, named
from services import ids, partners, reports
from services.errors import Absent
from services.partners import PartnerKind, Right

router = APIRouter(prefix="/statements", route_class=PageRoute)
Form = Literal["json", "csv", "xlsx", "pdf", "pdf.it", "pdf.en"]
_ROWS, _MSPS = 50, 50


class WrittenInvoice(Message):
    """The invoice that was written."""

    number: Name
    invoiced_on: date


class WrongPrice(Message):
    """A signed amount, and why."""

    amount: SumText
    reason: Reason


@router.get("")
async def list_statements(visit: SignedIn, q: str = "", after: str | None = None) -> Response:
    """Newest first; above them what still waits, and why."""
    visit.require(Right.REPORTS_READ)
    rows = await reports.book.book(
        visit.db,
        visit.principal,
        after=cursor("statement", after or None),
        limit=_ROWS,
        text=q.replace("\x00", "")[:200] or None,
    )
    count, waiting = await reports.book.waiting(visit.db, visit.principal, visit.now, limit=_ROWS)
    last = ids.show("statement", rows[-1].statement_id) if len(rows) == _ROWS else None
    return visit.page(
        "statements/list.html",
        rows=rows,
        q=q,
        after=after,
        last=last,
        waiting=waiting,
        waiting_count=count,
        types=TYPES,
    )


@router.get("/{statement_id}")
async def show_statement(statement_id: str, visit: SignedIn, q: str = "", page: int = 1) -> Response:
    """One statement: each MSP with what it comes to, and whether its invoice was written."""
    visit.require(Right.REPORTS_READ)
    found = await reports.book.opened(visit.db, visit.principal, named("statement", statement_id))
    every = [one for one in found.document["msps"] if q.casefold() in one["msp"].casefold()]
    page = max(1, min(page, 1 + (len(every) - 1) // _MSPS))
    invoices = {ids.show("msp", msp_id): invoice for msp_id, invoice in found.invoices.items()}
    return visit.page(
        "statements/statement.html", found=found, row=found.row, document=found.document, types=TYPES, q=q, page=page,
        msps=every[(page - 1) * _MSPS : page * _MSPS], more=len(every) > page * _MSPS, invoices=invoices,
        statement_id=statement_id,
    )  # fmt: skip


@router.get("/{statement_id}/files/{form}")
async def download(statement_id: str, form: Form, visit: SignedIn) -> Response:
    """The very bytes that the API gives."""
    visit.require(Right.REPORTS_READ)
    wanted = named("statement", statement_id)
    content = await reports.statement_file(visit.db, visit.principal, wanted, form)
    one = await reports.one_statement(visit.db, visit.principal, wanted)
    name = f"statement-{one.month}-{one.row.part}" + {"pdf.it": "-it.pdf", "pdf.en": "-en.pdf"}.get(form, f".{form}")
    return answers.download(visit, name, content, reports.MEDIA_TYPES.get(form, "application/pdf"))


@router.get("/{statement_id}/msps/{msp_id}")
async def show_msp(statement_id: str, msp_id: str, visit: SignedIn) -> Response:
    """What an invoice to one MSP is written from."""
    visit.require(Right.REPORTS_READ)
    return await _msp_page(visit, statement_id, msp_id)


@router.post("/{statement_id}/msps/{msp_id}/invoice")
async def record_invoice(statement_id: str, msp_id: str, visit: SignedIn) -> Response:
    """Record the invoice that was written; recorded again, the last one holds."""
    given = _given(visit, WrittenInvoice)
    if given is not None:
        await visit.attempt(_record(visit, statement_id, msp_id, given))
    if visit.form.right:
        return visit.go(
            f"/statements/{statement_id}/msps/{msp_id}", N_("The invoice is recorded; corrections cite it.")
        )
    return await _msp_page(visit, statement_id, msp_id)


@router.post("/{statement_id}/msps/{msp_id}/price-correction")
async def correct_price(statement_id: str, msp_id: str, visit: SignedIn) -> Response:
    """Correct a price that was stated wrongly; the next statement holds it."""
    address, said = f"/statements/{statement_id}/msps/{msp_id}", N_("The next statement holds this correction.")
    given = _given(visit, WrongPrice, amount=visit.form.get("amount").replace(",", ".").replace("−", "-"))
    if given is not None:
        await once.attempt(visit, _correct(visit, statement_id, msp_id, given))
    if visit.form.right:
        return visit.go(address, said)
    return await _msp_page(visit, statement_id, msp_id)


def _given(visit: Signed, model: type[Any], **more: Any) -> Any:
    """Read a form of the distributor's own."""
    visit.require(Right.REPORTS_WRITE)
    visit.principal.one_of(PartnerKind.DISTRIBUTOR)
    return visit.form.read(model, **more)


async def _record(visit: Signed, statement_id: str, msp_id: str, given: WrittenInvoice) -> None:
    one = await reports.one_statement(visit.db, visit.principal, named("statement", statement_id))
    wanted = named("msp", msp_id)
    await reports.stated_for(visit.db, one.row.id, wanted)
    values = given.model_dump()
    await reports.record_invoice(visit.db, one.row, wanted, **values, actor=visit.principal.actor, now=visit.now)
    after = {**given.model_dump(mode="json"), "msp_id": msp_id}
    await _note(visit, "invoice.recorded", statement_id, after, wanted)


async def _correct(visit: Signed, statement_id: str, msp_id: str, given: WrongPrice) -> None:
    one = await reports.one_statement(visit.db, visit.principal, named("statement", statement_id))
    wanted = named("msp", msp_id)
    currency = await reports.stated_for(visit.db, one.row.id, wanted)
    amount, actor = Decimal(given.amount), visit.principal.actor
    await reports.correct_price(
        visit.db, one.row, wanted, amount=amount, currency=currency, reason=given.reason, actor=actor, now=visit.now
    )
    await _note(visit, "price.corrected", statement_id, {**given.model_dump(), "msp_id": msp_id}, wanted)


async def _note(visit: Signed, event: str, statement_id: str, after: Mapping[str, Any], msp_id: UUID) -> None:
    await partners.note(visit.db, visit.principal, event, statement_id, after=after, msp_id=msp_id, now=visit.now)


async def _msp_page(visit: Signed, statement_id: str, msp_id: str) -> Response:
    found = await reports.book.opened(visit.db, visit.principal, named("statement", statement_id))
    stated = next((one for one in found.document["msps"] if one["msp_id"] == msp_id), None)
    if stated is None:
        raise Absent
    wanted = named("msp", msp_id)
    corrections = await reports.book.price_corrections_of(visit.db, found.row.statement_id, wanted)
    may = visit.principal.kind is PartnerKind.DISTRIBUTOR and visit.may(Right.REPORTS_WRITE)
    return visit.page(
        "statements/msp.html", found=found, row=found.row, one=stated, invoice=found.invoices.get(wanted),
        corrections=corrections, types=TYPES, origins=ORIGINS, statement_id=statement_id, msp_id=msp_id, may=may,
        who=await people(visit, [one.actor for one in corrections]),
        contested=[line for line in found.document["contested"] if line["msp"] == stated["msp"]],
        once=once.name(), today=visit.now.astimezone(visit.zone).date().isoformat(),
    )  # fmt: skip


def read_decimal(text: str) -> Decimal | None:
    """Read an exact decimal with a comma or a point; None if it is none."""
    try:
        return Decimal(text.strip().replace(",", "."))
    except InvalidOperation:
        return None
