"""The present month of an MSP as it stands: what would be charged if it closed now, what is missing, what to save."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from license_api.console import answers, charts
from license_api.console.flags import TYPES, flag
from license_api.console.report_lines import explained
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.pages import named
from services import ids, reports
from services.partners import PartnerKind, Right

router = APIRouter(prefix="/reports/this-month", route_class=PageRoute)
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
_LINES, _AT_ONCE = 50, 100
_NAMES_MAX = 8
_SILENT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LineSoFar:
    """A site in the present month, beside the month before. `silent_since`: from when on nothing is known."""

    line: reports.Foreseen
    before: int | None
    idle: int
    silent_since: datetime | None

    @property
    def charged(self) -> int:
        """What would be charged now."""
        return sum(self.line.charged)

    @property
    def difference(self) -> int:
        """How much more it is than the month before."""
        return self.charged - (self.before or 0)


class Asked(NamedTuple):
    """What of the month is asked for."""

    q: str
    sort: str
    page: int
    whole: bool


@router.get("")
async def show_own_month(
    visit: SignedIn, q: str = "", sort: str = "difference", page: PageNumber = 1, whole: str = ""
) -> Response:
    """An MSP's own; the others come from a report of an MSP."""
    visit.require(Right.REPORTS_READ)
    if visit.principal.kind is not PartnerKind.MSP:
        return visit.go("/reports")
    return await _show(visit, visit.principal.msp_id, Asked(q, sort, page, whole == "yes"))


@router.get("/{msp_id}")
async def show_month(
    msp_id: str, visit: SignedIn, q: str = "", sort: str = "difference", page: PageNumber = 1, whole: str = ""
) -> Response:
    """An MSP's, for its distributor of now and the vendor."""
    visit.require(Right.REPORTS_READ)
    return await _show(visit, named("msp", msp_id), Asked(q, sort, page, whole == "yes"))


@router.get("/{msp_id}/json")
async def download_month(msp_id: str, visit: SignedIn) -> Response:
    """The provisional report, as the API gives it."""
    visit.require(Right.REPORTS_READ)
    written = await reports.provisional(visit.db, visit.principal, named("msp", msp_id), visit.now)
    return answers.download(
        visit, f"deployed-agents-{written.month}-provisional.json", written.document, "application/json"
    )


@router.get("/{msp_id}/lines/{site_id}")
async def show_line(msp_id: str, site_id: str, visit: SignedIn) -> Response:
    """Why a line would say what it would say now."""
    visit.require(Right.REPORTS_READ)
    site, msp = named("site", site_id), named("msp", msp_id)
    month, counted, evidence = await reports.line_so_far(visit.db, visit.principal, msp, site, visit.now)
    receipts = await reports.receipts_of(visit.db, [counted])
    document = reports.compose(reports.provisional_heading(month), [counted], (), receipts)
    before = await reports.shelf.month_before(visit.db, visit.principal, msp, month.period.starts_at, [site])
    may = {"void"} if visit.principal.kind is PartnerKind.MSP and visit.may(Right.REPORTS_WRITE) else set()
    if visit.principal.kind is not PartnerKind.MSP and visit.may(Right.REPORTS_WRITE):
        may = {"excuse"}
    return visit.page(
        "reports/line.html", row=None, report_id=None, msp_id=msp_id, case=None, may=may,
        voids=await reports.cases.void_cases(visit.db, visit.principal, limit=20, site_id=site),
        before=next((sum(one.charged) for one in before), None),
        **await explained(visit, site, document["lines"][0], document, evidence, until=visit.now),
    )  # fmt: skip


async def _show(visit: Signed, msp_id: UUID, asked: Asked) -> Response:
    text, skip = asked.q.replace("\x00", "")[:200], (asked.page - 1) * _LINES
    count, some = await reports.sites_by_name(visit.db, msp_id, visit.now, text=text, skip=skip, limit=_LINES)
    # The figures of a site take half a millisecond: a large MSP's are added up when it asks for that.
    total = count
    if text:
        total = (await reports.sites_by_name(visit.db, msp_id, visit.now, text="", skip=0, limit=0))[0]
    whole = asked.whole or total <= _AT_ONCE
    found = await reports.outlook(visit.db, visit.principal, msp_id, visit.now, None if whole else some)
    starts_at = found.month.period.starts_at
    before = await reports.shelf.month_before(visit.db, visit.principal, msp_id, starts_at, None if whole else some)
    history = await reports.shelf.month_by_month(visit.db, visit.principal, msp_id, starts_at)
    lines = _beside(found, before)
    values = (
        _summed(lines, before) if whole else {"charged": None, "before": None, "silent": [], "idle": [], "gone": []}
    )
    wanted = [
        one for one in lines if text.casefold() in f"{one.line.row.name} {one.line.row.reference or ''}".casefold()
    ]
    if whole:
        count = len(wanted)
        wanted = sorted(wanted, key=_ORDERS.get(asked.sort, _ORDERS["name"]))[skip : skip + _LINES]
    greatest = max([sum(values["charged"] or ()), *(sum(one.charged) for one in history)])
    return visit.page(
        "reports/this_month.html", found=found, month=found.month, types=TYPES, flag=flag, asked=asked, whole=whole,
        msp_id=ids.show("msp", msp_id), wanted=wanted, wanted_count=count, more=count > skip + _LINES, history=history,
        widths={one.report_id: charts.width_of(sum(one.charged), greatest) for one in history},
        width=charts.width_of(sum(values["charged"] or ()), greatest), names_max=_NAMES_MAX, lines=lines, **values,
    )  # fmt: skip


def _summed(lines: Sequence[LineSoFar], before: Sequence[reports.shelf.Before]) -> dict[str, Any]:
    """Add up the whole month, and find what is missing and what could be saved."""
    there = {line.line.row.site_id for line in lines}
    return {
        "charged": [sum(line.line.charged[number] for line in lines) for number in range(len(TYPES))],
        "before": [sum(one.charged[number] for one in before) for number in range(len(TYPES))] if before else None,
        "silent": [one for one in lines if one.silent_since is not None],
        "idle": sorted((one for one in lines if one.idle), key=lambda one: -one.idle),
        "gone": [one for one in before if one.site_id not in there],
    }


_ORDERS = {
    "name": lambda one: one.line.row.name.casefold(),
    "charged": lambda one: -one.charged,
    "difference": lambda one: (-abs(one.difference), one.line.row.name.casefold()),
}


def _beside(found: reports.Outlook, before: Sequence[reports.shelf.Before]) -> list[LineSoFar]:
    earlier = {one.site_id: sum(one.charged) for one in before}
    return [
        LineSoFar(line, earlier.get(line.row.site_id), _idle(line), _silent_since(line, found.month.span.ends_at))
        for line in found.lines
    ]


def _idle(line: reports.Foreseen) -> int:
    """Count the agents that were not active at their peak."""
    peaks = [(getattr(line.row, name), getattr(line.row, f"{name}_active")) for name in TYPES]
    return sum(max(0, peak - active) for peak, active in peaks if peak is not None and active is not None)


def _silent_since(line: reports.Foreseen, until: datetime) -> datetime | None:
    """Tell from when on nothing is known of the site, if that is a day or all of the month so far."""
    if not line.row.gaps:
        return None
    begin, over = (datetime.fromisoformat(text) for text in line.row.gaps[-1])
    silent = line.row.server is None or until - begin >= _SILENT
    return begin if over >= until and silent else None
