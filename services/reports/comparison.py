"""The lines of an issued report beside the month before: a page of them, and what all of them come to.

The caller has found the report on the shelf, and so whose it is. Nothing here reads the document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Select, and_, case, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services import ids
from services.db import in_sets
from services.reports.shelf import Before, OpenedReport
from services.reports.tables import Charge, ReportLine
from services.usage import Three

Order = Literal["name", "charged", "difference", "coverage"]
Shown = Literal["all", "changed", "incomplete", "flagged"]
_GONE_MAX = 50
_PEAKS = (
    (ReportLine.server, ReportLine.server_active),
    (ReportLine.workstation, ReportLine.workstation_active),
    (ReportLine.server_plus, ReportLine.server_plus_active),
)


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """A line of a report beside the month before, in which `before` was charged for the site; None: it had no line.

    `coverage` is the part of the month that is known, of 1, cut to four digits as the document has it; `idle` are the
    agents that were not active at their peak.
    """

    site_id: UUID
    site: str
    reference: str | None
    charged: Three
    before: int | None
    coverage: float
    idle: int
    flags: Sequence[str]

    @property
    def total(self) -> int:
        """What the site is charged."""
        return sum(self.charged)

    @property
    def difference(self) -> int:
        """How much more it is than the month before."""
        return self.total - (self.before or 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A report beside the month before: the lines asked for, how many are like that, and some of what stands out.

    `incomplete` and `idle` count sites and agents; the worst of them are named. `gone` had a line the month before.
    """

    lines: Sequence[ComparedLine]
    found: int
    incomplete: int
    least_known: Sequence[ComparedLine]
    idle: int
    most_idle: Sequence[ComparedLine]
    gone: Sequence[Before]


async def compare(
    db: AsyncSession,
    opened: OpenedReport,
    before_id: UUID | None,
    *,
    text: str,
    order: Order,
    shown: Shown,
    skip: int,
    limit: int,
    named: int,
) -> Comparison:
    """Compare a report with the one before; `named` is how many of what stands out are named."""
    marks: Mapping[str, Sequence[str]] = opened.cover["marks"]
    lines = _lines(opened, before_id)
    wanted = and_(*_wanted(lines, text, shown, marks))
    name = (lines.c.name, lines.c.site_id)
    orders: dict[Order, Sequence[ColumnElement[Any]]] = {
        "name": name,
        "charged": (lines.c.total.desc(), *name),
        "difference": (func.abs(lines.c.total - func.coalesce(lines.c.before, 0)).desc(), *name),
        "coverage": (lines.c.coverage, *name),
    }
    place = func.row_number().over(order_by=orders[order]).label("place")
    asked = select(lines, place).where(wanted).order_by(place).offset(skip).limit(limit)
    least = select(lines).where(lines.c.coverage < 1).order_by(*orders["coverage"]).limit(named)
    most = select(lines).where(lines.c.idle > 0).order_by(lines.c.idle.desc(), *name).limit(named)
    async with in_sets(db):
        found, incomplete, idle, shown_lines = await _counted(db, lines, wanted, asked, marks)
        # Each of these goes through all lines, so none is asked for in vain.
        named_least = await _read(db, least, marks) if incomplete else []
        named_most = await _read(db, most, marks) if idle else []
        gone = await _gone(db, opened, before_id)
    return Comparison(shown_lines, found, incomplete, named_least, idle, named_most, gone)


async def _counted(
    db: AsyncSession,
    lines: CTE,
    wanted: ColumnElement[bool],
    asked: Select[Any],
    marks: Mapping[str, Sequence[str]],
) -> tuple[int, int, int, list[ComparedLine]]:
    """Go through all lines once: how many are wanted, how many incomplete, idle agents, and the page asked for."""
    counts = select(
        func.count().filter(wanted).label("found"),
        func.count().filter(lines.c.coverage < 1).label("incomplete"),
        func.coalesce(func.sum(lines.c.idle), 0).label("idle_in_all"),
    ).select_from(lines)
    sums, page = counts.subquery(), asked.subquery()
    rows = (await db.execute(select(sums, page).outerjoin_from(sums, page, true()).order_by(page.c.place))).all()
    first = rows[0]
    return first.found, first.incomplete, first.idle_in_all, [_line(row, marks) for row in rows if row.place]


def _lines(opened: OpenedReport, before_id: UUID | None) -> CTE:
    own, before = aliased(Charge), aliased(Charge)
    known = func.trunc(ReportLine.covered_seconds * 10_000 / ReportLine.span_seconds)
    idle = [case((peak > active, peak - active), else_=0) for peak, active in _PEAKS]
    row = opened.row
    then = and_(before.site_id == ReportLine.site_id, before.report_id == before_id, before.origin == "report")
    return (
        select(
            ReportLine.site_id,
            ReportLine.name,
            ReportLine.reference,
            own.server,
            own.workstation,
            own.server_plus,
            (own.server + own.workstation + own.server_plus).label("total"),
            (before.server + before.workstation + before.server_plus).label("before"),
            case((ReportLine.span_seconds > 0, known / 10_000), else_=1).label("coverage"),
            (idle[0] + idle[1] + idle[2]).label("idle"),
            ReportLine.flags,
        )
        .join(own, and_(own.site_id == ReportLine.site_id, own.report_id == row.report_id, own.origin == "report"))
        .outerjoin(before, then)
        .where(
            ReportLine.distributor_id == row.distributor_id,
            ReportLine.starts_at == row.starts_at,
            ReportLine.msp_id == row.msp_id,
        )
        .cte("lines")
    )


def _wanted(lines: CTE, text: str, shown: Shown, marks: Mapping[str, Sequence[str]]) -> Sequence[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if text:
        found.append(
            or_(lines.c.name.icontains(text, autoescape=True), lines.c.reference.icontains(text, autoescape=True))
        )
    if shown == "changed":
        found.append(lines.c.before.is_(None) | (lines.c.before != lines.c.total))
    if shown == "incomplete":
        found.append(lines.c.coverage < 1)
    if shown == "flagged":
        marked = [ids.read("site", site) for site in marks]
        found.append((func.cardinality(lines.c.flags) > 0) | lines.c.site_id.in_(marked))
    return found or [lines.c.site_id.is_not(None)]


async def _read(db: AsyncSession, query: Select[Any], marks: Mapping[str, Sequence[str]]) -> list[ComparedLine]:
    return [_line(row, marks) for row in await db.execute(query)]


def _line(row: Any, marks: Mapping[str, Sequence[str]]) -> ComparedLine:
    return ComparedLine(
        site_id=row.site_id,
        site=row.name,
        reference=row.reference,
        charged=(row.server, row.workstation, row.server_plus),
        before=row.before,
        coverage=float(row.coverage),
        idle=row.idle,
        flags=(*row.flags, *marks.get(ids.show("site", row.site_id), ())),
    )


async def _gone(db: AsyncSession, opened: OpenedReport, before_id: UUID | None) -> list[Before]:
    """Give the sites that the month before charged for and this one has no line of, by name."""
    if before_id is None:
        return []
    row, now = opened.row, aliased(Charge)
    still = exists().where(now.site_id == Charge.site_id, now.report_id == row.report_id, now.origin == "report")
    query = (
        select(Charge.site_id, ReportLine.name, Charge.server, Charge.workstation, Charge.server_plus)
        .join(
            ReportLine,
            and_(
                ReportLine.site_id == Charge.site_id,
                ReportLine.distributor_id == Charge.distributor_id,
                ReportLine.starts_at == Charge.starts_at,
            ),
        )
        .where(Charge.report_id == before_id, Charge.origin == "report", ~still)
        .order_by(ReportLine.name, Charge.site_id)
        .limit(_GONE_MAX)
    )
    return [Before(one[0], one[1], (one[2], one[3], one[4])) for one in await db.execute(query)]
