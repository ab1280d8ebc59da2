"""The report as a document: canonical JSON, of which every form is a rendering. Pure.

The same facts give the same bytes, whenever and by whomever they are written. `report.schema.json` describes it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from services import ids
from services.reports.charging import DECIDED, Correction, Counted, Receipts
from services.usage import Peak, Three, canonical, zone_info

SCHEMA = "tidemark.report/1"
TYPES = ("server", "workstation", "server_plus")
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the lines. `number` and `issued_at` are None on a provisional report."""

    distributor: str
    msp: str
    language: str
    month: str
    zone: str
    zone_data: str
    starts_at: datetime
    ends_at: datetime
    cut_off_at: datetime
    days: Sequence[date]
    number: str | None = None
    issued_at: datetime | None = None


def compose(
    heading: Heading,
    counted: Sequence[Counted],
    corrections: Sequence[Correction] = (),
    receipts: Receipts | None = None,
) -> Document:
    """Make the document of a report from its heading, its lines in their order, and its corrections."""
    lines = [_line(one, receipts or {}) for one in counted]
    corrected = [_correction(one) for one in corrections]
    return {
        "schema": SCHEMA,
        "status": "issued" if heading.number else "provisional",
        "number": heading.number,
        "distributor": heading.distributor,
        "msp": heading.msp,
        "language": heading.language,
        "period": _period(heading),
        "issued_at": show_instant(heading.issued_at),
        "cut_off_at": show_instant(heading.cut_off_at),
        "totals": _totals(lines, corrected),
        "lines": lines,
        "corrections": corrected,
        "lines_sha256": sha256(canonical({"lines": lines, "corrections": corrected})).hexdigest(),
    }


def write(document: Document) -> bytes:
    """Write a document as the bytes that are kept: RFC 8785."""
    return canonical(document)


def cover_of(document: Document) -> Document:
    """Give what a document says beside its lines, and of all of them together.

    `daily` are the sites' peaks of each day added up; `marks` are, by site, the flags decided with the charge.
    """
    decided = {line["site_id"]: [flag for flag in line["flags"] if flag in DECIDED] for line in document["lines"]}
    beside = {name: value for name, value in document.items() if name != "lines"}
    return {**beside, "daily": daily_sums(document), "marks": {site: own for site, own in decided.items() if own}}


def line_in(written: bytes, site_id: UUID) -> Mapping[str, Any] | None:
    """Read one line out of a written document, and not the thousands beside it; None if it has none of the site.

    RFC 8785 sorts the keys and escapes quotes within texts, so a line can be told by its first key and its id.
    """
    lines, first = written.index(b'"lines":['), b'{"activated_at":'
    at = written.find(b'"site_id":"%b"' % ids.show("site", site_id).encode(), lines)
    if at < 0:
        return None
    following = written.find(b"," + first, at)
    end = following if following >= 0 else written.index(b'],"lines_sha256":', at)
    line: Mapping[str, Any] = json.loads(written[written.rindex(first, lines, at) : end])
    return line


def daily_sums(document: Document) -> dict[str, list[int | None]]:
    """Add the sites' peaks of each day, type by type; None where no site is known."""
    sums: dict[str, list[int | None]] = {}
    for name in TYPES:
        series = [line["daily"][name] for line in document["lines"]]
        days = zip(*series, strict=True) if series else ((),) * len(document["period"]["days"])
        told = [[value for value in day if value is not None] for day in days]
        sums[name] = [sum(values) if values else None for values in told]
    return sums


def show_instant(value: datetime | None) -> str | None:
    """Write an instant for machines: RFC 3339, UTC, no more digits than it has."""
    return value.isoformat().replace("+00:00", "Z") if value is not None else None


def by_type(quantities: Three) -> dict[str, int]:
    """Name three quantities, with their sum."""
    return {**dict(zip(TYPES, quantities, strict=True)), "total": sum(quantities)}


def _period(heading: Heading) -> dict[str, Any]:
    zone = zone_info(heading.zone)
    return {
        "month": heading.month,
        "zone": heading.zone,
        "zone_data": heading.zone_data,
        "starts_at": show_instant(heading.starts_at),
        "ends_at": show_instant(heading.ends_at),
        "starts_at_local": heading.starts_at.astimezone(zone).isoformat(),
        "ends_at_local": heading.ends_at.astimezone(zone).isoformat(),
        "days": [day.isoformat() for day in heading.days],
    }


def _line(one: Counted, receipts: Receipts) -> dict[str, Any]:
    row, total = one.row, one.recount.peaks.get("total")
    return {
        "site": row.name,
        "site_id": ids.show("site", row.site_id),
        "reference": row.reference,
        "key": row.key_masked,
        "state": row.state,
        "activated_at": show_instant(row.activated_at),
        **{name: _peak(one, name, receipts) for name in TYPES},
        "total": None if total is None else {"peak": total.value, "peak_at": show_instant(total.at)},
        "charged": by_type(one.charged),
        "coverage_percent": _percent(row.covered_seconds, row.span_seconds),
        "gaps": [[_utc(start), _utc(end)] for start, end in row.gaps],
        "flags": list(one.flags),
        "standalones": one.recount.standalones,
        "not_charged": [
            {
                "kind": out.kind,
                "from": show_instant(out.from_at),
                "until": show_instant(out.until_at),
                "reason": out.reason,
                "actor": out.actor,
            }
            for out in one.excluded
        ],
        "counted": [
            {"installation_id": str(last.installation_id), "line": last.line, "n": last.n}
            for last in one.recount.counted
        ],
        "daily": _daily(one.recount.daily),
    }


def _peak(one: Counted, name: str, receipts: Receipts) -> dict[str, Any] | None:
    peak: Peak | None = one.recount.peaks.get(name)
    if peak is None:
        return None
    makers = []
    for maker in peak.made_by:
        receipt = receipts.get((one.row.site_id, maker))
        makers.append(
            {
                "installation_id": str(maker.installation_id),
                "line": maker.line,
                "n": maker.n,
                "receipt": receipt.hex() if receipt else None,
            }
        )
    return {"peak": peak.value, "peak_at": show_instant(peak.at), "active": peak.active, "made_by": makers}


def _daily(days: Sequence[Three | None]) -> dict[str, list[int | None]]:
    return {name: [None if day is None else day[number] for day in days] for number, name in enumerate(TYPES)}


def _correction(one: Correction) -> dict[str, Any]:
    return {
        "site": one.site,
        "site_id": ids.show("site", one.site_id),
        "month": one.month,
        "report": one.report_number,
        "origin": one.origin,
        "quantities": by_type(one.quantities),
        "reason": one.reason,
        "actor": one.actor,
    }


def _percent(covered: float, span: float) -> str:
    """Give the coverage with two decimals, cut and not rounded: 100.00 means all of it."""
    return f"{int(covered * 10_000 / span) / 100:.2f}" if span > 0 else "100.00"


def _utc(text: str) -> str | None:
    return show_instant(datetime.fromisoformat(text))


def _totals(lines: Sequence[Mapping[str, Any]], corrections: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up what is charged for the sites. No total is a peak of a sum."""
    names = (*TYPES, "total")
    charged = {name: sum(line["charged"][name] for line in lines) for name in names}
    return {
        **{name: charged[name] for name in TYPES},
        "charged": charged["total"],
        "corrections": {name: sum(line["quantities"][name] for line in corrections) for name in names},
        "sites": len(lines),
        "no_data": sum(line["total"] is None for line in lines),
    }
