"""Distributors: the list, one's page with its data, and a new one that the vendor appoints."""

import re
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.form import Form
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.distributors import DistributorChange, NewDistributor
from license_api.v1.pages import cursor, named
from services import ids, partners, usage
from services.partners import Distributor, PartnerKind, Right

router = APIRouter(prefix="/distributors", route_class=PageRoute)
_ROWS, _HERE = 50, "/distributors"
_OWN = ("legal_name", "address", "vat_number", "email", "language")


@router.get("")
async def list_distributors(visit: SignedIn, after: str | None = None) -> Response:
    """All of them."""
    _vendor(visit, Right.PARTNERS_READ)
    page = cursor("distributor", after or None)
    rows = await partners.distributors(visit.db, visit.principal, after=page, limit=_ROWS)
    last = ids.show("distributor", rows[-1].id) if len(rows) == _ROWS else None
    return visit.page("partners/distributors.html", rows=rows, after=after, last=last)


@router.get("/own")
async def own(visit: SignedIn) -> Response:
    """A distributor's own page."""
    partner_id = visit.principal.one_of(PartnerKind.DISTRIBUTOR)
    return visit.go(f"{_HERE}/{ids.show('distributor', partner_id)}")


@router.get("/new")
async def show_new(visit: SignedIn) -> Response:
    """Ask for its zone above all: it bounds its months."""
    _vendor(visit, Right.PEOPLE_ADMIN)
    return visit.page("partners/distributor_new.html", zones=usage.zones())


@router.post("")
async def appoint(visit: SignedIn) -> Response:
    """Its first period is this calendar month in its zone."""
    _vendor(visit, Right.PEOPLE_ADMIN)
    wanted = visit.form.read(NewDistributor, territory=_countries(visit.form))
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        row = await visit.attempt(_appoint(visit, wanted))
        if row is not None:
            return visit.go(f"{_HERE}/{ids.show('distributor', row.id)}", N_("The distributor is appointed."))
    return visit.page("partners/distributor_new.html", zones=usage.zones())


@router.get("/{distributor_id}")
async def show_distributor(distributor_id: str, visit: SignedIn) -> Response:
    """One, with its data."""
    visit.require(Right.PARTNERS_READ)
    visit.principal.one_of(PartnerKind.VENDOR, PartnerKind.DISTRIBUTOR)
    return visit.page("partners/distributor.html", row=await _one(visit, distributor_id))


@router.post("/{distributor_id}")
async def change(distributor_id: str, visit: SignedIn) -> Response:
    """Name and territory are the vendor's to change."""
    visit.require(Right.PARTNERS_WRITE)
    visit.principal.one_of(PartnerKind.VENDOR, PartnerKind.DISTRIBUTOR)
    row = await _one(visit, distributor_id, lock=True)
    vendors = visit.principal.kind is PartnerKind.VENDOR
    wanted = visit.form.read(DistributorChange, **({"territory": _countries(visit.form)} if vendors else {}))
    if wanted is not None:
        names = (*_OWN, "name", "territory") if vendors else _OWN
        values: dict[str, Any] = {name: getattr(wanted, name) for name in names if visit.form.has(name)}
        values = {name: value for name, value in values.items() if value != getattr(row, name)}
        if values:
            await visit.attempt(partners.change_distributor(visit.db, visit.principal, row, values, visit.now))
        if visit.form.right:
            return visit.go(f"{_HERE}/{distributor_id}", N_("The change is made."))
    return visit.page("partners/distributor.html", row=row)


async def _appoint(visit: Signed, wanted: NewDistributor) -> Distributor:
    row = await partners.add_distributor(visit.db, name=wanted.name, zone=wanted.zone, now=visit.now)
    for name, value in wanted.model_dump(exclude={"name", "zone"}).items():
        setattr(row, name, value)
    await visit.db.flush()
    await partners.appointed(visit.db, visit.principal, row, visit.now)
    return row


def _countries(form: Form) -> list[str]:
    return [code.upper() for code in re.split(r"[\s,;]+", form.get("territory")) if code]


def _vendor(visit: Signed, right: Right) -> None:
    visit.require(right)
    visit.principal.one_of(PartnerKind.VENDOR)


async def _one(visit: Signed, distributor_id: str, *, lock: bool = False) -> Distributor:
    wanted = named("distributor", distributor_id)
    return await partners.one_distributor(visit.db, visit.principal, wanted, lock=lock)
