"""Sites: the list, with what one looks for in it, in the order that one wants; and the whole of it as a file."""

import csv
import io
from typing import Any, Literal

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console import answers
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.pages import cursor
from services import ids, partners, sites
from services.keys import KeyState
from services.partners import PartnerKind, Right
from services.sites import Liveness, Order, SiteView

router = APIRouter(route_class=PageRoute)
_ROWS, _AT_ONCE = 50, 500
_COLUMNS = ("site", "reference", "msp", "key", "liveness", "last_contact_at", "hostname", "version", "server",
            "workstation", "server_plus", "warn_at", "final_at", "disable_at")  # fmt: skip


@router.get("/sites")
async def list_sites(
    visit: SignedIn, q: str = "", liveness: str = "", state: str = "", sort: str = "", after: str = ""
) -> Response:
    """A page of sites."""
    visit.require(Right.SITES_READ)
    asked = _asked(q, liveness, state, sort)
    place = cursor("site", after or None)
    rows = await sites.sites_of(visit.db, visit.principal, visit.now, after=place, limit=_ROWS, **asked)
    return visit.page(
        "sites/list.html",
        rows=rows,
        msps=await _msps(visit, rows),
        q=q,
        liveness=liveness,
        state_asked=state,
        sort=sort,
        after=after,
        last=ids.show("site", rows[-1].site_id) if len(rows) == _ROWS else None,
        livenesses=list(Liveness),
        states=list(KeyState),
    )


@router.get("/sites.{form}")
async def download_sites(
    visit: SignedIn, form: Literal["csv"], q: str = "", liveness: str = "", state: str = "", sort: str = ""
) -> Response:
    """All sites of the list as CSV: RFC 4180, UTF-8, instants in UTC; what a spreadsheet would compute is quoted."""
    visit.require(Right.SITES_READ)
    asked, after, text = _asked(q, liveness, state, sort), None, io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    while True:
        rows = await sites.sites_of(visit.db, visit.principal, visit.now, after=after, limit=_AT_ONCE, **asked)
        msps = await _msps(visit, rows)
        writer.writerows([_safe(value) for value in _row(site, msps.get(site.msp_id))] for site in rows)
        if len(rows) < _AT_ONCE:
            return answers.download(visit, f"sites.{form}", text.getvalue(), "text/csv; charset=utf-8")
        after = rows[-1].site_id


def _asked(q: str, liveness: str, state: str, sort: str) -> dict[str, Any]:
    """Read what is looked for; what is no such thing is not looked for. By name, if no order is asked."""
    order = sort.removeprefix("-")
    return {
        "text": q.replace("\x00", "")[:200] or None,
        "liveness": Liveness(liveness) if liveness in set(Liveness) else None,
        "state": KeyState(state) if state in set(KeyState) else None,
        "order": Order(order) if order in set(Order) else Order.NAME,
        "descending": sort.startswith("-"),
    }


async def _msps(visit: Signed, rows: list[SiteView]) -> dict[Any, str]:
    if visit.kind == PartnerKind.MSP:
        return {}
    return await partners.names_of_msps(visit.db, visit.principal, {one.msp_id for one in rows})


def _row(site: SiteView, msp: str | None) -> list[Any]:
    counts = site.deployed or ("", "", "")
    dates = (site.warn_at, site.final_at, site.disable_at)
    return [
        site.name, site.reference, msp, site.state, site.liveness, _utc(site.last_contact_at), site.hostname,
        site.version, *counts, *map(_utc, dates),
    ]  # fmt: skip


def _utc(at: Any) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else ""


def _safe(value: Any) -> Any:
    """Neutralise what a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
