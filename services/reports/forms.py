"""The forms of a report: the same facts as JSON and CSV. Pure: the same document gives the same bytes."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from services.reports.document import TYPES, Document

MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8; header=present"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(document_bytes: bytes) -> dict[str, bytes]:
    """Give every form of a written document, by name."""
    document = json.loads(document_bytes)
    return {"json": document_bytes, "csv": as_csv(document)}


def as_csv(document: Document) -> bytes:
    """Write the lines as RFC 4180: stable columns, ISO dates, no cell that a spreadsheet would run."""
    buffer = io.StringIO(newline="")
    rows = [_row(document, line) for line in document["lines"]]
    writer = csv.DictWriter(buffer, fieldnames=_columns(), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue().encode()


def _columns() -> list[str]:
    peaks = [column for name in TYPES for column in (name, f"{name}_at", f"{name}_active")]
    first = ["number", "month", "msp", "site", "site_id", "reference", "key", "state", "activated_at"]
    return [*first, *peaks, "total", "total_at", "coverage_percent", "gaps", "flags"]


def _row(document: Document, line: Mapping[str, Any]) -> dict[str, object]:
    row: dict[str, object] = {
        "number": document["number"],
        "month": document["period"]["month"],
        "msp": document["msp"],
        **{name: line[name] for name in ("site", "site_id", "reference", "key", "state", "activated_at")},
        "coverage_percent": line["coverage_percent"],
        "gaps": " ".join("/".join(gap) for gap in line["gaps"]),
        "flags": " ".join(line["flags"]),
    }
    for name in TYPES:
        peak = line[name] or {}
        row |= {
            name: peak.get("peak"),
            f"{name}_at": peak.get("peak_at"),
            f"{name}_active": peak.get("active"),
        }
    total = line["total"] or {}
    return row | {"total": total.get("peak"), "total_at": total.get("peak_at")}


def _safe(value: object) -> object:
    """Neutralise text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
