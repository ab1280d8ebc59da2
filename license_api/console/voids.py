"""Voids: a peak that was reported by mistake, which the MSP asks not to be charged before the month closes."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator
from starlette.responses import Response

from license_api.console.disputes import Decision, Reason
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import Message
from license_api.v1.pages import cursor, named
from services import ids, partners, reports
from services.partners import PartnerKind, Right

router = APIRouter(route_class=PageRoute)
_ROWS = 50
_YEARS = range(2000, 2200)


def _check_year(at: datetime) -> datetime:
    if at.year not in _YEARS:
        raise ValueError("the year is out of range")
    return at


Local = Annotated[datetime, AfterValidator(_check_year)]


class LocalStretch(Message):
    """A stretch by the wall clock of whoever asks, and why."""

    from_at: Local
    until_at: Local
    reason: Reason


@router.get("/voids")
async def list_voids(visit: SignedIn, only: str = "", after: str | None = None) -> Response:
    """Newest first; those that are not answered, if asked for."""
    visit.require(Right.REPORTS_READ)
    rows = await reports.cases.void_cases(
        visit.db, visit.principal, after=cursor("void", after or None), limit=_ROWS, only_pending=only == "open"
    )
    last = ids.show("void", rows[-1].row.id) if len(rows) == _ROWS else None
    return visit.page("voids/list.html", rows=rows, only=only, after=after, last=last)


@router.get("/voids/{void_id}")
async def show_void(void_id: str, visit: SignedIn) -> Response:
    """What was asked, and the form to answer it."""
    visit.require(Right.REPORTS_READ)
    return await _show(visit, named("void", void_id))


@router.post("/voids/{void_id}")
async def decide(void_id: str, visit: SignedIn) -> Response:
    """Grant or refuse."""
    visit.require(Right.REPORTS_WRITE)
    visit.principal.one_of(PartnerKind.DISTRIBUTOR)
    wanted = named("void", void_id)
    given = visit.form.read(Decision)
    if given is not None:
        await visit.attempt(_decide(visit, wanted, given))
    if visit.form.right:
        return visit.go(f"/voids/{void_id}", N_("Your answer is recorded, and the MSP has been told."))
    return await _show(visit, wanted)


@router.get("/reports/this-month/{msp_id}/lines/{site_id}/void")
async def show_request(msp_id: str, site_id: str, visit: SignedIn) -> Response:
    """The form that asks for a void, and what follows from it."""
    visit.require(Right.REPORTS_WRITE)
    return await _request_page(visit, msp_id, site_id)


@router.post("/reports/this-month/{msp_id}/lines/{site_id}/void")
async def ask_void(msp_id: str, site_id: str, visit: SignedIn) -> Response:
    """Ask for a void."""
    visit.require(Right.REPORTS_WRITE)
    asked = stretch_of(visit, named("site", site_id))
    if asked is not None:
        row = await visit.attempt(reports.ask_void(visit.db, visit.principal, asked, visit.now))
        if row is not None:
            await visit.note("void.asked", site_id, void=ids.show("void", row.id))
            return visit.go(f"/voids/{ids.show('void', row.id)}", N_("Your distributor has been asked."))
    return await _request_page(visit, msp_id, site_id)


def stretch_of(visit: Signed, site_id: UUID) -> reports.Stretch | None:
    """Read a stretch from a form, by the visitor's wall clock; None if something is wrong with it."""
    given = visit.form.read(LocalStretch)
    if given is None:
        return None
    start, end = (at if at.tzinfo else at.replace(tzinfo=visit.zone) for at in (given.from_at, given.until_at))
    if end <= start:
        visit.form.mistake("until_at", N_("The stretch must end after it begins."))
        return None
    return reports.Stretch(site_id, start, end, given.reason)


async def _decide(visit: Signed, void_id: UUID, given: Decision) -> None:
    distributor_id, actor, granted = visit.principal.partner_id, visit.principal.actor, given.granted == "yes"
    await reports.decide_void(
        visit.db, distributor_id, void_id, granted=granted, reason=given.reason, actor=actor, now=visit.now
    )
    one = await reports.one_void(visit.db, visit.principal, void_id)
    after, shown = {"granted": granted, "reason": given.reason}, ids.show("void", void_id)
    await partners.note(
        visit.db, visit.principal, "void.decided", shown, after=after, msp_id=one.request.msp_id, now=visit.now
    )


async def _show(visit: Signed, void_id: UUID) -> Response:
    case = await reports.cases.void_case(visit.db, visit.principal, void_id)
    turn = (
        case.standing == "asked" and visit.principal.kind is PartnerKind.DISTRIBUTOR and visit.may(Right.REPORTS_WRITE)
    )
    return visit.page("voids/void.html", case=case, turn=turn)


async def _request_page(visit: Signed, msp_id: str, site_id: str) -> Response:
    own = visit.principal.one_of(PartnerKind.MSP)
    month, counted, evidence = await reports.line_so_far(
        visit.db, visit.principal, own, named("site", site_id), visit.now
    )
    total = next((one for one in evidence.peaks if one.type == "total"), None)
    return visit.page(
        "voids/request.html", month=month, site=counted.row.name, msp_id=msp_id, site_id=site_id,
        peak=total, starts=total.peak_at.astimezone(visit.zone) if total else None,
    )  # fmt: skip
