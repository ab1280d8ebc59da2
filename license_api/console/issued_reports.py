"""Issued reports: the shelf of a partner, one report with every line beside the month before, and its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console import answers, charts
from license_api.console.flags import FLAGS, ORIGINS, TYPES, flag, people
from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn
from license_api.v1.pages import cursor, named
from services import ids, reports
from services.partners import PartnerKind, Right

router = APIRouter(prefix="/reports", route_class=PageRoute)
Form = Literal["json", "csv", "xlsx", "pdf", "pdf.it", "pdf.en"]
_ROWS, _LINES = 50, 100
_NAMES_MAX = 5
_SORTS = ("name", "charged", "difference", "coverage")
_SHOWN = ("all", "changed", "incomplete", "flagged")


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line of a report as a person compares it: with the month before, and what could be saved."""

    facts: Mapping[str, Any]
    site_id: UUID
    before: int | None
    idle: int

    @property
    def charged(self) -> int:
        """What the site is charged."""
        return int(self.facts["charged"]["total"])

    @property
    def difference(self) -> int:
        """How much more it is than the month before."""
        return self.charged - (self.before or 0)

    @property
    def coverage(self) -> float:
        """Which part of the month is known, of 1."""
        return float(self.facts["coverage_percent"]) / 100


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
    report_id: str, visit: SignedIn, q: str = "", sort: str = "name", show: str = "all", page: int = 1
) -> Response:
    """One report: what is charged and why it is more or less than before."""
    visit.require(Right.REPORTS_READ)
    found = await reports.shelf.opened(visit.db, visit.principal, named("report", report_id), visit.now)
    row, document = found.row, found.document
    before = await reports.shelf.month_before(visit.db, visit.principal, row.msp_id, row.starts_at)
    history = await reports.shelf.month_by_month(visit.db, visit.principal, row.msp_id, row.starts_at)
    disputes = await reports.cases.dispute_cases(
        visit.db, visit.principal, visit.now, limit=_ROWS, report_id=row.report_id
    )
    lines = read_lines(document, before)
    there = {line.site_id for line in lines}
    wanted = chosen(lines, q, sort, show)
    page = max(1, min(page, 1 + (len(wanted) - 1) // _LINES))
    return visit.page(
        "reports/report.html", found=found, row=row, document=document, lines=lines, types=TYPES, origins=ORIGINS,
        flags=FLAGS, flag=flag, q=q, sort=sort, show=show, page=page, more=len(wanted) > page * _LINES,
        wanted=wanted[(page - 1) * _LINES : page * _LINES], wanted_count=len(wanted),
        before=sum_of(before) if before else None, gone=[one for one in before if one.site_id not in there],
        history=history, widths=_widths(history), daily=_daily(document), days=document["period"]["days"],
        sums=reports.daily_sums(document), incomplete=[line for line in lines if line.coverage < 1],
        idle=sorted((line for line in lines if line.idle), key=lambda line: -line.idle),
        names_max=_NAMES_MAX, disputes=disputes,
        who=await people(visit, [one["actor"] for one in document["corrections"]]),
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


def read_lines(document: Mapping[str, Any], before: Sequence[reports.shelf.Before]) -> list[ReadLine]:
    """Read the lines of a document beside the month before; None there where the site had no line."""
    earlier = {one.site_id: sum(one.charged) for one in before}
    found = []
    for facts in document["lines"]:
        site_id = ids.read("site", facts["site_id"]) or UUID(int=0)
        found.append(ReadLine(facts, site_id, earlier.get(site_id), _idle(facts)))
    return found


def chosen(lines: Sequence[ReadLine], text: str, sort: str, show: str) -> list[ReadLine]:
    """Give the lines that somebody looks for, in the order that it wants."""
    looked_for = text.casefold()
    found = [
        line
        for line in lines
        if looked_for in f"{line.facts['site']} {line.facts['reference'] or ''}".casefold() and _is_shown(line, show)
    ]
    if sort == "charged":
        found.sort(key=lambda line: -line.charged)
    if sort == "difference":
        found.sort(key=lambda line: -abs(line.difference))
    if sort == "coverage":
        found.sort(key=lambda line: line.coverage)
    return found


def sum_of(before: Sequence[reports.shelf.Before]) -> dict[str, int]:
    """Add up the month before, by type and in all."""
    sums = {name: sum(one.charged[number] for one in before) for number, name in enumerate(TYPES)}
    return {**sums, "charged": sum(sums.values())}


def _is_shown(line: ReadLine, show: str) -> bool:
    if show == "changed":
        return line.difference != 0 or line.before is None
    if show == "incomplete":
        return line.coverage < 1
    return show != "flagged" or bool(line.facts["flags"])


def _idle(facts: Mapping[str, Any]) -> int:
    """Count the agents that were not active at their peak."""
    peaks = [facts[name] for name in TYPES if facts[name] is not None and facts[name]["active"] is not None]
    return sum(max(0, peak["peak"] - peak["active"]) for peak in peaks)


def _daily(document: Mapping[str, Any]) -> charts.Chart | None:
    if not document["lines"]:
        return None
    sums = reports.daily_sums(document)
    days = [date.fromisoformat(day).day for day in document["period"]["days"]]
    return charts.columns(days, [sums[name] for name in TYPES])


def _widths(history: Sequence[reports.shelf.MonthSum]) -> dict[UUID, float]:
    greatest = max((sum(one.charged) for one in history), default=0)
    return {one.report_id: charts.width_of(sum(one.charged), greatest) for one in history}
