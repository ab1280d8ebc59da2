"""The report as a document: canonical JSON, of which every form is a rendering. Pure.

The same facts give the same bytes, whenever and by whomever they are written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import rfc8785

from services import ids
from services.usage import zone_info

SCHEMA = "tidemark.report/1"
TYPES = ("server", "workstation", "server_plus")
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the lines. `number`, `issued_at` and `cut_off_at` are None on a provisional report."""

    distributor: str
    msp: str
    month: str
    zone: str
    zone_data: str
    starts_at: datetime
    ends_at: datetime
    cut_off_at: datetime
    number: str | None = None
    issued_at: datetime | None = None


def compose(heading: Heading, rows: Sequence[Any]) -> Document:
    """Make the document of a report from its heading and its lines' rows, which are ordered by site name."""
    lines = [_line(row) for row in rows]
    return {
        "schema": SCHEMA,
        "status": "issued" if heading.number else "provisional",
        "number": heading.number,
        "distributor": heading.distributor,
        "msp": heading.msp,
        "period": _period(heading),
        "issued_at": show_instant(heading.issued_at),
        "cut_off_at": show_instant(heading.cut_off_at),
        "totals": _totals(lines),
        "lines": lines,
        "lines_sha256": sha256(rfc8785.dumps(lines)).hexdigest(),
    }


def write(document: Document) -> bytes:
    """Write a document as the bytes that are kept: RFC 8785."""
    return rfc8785.dumps(dict(document))


def show_instant(value: datetime | None) -> str | None:
    """Write an instant for machines: RFC 3339, UTC, no more digits than it has."""
    return value.isoformat().replace("+00:00", "Z") if value is not None else None


def _period(heading: Heading) -> dict[str, str | None]:
    zone = zone_info(heading.zone)
    return {
        "month": heading.month,
        "zone": heading.zone,
        "zone_data": heading.zone_data,
        "starts_at": show_instant(heading.starts_at),
        "ends_at": show_instant(heading.ends_at),
        "starts_at_local": heading.starts_at.astimezone(zone).isoformat(),
        "ends_at_local": heading.ends_at.astimezone(zone).isoformat(),
    }


def _line(row: Any) -> dict[str, Any]:
    return {
        "site": row.name,
        "site_id": ids.show("site", row.site_id),
        "reference": row.reference,
        "key": row.key_masked,
        "state": row.state,
        "activated_at": show_instant(row.activated_at),
        **{name: _peak(row, name) for name in TYPES},
        "total": None if row.total is None else {"peak": row.total, "peak_at": show_instant(row.total_at)},
        "coverage_percent": _percent(row.covered_seconds, row.span_seconds),
        "gaps": [[_utc(start), _utc(end)] for start, end in row.gaps],
        "flags": list(row.flags),
    }


def _peak(row: Any, name: str) -> dict[str, Any] | None:
    peak = getattr(row, name)
    if peak is None:
        return None
    instant = show_instant(getattr(row, f"{name}_at"))
    return {"peak": peak, "peak_at": instant, "active": getattr(row, f"{name}_active")}


def _percent(covered: float, span: float) -> str:
    """Give the coverage with two decimals, cut and not rounded: 100.00 means all of it."""
    return f"{int(covered * 10_000 / span) / 100:.2f}" if span > 0 else "100.00"


def _utc(text: str) -> str | None:
    return show_instant(datetime.fromisoformat(text))


def _totals(lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Add up the peaks of the sites: what is charged. No total is a peak of a sum."""
    known = [line for line in lines if line["total"] is not None]
    charged = {name: sum(line[name]["peak"] for line in known) for name in TYPES}
    return {
        **charged,
        "charged": sum(charged.values()),
        "sites": len(lines),
        "no_data": len(lines) - len(known),
    }
