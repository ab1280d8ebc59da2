"""What is on record: the audit log, and the letters with every attempt to send them."""

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn
from license_api.v1.pages import cursor
from services import delivery, ids, partners
from services.partners import PartnerKind, Right

router = APIRouter(route_class=PageRoute)
_ROWS = 50


@router.get("/audit-log")
async def show_audit_log(visit: SignedIn, subject: str = "", after: str | None = None) -> Response:
    """Who did what, newest first; to one thing only, if its id is given."""
    visit.require(Right.AUDIT_READ)
    wanted = subject.replace("\x00", "").strip()[:64] or None
    page = cursor("audit", after or None)
    rows = await partners.audit_log(visit.db, visit.principal, subject=wanted, after=page, limit=_ROWS)
    names = await partners.names_of_actors(visit.db, visit.principal, [row.actor for row in rows])
    last = ids.show("audit", rows[-1].id) if len(rows) == _ROWS else None
    return visit.page("records/audit.html", rows=rows, names=names, subject=wanted or "", after=after, last=last)


@router.get("/letters")
async def list_letters(visit: SignedIn, show: str = "", after: str | None = None) -> Response:
    """An MSP's or distributor's own; all of them for the vendor."""
    visit.require(Right.EVENTS_READ)
    own = None if visit.principal.kind is PartnerKind.VENDOR else visit.principal.partner_id
    page = cursor("letter", after or None)
    rows = await delivery.letters_of(visit.db, own, after=page, limit=_ROWS, failed=show == "refused")
    last = ids.show("letter", rows[-1][0].id) if len(rows) == _ROWS else None
    return visit.page("records/letters.html", rows=rows, show=show, after=after, last=last)
