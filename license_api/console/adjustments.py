"""Adjustments: a signed change to what a line was charged, decided by the distributor or the vendor with its reason."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from license_api.console import once
from license_api.console.disputes import Answer, Reason
from license_api.console.flags import TYPES
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import COUNT_MAX, Message
from license_api.v1.pages import named
from services import partners, reports
from services.partners import PartnerKind, Right
from services.usage import Three

router = APIRouter(prefix="/reports/{report_id}/lines/{site_id}", route_class=PageRoute)
Signed_ = Annotated[int, Field(ge=-COUNT_MAX, le=COUNT_MAX)]
_LATE_PAGE, _ADJUST_PAGE = "adjustments/late_usage.html", "adjustments/adjust.html"


class Adjustment(Message):
    """A signed change, and why."""

    server: Signed_
    workstation: Signed_
    server_plus: Signed_
    reason: Reason


@router.get("/adjust")
async def show_adjustment(report_id: str, site_id: str, visit: SignedIn) -> Response:
    """The form that adjusts a line, and what follows from it."""
    return await _page(visit, _ADJUST_PAGE, report_id, site_id, PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)


@router.post("/adjust")
async def adjust(report_id: str, site_id: str, visit: SignedIn) -> Response:
    """Adjust a line; the next report of the MSP holds it."""
    visit.require(Right.REPORTS_WRITE)
    visit.principal.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    given, address = visit.form.read(Adjustment), f"/reports/{report_id}/lines/{site_id}"
    said = N_("The line is adjusted: the MSP's next report holds it.")
    if given is not None:
        await once.attempt(visit, _adjust(visit, report_id, site_id, given))
        _say_which(visit)
    if visit.form.right:
        return visit.go(address, said)
    return await _page(visit, _ADJUST_PAGE, report_id, site_id, PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)


@router.get("/late-usage")
async def show_late_usage(report_id: str, site_id: str, visit: SignedIn) -> Response:
    """The form that approves usage which came too late, and what follows from it."""
    return await _page(visit, _LATE_PAGE, report_id, site_id, PartnerKind.DISTRIBUTOR)


@router.post("/late-usage")
async def approve_late(report_id: str, site_id: str, visit: SignedIn) -> Response:
    """Charge usage that came more than 35 days late."""
    visit.require(Right.REPORTS_WRITE)
    visit.principal.one_of(PartnerKind.DISTRIBUTOR)
    given = visit.form.read(Answer)
    if given is not None:
        await visit.attempt(_approve(visit, report_id, site_id, given.reason))
    if visit.form.right:
        return visit.go(
            f"/reports/{report_id}/lines/{site_id}", N_("What came too late is charged in the next report.")
        )
    return await _page(visit, _LATE_PAGE, report_id, site_id, PartnerKind.DISTRIBUTOR)


def _say_which(visit: Signed) -> None:
    """Say in a text of the catalogue what of a change was refused."""
    for name in TYPES:
        if name in visit.form.errors:
            visit.form.mistake(name, N_("No more can be taken back than was charged."))


async def _adjust(visit: Signed, report_id: str, site_id: str, given: Adjustment) -> None:
    quantities: Three = (given.server, given.workstation, given.server_plus)

    async def act(line: reports.shelf.Place) -> None:
        actor = visit.principal.actor
        await reports.adjust(visit.db, *line, quantities, reason=given.reason, actor=actor, now=visit.now)

    await _on_line(visit, report_id, site_id, "line.adjusted", given, act)


async def _approve(visit: Signed, report_id: str, site_id: str, reason: str) -> None:
    async def act(line: reports.shelf.Place) -> None:
        await reports.approve_late(visit.db, *line, reason=reason, actor=visit.principal.actor, now=visit.now)

    await _on_line(visit, report_id, site_id, "line.late_usage", Answer(reason=reason), act)


async def _on_line(
    visit: Signed,
    report_id: str,
    site_id: str,
    event: str,
    given: Message,
    act: Callable[[reports.shelf.Place], Awaitable[None]],
) -> None:
    """Do something to a line, and put it into the audit log."""
    line = await reports.line_of(visit.db, visit.principal, named("report", report_id), named("site", site_id))
    await act((line.distributor_id, line.site_id, line.starts_at))
    after = given.model_dump()
    await partners.note(visit.db, visit.principal, event, report_id, after=after, msp_id=line.msp_id, now=visit.now)


async def _page(visit: Signed, template: str, report_id: str, site_id: str, *kinds: PartnerKind) -> Response:
    visit.require(Right.REPORTS_WRITE)
    visit.principal.one_of(*kinds)
    wanted, site = named("report", report_id), named("site", site_id)
    row = (await reports.shelf.opened(visit.db, visit.principal, wanted, visit.now)).row
    facts = await reports.shelf.line_as_issued(visit.db, visit.principal, wanted, site)
    later = await reports.shelf.later_of(visit.db, visit.principal, site, row.distributor_id, row.starts_at)
    so_far = {
        name: facts["charged"][name] + sum(one.quantities[number] for one in later) for number, name in enumerate(TYPES)
    }
    return visit.page(
        template, row=row, facts=facts, types=TYPES, so_far=so_far, report_id=report_id, site_id=site_id,
        once=once.name(),
    )  # fmt: skip
