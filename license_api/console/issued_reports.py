"""Issued reports: the shelf of a partner, one report with every line beside the month before, and its files."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal, TypeVar, get_args
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from license_api.console import answers, charts
from license_api.console.flags import ORIGINS, TYPES, flag, people
from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn
from license_api.v1.pages import cursor, named
from services import ids, reports
from services.partners import PartnerKind, Right

router = APIRouter(prefix="/reports", route_class=PageRoute)
Form = Literal["json", "csv", "xlsx", "pdf", "pdf.it", "pdf.en"]
PageNumber = Annotated[int, Query(ge=1, le=100_000)]
Choice = TypeVar("Choice", bound=str)
ORDERS: tuple[reports.comparison.Order, ...] = get_args(reports.comparison.Order)
SHOWN: tuple[reports.comparison.Shown, ...] = get_args(reports.comparison.Shown)
_ROWS, _LINES = 50, 100
_NAMES_MAX = 5


@router.get("")
async def list_reports(
    visit: SignedIn, month: str = "", q: str = "", distributor: str = "", after: str | None = None
) -> Response:
    """An MSP's own, month by month; above it, the MSPs of one month, for the vendor of one distributor if it wants."""
    visit.require(Right.REPORTS_READ)
    months = await reports.shelf.months(visit.db, visit.principal)
    above = visit.principal.kind is not PartnerKind.MSP
    if above and not month and months:
        month = months[0]
    chosen_id = ids.read("distributor", distributor) if visit.principal.kind is PartnerKind.VENDOR else None
    rows = await reports.shelf.shelf(
        visit.db,
        visit.principal,
        visit.now,
        after=cursor("report", after or None),
        limit=_ROWS,
        month=month if month in months else None,
        text=q.replace("\x00", "")[:200] or None,
        distributor_id=chosen_id,
    )
    sums = None
    if above and month in months:
        sums = await reports.shelf.sums_of_month(visit.db, visit.principal, month, chosen_id)
    by_name = await reports.shelf.distributors(visit.db, visit.principal) if visit.kind == "vendor" else ()
    last = ids.show("report", rows[-1].report_id) if len(rows) == _ROWS else None
    greatest = max((row.total for row in rows), default=0)
    return visit.page(
        "reports/list.html", rows=rows, months=months, month=month, q=q, after=after, last=last, sums=sums,
        widths={row.report_id: charts.width_of(row.total, greatest) for row in rows}, types=TYPES,
        distributors=by_name, distributor=distributor if chosen_id else "",
    )  # fmt: skip


@router.get("/{report_id}")
async def show_report(
    report_id: str, visit: SignedIn, q: str = "", sort: str = "name", show: str = "all", page: PageNumber = 1
) -> Response:
    """One report: what is charged and why it is more or less than before."""
    visit.require(Right.REPORTS_READ)
    found = await reports.shelf.opened(visit.db, visit.principal, named("report", report_id), visit.now)
    row, cover = found.row, found.cover
    history = await reports.shelf.month_by_month(visit.db, visit.principal, row.msp_id, row.starts_at)
    before = history[-2] if len(history) > 1 else None
    disputes = await reports.cases.dispute_cases(
        visit.db, visit.principal, visit.now, limit=_ROWS, report_id=row.report_id
    )
    compared = await reports.comparison.compare(
        visit.db, found, before.report_id if before else None,
        text=q.replace("\x00", "")[:200], order=_known(sort, ORDERS), shown=_known(show, SHOWN),
        skip=(page - 1) * _LINES, limit=_LINES, named=_NAMES_MAX,
    )  # fmt: skip
    return visit.page(
        "reports/report.html", found=found, row=row, document=cover, compared=compared, types=TYPES, origins=ORIGINS,
        flag=flag, q=q, sort=sort, show=show, page=page, more=compared.found > page * _LINES,
        before=before, history=history, widths=_widths(history), daily=_daily(cover), days=cover["period"]["days"],
        disputes=disputes, who=await people(visit, [one["actor"] for one in cover["corrections"]]),
    )  # fmt: skip


@router.get("/{report_id}/files/{form}")
async def download(report_id: str, form: Form, visit: SignedIn) -> Response:
    """The very bytes that the API gives."""
    visit.require(Right.REPORTS_READ)
    wanted = named("report", report_id)
    content = await reports.file_of(visit.db, visit.principal, wanted, form)
    number = (await reports.shelf.opened(visit.db, visit.principal, wanted, visit.now)).row.number
    name = f"deployed-agents-{number}" + {"pdf.it": "-it.pdf", "pdf.en": "-en.pdf"}.get(form, f".{form}")
    return answers.download(visit, name, content, reports.MEDIA_TYPES.get(form, "application/pdf"))


def _known(text: str, among: tuple[Choice, ...]) -> Choice:
    """Give what is asked for, or the usual if it is something else."""
    return next((one for one in among if one == text), among[0])


def _daily(cover: Mapping[str, Any]) -> charts.Chart | None:
    if not cover["totals"]["sites"]:
        return None
    days = [date.fromisoformat(day).day for day in cover["period"]["days"]]
    return charts.columns(days, [cover["daily"][name] for name in TYPES])


def _widths(history: Sequence[reports.shelf.MonthSum]) -> dict[UUID, float]:
    greatest = max((sum(one.charged) for one in history), default=0)
    return {one.report_id: charts.width_of(sum(one.charged), greatest) for one in history}
