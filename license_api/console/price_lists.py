"""Prices: a distributor's lists, for all its MSPs or for one, with volume tiers; and its terms."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BeforeValidator
from starlette.responses import Response

from license_api.console import once
from license_api.console.flags import TYPES
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.statements import read_decimal
from license_api.console.visit import Signed, SignedIn
from license_api.v1.billing import Currency, Month
from license_api.v1.fields import COUNT_MAX, Message
from license_api.v1.pages import cursor, named
from services import ids, partners, reports
from services.partners import PartnerKind, Right

router = APIRouter(prefix="/prices", route_class=PageRoute)
_ROWS, _TIERS, _FOUND = 50, 5, 10
_ABOVE = (PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)


class NewList(Message):
    """What a price list says beside its tiers."""

    currency: Annotated[Currency, BeforeValidator(lambda text: str(text).upper())]
    from_month: Month


class NewTerms(Message):
    """What is charged where nothing is known, and whether MSPs see amounts."""

    no_data: Literal["nothing", "last_known"]


@router.get("")
async def list_prices(visit: SignedIn, q: str = "", after: str | None = None) -> Response:
    """Newest first, with the terms above; MSPs that are looked for may be given prices of their own."""
    visit.require(Right.REPORTS_READ)
    visit.principal.one_of(*_ABOVE)
    return await _list_page(visit, q, after)


@router.post("/terms")
async def set_terms(visit: SignedIn) -> Response:
    """Set the terms: in force at once, for periods that close from now on."""
    own = _own(visit)
    given = visit.form.read(NewTerms)
    if given is not None:
        await visit.attempt(_set_terms(visit, own, given.no_data, shows="shows_amounts" in visit.form.every("shows")))
    if visit.form.right:
        return visit.go("/prices", N_("The terms are set: they hold for every month that closes from now on."))
    return await _list_page(visit, "", None)


@router.get("/new")
async def show_form(visit: SignedIn, msp: str = "") -> Response:
    """The form for a new list; what is in force now stands in it."""
    own = _own(visit)
    month = visit.now.astimezone(visit.zone).strftime("%Y-%m")
    msp_id = named("msp", msp) if msp else None
    rates = await reports.book.rates_of(visit.db, own, msp_id, month)
    return await _form_page(visit, msp, dict(rates.tiers) if rates else {}, rates.currency if rates else "EUR", month)


@router.post("/new")
async def set_prices(visit: SignedIn) -> Response:
    """Set prices from a month on. What is stated never changes."""
    own, msp = _own(visit), visit.form.get("msp")
    given, tiers = visit.form.read(NewList), _tiers(visit)
    said = N_("The prices are set. What was stated before does not change.")
    if given is not None and visit.form.right:
        await once.attempt(visit, _set_prices(visit, own, named("msp", msp) if msp else None, given, tiers))
    if visit.form.right:
        return visit.go("/prices", said)
    return await _form_page(visit, msp, tiers, visit.form.get("currency"), visit.form.get("from_month"))


def _own(visit: Signed) -> UUID:
    visit.require(Right.REPORTS_WRITE)
    return visit.principal.one_of(PartnerKind.DISTRIBUTOR)


def _tiers(visit: Signed) -> dict[str, list[reports.Tier]]:
    """Read the tiers that were filled in; what is wrong with a row is said at its field."""
    found: dict[str, list[reports.Tier]] = {}
    for name in TYPES:
        for row in range(_TIERS):
            units, price = visit.form.get(f"{name}_from_{row}"), visit.form.get(f"{name}_price_{row}")
            if not price:
                continue
            tier = _tier(units or "0", price)
            if tier is None:
                visit.form.mistake(f"{name}_price_{row}", N_("This is no price."))
            else:
                found.setdefault(name, []).append(tier)
    for name, own in found.items():
        begins = [tier.from_units for tier in own]
        if 0 not in begins or len(set(begins)) < len(begins):
            visit.form.mistake(f"{name}_price_0", N_("The tiers of a type begin at 0 and differ."))
    if not found and visit.form.right:
        visit.form.mistake("server_price_0", N_("Please give a price at least for one type."))
    return found


def _tier(units: str, price: str) -> reports.Tier | None:
    exact = read_decimal(price)
    if not units.isdecimal() or int(units) > COUNT_MAX or exact is None or not exact.is_finite():
        return None
    fits = 0 <= exact < Decimal(10) ** 10 and exact == exact.quantize(Decimal("0.000001"))
    return reports.Tier(int(units), exact) if fits else None


async def _set_terms(visit: Signed, own: UUID, no_data: Any, *, shows: bool) -> None:
    await partners.one_distributor(visit.db, visit.principal, own, lock=True)
    before = await reports.terms(visit.db, own, visit.now)
    if before == (no_data, shows):
        return
    actor, shown = visit.principal.actor, ids.show("distributor", own)
    await reports.set_terms(visit.db, own, no_data=no_data, shows_amounts=shows, actor=actor, now=visit.now)
    old, new = ({"no_data": one[0], "shows_amounts": one[1]} for one in (before, (no_data, shows)))
    await partners.note(visit.db, visit.principal, "terms.set", shown, before=old, after=new, now=visit.now)


async def _set_prices(
    visit: Signed, own: UUID, msp_id: UUID | None, given: NewList, tiers: Mapping[str, list[reports.Tier]]
) -> None:
    if msp_id is not None:
        await partners.one_msp(visit.db, visit.principal, msp_id)
    row = await reports.set_prices(
        visit.db,
        own,
        msp_id=msp_id,
        currency=given.currency,
        from_month=given.from_month,
        tiers=tiers,
        actor=visit.principal.actor,
        now=visit.now,
    )
    prices = {
        name: [{"from_units": one.from_units, "price": reports.show_price(one.price)} for one in every]
        for name, every in tiers.items()
    }
    after = {**given.model_dump(), "prices": prices, "msp_id": ids.show("msp", msp_id) if msp_id else None}
    shown = ids.show("price_list", row.id)
    await partners.note(visit.db, visit.principal, "prices.set", shown, after=after, now=visit.now)


async def _list_page(visit: Signed, q: str, after: str | None) -> Response:
    month = visit.now.astimezone(visit.zone).strftime("%Y-%m")
    text = q.replace("\x00", "")[:200] or None
    rows = await reports.book.price_lists(
        visit.db, visit.principal, month, after=cursor("price_list", after or None), limit=_ROWS, text=text
    )
    distributor = visit.principal.kind is PartnerKind.DISTRIBUTOR
    terms = await reports.terms(visit.db, visit.principal.partner_id, visit.now) if distributor else None
    found = await reports.shelf.msps_named(visit.db, visit.principal, text, limit=_FOUND) if text else []
    last = ids.show("price_list", rows[-1].row.id) if len(rows) == _ROWS else None
    return visit.page(
        "prices/list.html", rows=rows, q=q, after=after, last=last, terms=terms, found=found, types=TYPES,
        may=distributor and visit.may(Right.REPORTS_WRITE),
    )  # fmt: skip


async def _form_page(visit: Signed, msp: str, tiers: Mapping[str, Any], currency: str, month: str) -> Response:
    name = (await partners.one_msp(visit.db, visit.principal, named("msp", msp))).name if msp else None
    return visit.page(
        "prices/form.html", msp=msp, msp_name=name, tiers=tiers, currency=currency, from_month=month, types=TYPES,
        rows=range(_TIERS), once=once.name(), show_price=reports.show_price,
    )  # fmt: skip
