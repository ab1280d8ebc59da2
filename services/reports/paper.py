"""The report on paper: what `report.typ` is given, and PDF from it. Pure: no date, no font but the packaged one."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import fontpkg_ibm_plex_sans
import typst

from services.reports.document import TYPES, Document, daily_sums
from services.reports.marks import FLAGS, in_words, meanings
from services.reports.wording import (
    ORIGINS,
    STATES,
    WORDS,
    Language,
    decimal,
    local_short,
    local_time,
    month_name,
    whole,
)

REPORT_TEMPLATE = Path(__file__).parent / "report.typ"
_GAPS_SHOWN = 3
_FONTS = Path(fontpkg_ibm_plex_sans.__file__).parent / "files"


class NotPrintable(Exception):
    """The typesetter complained, so what it made is not to be trusted."""


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[_FONTS])


def print_pdf(template: Path, data: Mapping[str, Any]) -> bytes:
    """Set a template with its data: tagged PDF (PDF/UA-1). Raises `NotPrintable` at any warning."""
    made, warnings = typst.compile_with_warnings(
        template,
        root=template.parent,
        font_paths=_fonts(),
        sys_inputs={"data": json.dumps(data)},
        pdf_standards=["ua-1"],
    )
    if warnings or not isinstance(made, bytes):
        raise NotPrintable("; ".join(str(warning) for warning in warnings))
    return made


def as_pdf(document: Document, language: Language) -> bytes:
    """Write the report as PDF in a language."""
    return print_pdf(REPORT_TEMPLATE, sheet(document, language))


def sheet(document: Document, language: Language) -> dict[str, Any]:
    """Give what the template needs: words and figures ready to be read."""
    words, period = WORDS[language], document["period"]
    number = document["number"] or words["provisional"]
    month = month_name(period["month"], language)
    return {
        "language": language,
        "title": f"{words['title']} {number} - {document['msp']}",
        "author": document["distributor"],
        "heading": words["title"],
        "subheading": f"{month[0].upper()}{month[1:]} · {words['subtitle']}",
        "msp": document["msp"],
        "distributor": document["distributor"],
        "footer": f"{words['title']} {number} · {document['msp']} · {month}",
        "page": words["page"],
        "of": words["of"],
        "facts": _facts(document, language),
        "cards": _cards(document, language),
        "chart": _chart(document, language) if document["lines"] else None,
        "lines_title": words["lines"],
        "columns": [
            words["site"],
            *(words[name] for name in TYPES),
            words["at_once"],
            words["charged"],
            words["coverage"],
            words["daily"],
            words["flags"],
        ],
        "lines": [_line(line, period["zone"], language) for line in document["lines"]],
        "totals": _totals(document, language),
        "corrections_title": words["corrections"],
        "correction_columns": [
            words["site"],
            words["month"],
            words["report"],
            words["origin"],
            *(words[name] for name in TYPES),
            words["total"],
            words["reason"],
        ],
        "corrections": [_correction(one, language) for one in document["corrections"]],
        "corrections_total": _corrected(document, language),
        "not_charged_title": words["not_charged"],
        "not_charged": [
            _not_charged(line, out, period["zone"], language)
            for line in document["lines"]
            for out in line["not_charged"]
        ],
        "notes_title": words["notes"],
        "notes": [
            *(words[name] for name in ("note_peak", "note_sum", "note_coverage", "note_active", "note_late")),
            *meanings([flag for line in document["lines"] for flag in line["flags"]], language),
        ],
        "hash": f"{words['hash']}: {document['lines_sha256']}",
    }


def _cards(document: Document, language: Language) -> list[dict[str, str]]:
    """Give the figures at the top: what is charged, what corrects earlier periods, and how many sites it is about."""
    words, totals = WORDS[language], document["totals"]
    cards = [(words[name], whole(totals[name], language), words["charged"]) for name in TYPES]
    cards.append((words["total"], whole(totals["charged"], language), words["charged"]))
    if document["corrections"]:
        delta = totals["corrections"]["total"]
        together = f"{words['together']}: {whole(totals['charged'] + delta, language)}"
        cards.append((words["corrections_short"], whole(delta, language, signed=True), together))
    missing = f"{whole(totals['no_data'], language)} {words['none']}" if totals["no_data"] else " "
    cards.append((words["sites"], whole(totals["sites"], language), missing))
    return [{"label": label, "value": value, "note": note} for label, value, note in cards]


def _facts(document: Document, language: Language) -> list[dict[str, str]]:
    words, period = WORDS[language], document["period"]
    zone = period["zone"]
    starts, ends = (local_time(period[name], zone, language) for name in ("starts_at", "ends_at"))
    facts = [
        (words["number"], document["number"] or words["provisional"]),
        (words["period"], f"{starts} – {ends} ({words['excluded']})"),
        ("UTC", f"{period['starts_at']} – {period['ends_at']}"),
        (words["zone"], f"{zone} ({period['zone_data']})"),
        (words["cut_off"], local_time(document["cut_off_at"], zone, language)),
        (words["issued"], local_time(document["issued_at"], zone, language) or "–"),
    ]
    return [{"label": label, "value": value} for label, value in facts]


def _line(line: Mapping[str, Any], zone: str, language: Language) -> dict[str, Any]:
    peaks = [_peak(line[name], line["charged"][name], zone, language) for name in TYPES]
    peaks.append(_peak(line["total"], None, zone, language))
    daily = [line["daily"][name] for name in TYPES]
    days = [None if any(part is None for part in day) else sum(day) for day in zip(*daily, strict=True)]
    return {
        "site": line["site"],
        "under": _under(line, zone, language),
        "peaks": peaks,
        "charged": whole(line["charged"]["total"], language),
        "coverage": f"{decimal(line['coverage_percent'], language)} %",
        "days": days,
        "most": max((day for day in days if day is not None), default=0),
        "notes": _notes(line, language),
        "gaps": _gaps(line, zone, language),
    }


def _under(line: Mapping[str, Any], zone: str, language: Language) -> str:
    """Write what stands under a site's name: reference, key, its state at the end, since when it is active."""
    words, key = WORDS[language], line["key"].replace("*****-", "").replace("-", "-…-")
    since = f"{words['since']} {local_time(line['activated_at'], zone, language)[:-6]}"
    texts = (line["reference"], key, STATES[language][line["state"]], since)
    return " · ".join(text for text in texts if text)


def _peak(peak: Mapping[str, Any] | None, charged: int | None, zone: str, language: Language) -> dict[str, str]:
    """Write a peak with when it was reached, and what is charged where that is another number."""
    words = WORDS[language]
    if peak is None:
        return {"value": "–", "at": "" if not charged else f"{words['charged_here']} {whole(charged, language)}"}
    under = [local_short(peak["peak_at"], zone)]
    if peak.get("active") is not None:
        under.append(f"{words['active']} {whole(peak['active'], language)}")
    if charged is not None and charged != peak["peak"]:
        under.append(f"{words['charged_here']} {whole(charged, language)}")
    return {"value": whole(peak["peak"], language), "at": "\n".join(under)}


def _notes(line: Mapping[str, Any], language: Language) -> str:
    marks = [in_words(line["flags"], language)] if line["flags"] else []
    if line["standalones"]:
        marks.append(f"{line['standalones']} {WORDS[language]['standalones']}")
    return ", ".join(marks)


def _gaps(line: Mapping[str, Any], zone: str, language: Language) -> str:
    """Write the stretches of which nothing is known; the longest ones where there are many."""
    longest = sorted(line["gaps"], key=_length, reverse=True)
    shown = " · ".join(
        f"{local_short(start, zone)} – {local_short(end, zone)}" for start, end in sorted(longest[:_GAPS_SHOWN])
    )
    more = len(longest) - _GAPS_SHOWN
    words = WORDS[language]
    return "" if not shown else f"{words['gaps']}: {shown}" + (f" (+{more})" if more > 0 else "")


def _length(gap: Sequence[str]) -> timedelta:
    return datetime.fromisoformat(gap[1]) - datetime.fromisoformat(gap[0])


def _totals(document: Document, language: Language) -> list[str]:
    totals = document["totals"]
    charged = [whole(totals[name], language) for name in TYPES]
    return [WORDS[language]["charged"], *charged, "", whole(totals["charged"], language), "", "", ""]


def _chart(document: Document, language: Language) -> dict[str, Any]:
    words, sums = WORDS[language], daily_sums(document)
    days = list(zip(*(sums[name] for name in TYPES), strict=True))
    highest = max((sum(part or 0 for part in day) for day in days), default=0)
    grid = _grid(highest)
    most = grid[-1]
    return {
        "title": words["daily"],
        "alt": f"{words['daily_caption']}: {words['peak']} {whole(highest, language)}",
        "legend": [words[name] for name in TYPES],
        "caption": words["daily_caption"],
        "grid": [[value / most, whole(value, language)] for value in grid],
        "days": [
            {"label": str(int(label[8:])), "parts": [(part or 0) / most for part in day]}
            for label, day in zip(document["period"]["days"], days, strict=True)
        ],
    }


def _grid(highest: int) -> list[int]:
    """Give the round numbers, from 0 up to at least the highest, at which the chart has its lines: five at most."""
    step = next(step for step in (one * 10**zeros for zeros in range(12) for one in (1, 2, 5)) if 4 * step >= highest)
    return [step * number for number in range(max(-(-highest // step), 1) + 1)]


def _corrected(document: Document, language: Language) -> list[str]:
    """Add the corrections up, for the row below them."""
    totals = document["totals"]["corrections"]
    sums = (whole(totals[name], language, signed=True) for name in (*TYPES, "total"))
    return [WORDS[language]["total"], "", "", "", *sums, ""]


def _correction(one: Mapping[str, Any], language: Language) -> list[str]:
    return [
        one["site"],
        month_name(one["month"], language),
        one["report"],
        ORIGINS[language].get(one["origin"], one["origin"]),
        *(whole(one["quantities"][name], language, signed=True) for name in (*TYPES, "total")),
        one["reason"] or "",
    ]


def _not_charged(line: Mapping[str, Any], out: Mapping[str, Any], zone: str, language: Language) -> str:
    words = WORDS[language]
    kind = FLAGS[language]["voided" if out["kind"] == "void" else "excused"]
    since, until = (local_time(out[end], zone, language) for end in ("from", "until"))
    return f"{line['site']}: {kind}, {words['from']} {since} {words['until']} {until}. {out['reason']}"
