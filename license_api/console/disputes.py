"""Disputes: a line that an MSP holds to be wrong, what the distributor answers, what the vendor decides."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BeforeValidator, Field
from starlette.responses import Response

from license_api.console.flags import TYPES
from license_api.console.language import N_
from license_api.console.report_lines import address_of_line
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import COUNT_MAX, Message, Name
from license_api.v1.pages import cursor, named
from services import ids, partners, reports
from services.partners import PartnerKind, Right

router = APIRouter(route_class=PageRoute)
_ROWS = 50
Counted = Annotated[int, Field(ge=0, le=COUNT_MAX)]
# A text area may hold several lines; what is kept is one.
Reason = Annotated[Name, BeforeValidator(lambda text: " ".join(str(text).split()))]


class Claim(Message):
    """What is held to be right, and why."""

    server: Counted
    workstation: Counted
    server_plus: Counted
    reason: Reason


class Answer(Message):
    """Why."""

    reason: Reason


class Decision(Answer):
    """Whether it is granted, which is the button that was pressed, and why."""

    granted: Literal["yes", "no"]


@router.get("/disputes")
async def list_disputes(visit: SignedIn, only: str = "", after: str | None = None) -> Response:
    """Newest first; those that are not decided, if asked for."""
    visit.require(Right.REPORTS_READ)
    rows = await reports.cases.dispute_cases(
        visit.db,
        visit.principal,
        visit.now,
        after=cursor("dispute", after or None),
        limit=_ROWS,
        only_pending=only == "open",
    )
    last = ids.show("dispute", rows[-1].row.id) if len(rows) == _ROWS else None
    turns = {one.row.id: _turn(visit, one) for one in rows}
    return visit.page("disputes/list.html", rows=rows, only=only, after=after, last=last, turns=turns)


@router.get("/disputes/{dispute_id}")
async def show_dispute(dispute_id: str, visit: SignedIn) -> Response:
    """Its course, and the form to answer it."""
    visit.require(Right.REPORTS_READ)
    return await _show(visit, named("dispute", dispute_id))


@router.post("/disputes/{dispute_id}")
async def decide(dispute_id: str, visit: SignedIn) -> Response:
    """Answer as the distributor, or decide as the vendor."""
    visit.require(Right.REPORTS_WRITE)
    visit.principal.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    wanted = named("dispute", dispute_id)
    one = await reports.one_dispute(visit.db, visit.principal, wanted)
    given = visit.form.read(Decision)
    if given is not None:
        await visit.attempt(_decide(visit, one.dispute, given))
    if visit.form.right:
        return visit.go(f"/disputes/{dispute_id}", N_("Your answer is recorded, and the MSP has been told."))
    return await _show(visit, wanted)


@router.get("/reports/{report_id}/lines/{site_id}/dispute")
async def show_claim(report_id: str, site_id: str, visit: SignedIn) -> Response:
    """The form that disputes a line, and what follows from it."""
    visit.require(Right.REPORTS_WRITE)
    return await _claim_page(visit, report_id, site_id)


@router.post("/reports/{report_id}/lines/{site_id}/dispute")
async def dispute_line(report_id: str, site_id: str, visit: SignedIn) -> Response:
    """Dispute a line."""
    visit.require(Right.REPORTS_WRITE)
    given = visit.form.read(Claim)
    if given is not None:
        claimed = (given.server, given.workstation, given.server_plus)
        row = await visit.attempt(
            reports.dispute(
                visit.db,
                visit.principal,
                named("report", report_id),
                named("site", site_id),
                claimed,
                reason=given.reason,
                now=visit.now,
            )
        )
        if row is not None:
            await visit.note("line.disputed", report_id, site=site_id, **given.model_dump())
            return visit.go(
                f"/disputes/{ids.show('dispute', row.id)}",
                N_("The line is disputed. Your distributor has been told."),
            )
    return await _claim_page(visit, report_id, site_id)


async def _decide(visit: Signed, row: Any, given: Decision) -> None:
    by: reports.By = "vendor" if visit.principal.kind is PartnerKind.VENDOR else "distributor"
    actor, shown = visit.principal.actor, ids.show("dispute", row.id)
    granted = given.granted == "yes"
    await reports.decide_dispute(visit.db, row, by, upheld=granted, reason=given.reason, actor=actor, now=visit.now)
    after = {"granted": granted, "reason": given.reason}
    await partners.note(
        visit.db, visit.principal, "dispute.decided", shown, after=after, msp_id=row.msp_id, now=visit.now
    )


async def _show(visit: Signed, dispute_id: UUID) -> Response:
    case = await reports.cases.dispute_case(visit.db, visit.principal, dispute_id, visit.now)
    line = address_of_line(case.row.report_id, case.row.site_id)
    return visit.page("disputes/dispute.html", case=case, types=TYPES, line=line, turn=_turn(visit, case))


async def _claim_page(visit: Signed, report_id: str, site_id: str) -> Response:
    visit.principal.one_of(PartnerKind.MSP)
    wanted = named("report", report_id)
    row = (await reports.shelf.opened(visit.db, visit.principal, wanted, visit.now)).row
    facts = await reports.shelf.line_as_issued(visit.db, visit.principal, wanted, named("site", site_id))
    return visit.page(
        "disputes/claim.html", row=row, facts=facts, types=TYPES,
        report_id=report_id, site_id=site_id, until=row.issued_at + reports.DISPUTE_WITHIN,
    )  # fmt: skip


def _turn(visit: Signed, case: reports.cases.DisputeCase) -> bool:
    """Tell whether it is for the visitor to answer now."""
    if not case.pending or not visit.may(Right.REPORTS_WRITE):
        return False
    if visit.principal.kind is PartnerKind.DISTRIBUTOR:
        return not case.answers and visit.now < case.answer_by
    late = bool(case.answers) or visit.now >= case.answer_by
    return visit.principal.kind is PartnerKind.VENDOR and late and visit.now < case.decide_by
