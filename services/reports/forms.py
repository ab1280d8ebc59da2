"""The forms of a report: the same facts as JSON, CSV, XLSX and PDF. Pure: the same document gives the same bytes."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.reports.document import TYPES, Document
from services.reports.paper import as_pdf
from services.reports.wording import LANGUAGES
from services.reports.workbook import as_workbook

MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf.it": "application/pdf",
    "pdf.en": "application/pdf",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(document_bytes: bytes) -> dict[str, bytes]:
    """Give every form of a written document, by name."""
    document = json.loads(document_bytes)
    return {
        "json": document_bytes,
        "csv": as_csv(document),
        "xlsx": as_workbook(document),
        **{f"pdf.{language}": as_pdf(document, language) for language in LANGUAGES},
    }


def as_csv(document: Document) -> bytes:
    """Write lines and corrections as RFC 4180: stable columns, ISO dates, no cell that a spreadsheet would run."""
    rows = [_row(document, line) for line in document["lines"]]
    rows += [_correction(document, line) for line in document["corrections"]]
    return write_csv(_columns(), rows)


def write_csv(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> bytes:
    """Write a table as RFC 4180 in UTF-8 with its mark, by which spreadsheets know it."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, fieldnames=columns, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in rows)
    return buffer.getvalue().encode("utf-8-sig")


def _columns() -> list[str]:
    peaks = [column for name in TYPES for column in (name, f"{name}_at", f"{name}_active", f"{name}_charged")]
    first = ["number", "month", "msp", "origin", "site", "site_id", "reference", "key", "state", "activated_at"]
    last = ["total", "total_at", "total_charged", "coverage_percent", "gaps", "flags", "reason"]
    return [*first, *peaks, *last]


def _row(document: Document, line: Mapping[str, Any]) -> dict[str, object]:
    row: dict[str, object] = {
        "number": document["number"],
        "month": document["period"]["month"],
        "msp": document["msp"],
        "origin": "report",
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
            f"{name}_charged": line["charged"][name],
        }
    total = line["total"] or {}
    return row | {
        "total": total.get("peak"),
        "total_at": total.get("peak_at"),
        "total_charged": line["charged"]["total"],
    }


def _correction(document: Document, line: Mapping[str, Any]) -> dict[str, object]:
    return {
        "number": document["number"],
        "month": line["month"],
        "msp": document["msp"],
        "origin": line["origin"],
        "site": line["site"],
        "site_id": line["site_id"],
        **{f"{name}_charged": line["quantities"][name] for name in (*TYPES, "total")},
        "reason": line["reason"],
    }


def _safe(value: object) -> object:
    """Neutralise text that a spreadsheet would take for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
