"""A line of a report, explained: what made its peak, what is known and what is not, and what came after.

The same page explains a line of the present month as it stands.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console import charts
from license_api.console.flags import FLAGS, ORIGINS, TYPES, flag, people
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.pages import named
from services import ids, reports
from services.db import keep_plans
from services.partners import PartnerKind, Right
from services.usage import zone_info

router = APIRouter(prefix="/reports", route_class=PageRoute)


@dataclass(slots=True)
class ToldChange:
    """An entry of the ledger near a peak, as it was sent, and the types whose peak it made."""

    entry: Any
    sent: Mapping[str, Any]
    made: list[str] = field(default_factory=list)


@router.get("/{report_id}/lines/{site_id}")
async def show_line(report_id: str, site_id: str, visit: SignedIn) -> Response:
    """Why an issued line says what it says."""
    visit.require(Right.REPORTS_READ)
    wanted, site = named("report", report_id), named("site", site_id)
    await keep_plans(visit.db)
    found = await reports.shelf.opened(visit.db, visit.principal, wanted, visit.now)
    row, facts = found.row, await reports.shelf.line_as_issued(visit.db, visit.principal, wanted, site)
    evidence = await reports.evidence_of(visit.db, visit.principal, wanted, site)
    before = await reports.shelf.month_before(visit.db, visit.principal, row.msp_id, row.starts_at, [site])
    cases = await reports.cases.dispute_cases(
        visit.db, visit.principal, visit.now, limit=1, report_id=wanted, site_id=site
    )
    later = await reports.shelf.later_of(visit.db, visit.principal, site, row.distributor_id, row.starts_at)
    return visit.page(
        "reports/line.html", row=row, report_id=report_id, msp_id=None,
        case=next(iter(cases), None), may=_may(visit, row),
        dispute_within=reports.DISPUTE_WITHIN,
        before=next((sum(one.charged) for one in before), None),
        **await explained(visit, site, facts, found.cover, evidence, until=visit.now, later=later),
    )  # fmt: skip


async def explained(
    visit: Signed,
    site_id: UUID,
    facts: Mapping[str, Any],
    document: Mapping[str, Any],
    evidence: reports.LineEvidence,
    *,
    until: datetime,
    later: Sequence[reports.shelf.Later] = (),
) -> dict[str, Any]:
    """Give what the page of a line shows, whether it is issued or not."""
    period = document["period"]
    days = [date.fromisoformat(day) for day in period["days"]]
    passed = sum(day <= until.astimezone(zone_info(period["zone"])).date() for day in days)
    peaks = {one.type: one for one in evidence.peaks}
    deciders = [one["actor"] for one in facts["not_charged"]] + [one.actor for one in later]
    return {
        "facts": facts, "document": document, "peaks": peaks, "types": TYPES, "origins": ORIGINS, "flags": FLAGS,
        "flag": flag, "raised": evidence.flags, "changes": changes_in(evidence.peaks),
        "machines": await reports.machines_of(visit.db, site_id),
        "site_id": facts["site_id"], "strip": _strip(facts, period, until), "days": days[:passed],
        "later": later, "who": await people(visit, deciders),
        "steps": {name: _steps(days, facts["daily"][name][:passed], peaks.get(name), period) for name in TYPES},
    }  # fmt: skip


def changes_in(evidence: Sequence[reports.PeakEvidence]) -> list[ToldChange]:
    """Give the entries around all peaks, each once, in the order in which they were reported."""
    found: dict[tuple[str, int, int], ToldChange] = {}
    for peak in evidence:
        for entry in peak.entries:
            place = (str(entry.installation_id), entry.line, entry.n)
            told = found.setdefault(place, ToldChange(entry, json.loads(entry.sent)))
            if entry.made_the_peak:
                told.made.append(peak.type)
    return [found[place] for place in sorted(found)]


def _may(visit: Signed, row: reports.shelf.Shelved) -> set[str]:
    """Give what the visitor may do about a line."""
    if not visit.may(Right.REPORTS_WRITE):
        return set()
    if visit.principal.kind is PartnerKind.MSP:
        return {"dispute"} if visit.now < row.issued_at + reports.DISPUTE_WITHIN else set()
    return {"adjust", "excuse"} | ({"late"} if visit.principal.kind is PartnerKind.DISTRIBUTOR else set())


def _steps(
    days: Sequence[date], values: Sequence[int | None], peak: reports.PeakEvidence | None, period: Mapping[str, Any]
) -> charts.Chart:
    day = peak.peak_at.astimezone(zone_info(period["zone"])).date() if peak is not None else None
    place = days.index(day) if day in days else None
    return charts.steps([one.day for one in days], values, place)


def _strip(facts: Mapping[str, Any], period: Mapping[str, Any], until: datetime) -> charts.Strip:
    """Draw the month's known and missing parts; what lies before the activation is neither."""
    start = max(_seconds(period["starts_at"]), _seconds(facts["activated_at"]))
    end = min(_seconds(period["ends_at"]), until.timestamp())
    return charts.strip(
        start, end, [(_seconds(begin) - start, _seconds(over) - start) for begin, over in facts["gaps"]]
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def address_of_line(report_id: UUID, site_id: UUID) -> str:
    """Give where the page of a line is."""
    return f"/reports/{ids.show('report', report_id)}/lines/{ids.show('site', site_id)}"
