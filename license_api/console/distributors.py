"""Distributors: the list, one's page with its data, a new one that the vendor appoints, a new zone, the closing."""

import re
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.form import Form
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.distributors import DistributorChange, DistributorClosing, NewDistributor, ZoneChoice
from license_api.v1.pages import cursor, named
from services import ids, partners, usage
from services.errors import Invalid
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
    zones = await partners.zones_of_each(visit.db, rows)
    in_force = {row.id: partners.zone_at(zones[row.id], visit.now) for row in rows}
    return visit.page("partners/distributors.html", rows=rows, zones=in_force, after=after, last=last)


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
    return await _page(visit, await _one(visit, distributor_id))


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
    # Read again: what a refused change had touched is expired.
    return await _page(visit, await _one(visit, distributor_id))


@router.get("/{distributor_id}/zone")
async def ask_zone(distributor_id: str, visit: SignedIn) -> Response:
    """Ask which."""
    _vendor(visit, Right.PEOPLE_ADMIN)
    return await _zone_page(visit, await _one(visit, distributor_id))


@router.post("/{distributor_id}/zone")
async def change_zone(distributor_id: str, visit: SignedIn) -> Response:
    """From the end of the month that runs: that one keeps its zone."""
    _vendor(visit, Right.PEOPLE_ADMIN)
    row, wanted = await _one(visit, distributor_id, lock=True), visit.form.read(ZoneChoice)
    if wanted is not None and wanted.zone not in usage.zones():
        raise Invalid(pointer="/zone")
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        at = await _month_end(visit, row)
        await visit.attempt(
            partners.change_zone(visit.db, visit.principal, row, zone=wanted.zone, at=at, now=visit.now)
        )
        if visit.form.right:
            return visit.go(f"{_HERE}/{distributor_id}", N_("The change is made."))
    return await _zone_page(visit, row)


@router.get("/{distributor_id}/close")
async def ask_close(distributor_id: str, visit: SignedIn) -> Response:
    """Ask who takes its MSPs."""
    _vendor(visit, Right.PEOPLE_ADMIN)
    return await _close_page(visit, await _one(visit, distributor_id))


@router.post("/{distributor_id}/close")
async def close(distributor_id: str, visit: SignedIn) -> Response:
    """Its MSPs move together as its month ends. What it issued stays readable."""
    _vendor(visit, Right.PEOPLE_ADMIN)
    row, wanted = await _one(visit, distributor_id), visit.form.read(DistributorClosing)
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        to_id, at = named("distributor", wanted.to), await _month_end(visit, row)
        closing = partners.close_distributor(
            visit.db, visit.principal, row.id, to_id=to_id, reason=wanted.reason, at=at, now=visit.now
        )
        await visit.attempt(closing)
        if visit.form.right:
            return visit.go(f"{_HERE}/{distributor_id}", N_("The closing is planned."))
    return await _close_page(visit, row)


async def _page(visit: Signed, row: Distributor) -> Response:
    zones = await partners.zones_of(visit.db, row.id)
    ahead = zones[-1] if len(zones) > 1 and zones[-1][0] > visit.now else None
    zone = partners.zone_at(zones, visit.now)
    return visit.page("partners/distributor.html", row=row, zone=zone, ahead=ahead)


async def _zone_page(visit: Signed, row: Distributor) -> Response:
    chosen = (await partners.zones_of(visit.db, row.id))[-1][1]
    return visit.page("partners/distributor_zone.html", row=row, chosen=chosen, zones=usage.zones())


async def _close_page(visit: Signed, row: Distributor) -> Response:
    rows = await partners.distributors(visit.db, visit.principal, after=None, limit=500)
    receivers = [one for one in rows if one.id != row.id and one.closed_at is None]
    return visit.page("partners/distributor_close.html", row=row, receivers=receivers)


async def _month_end(visit: Signed, row: Distributor) -> datetime:
    return usage.period_at(await partners.zones_of(visit.db, row.id), visit.now).ends_at


async def _appoint(visit: Signed, wanted: NewDistributor) -> Distributor:
    if wanted.zone not in usage.zones():
        raise Invalid("There is no such zone.", pointer="/zone")
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
