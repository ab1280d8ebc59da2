"""The report as a workbook: summary, lines, daily peaks with a chart, corrections. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.reports.document import TYPES, Document, daily_sums
from services.reports.marks import in_words, meanings
from services.reports.spreadsheet import Workbook, wall_clock
from services.reports.wording import ORIGINS, STATES, WORDS, Language, language_of, local_time, month_name

COLOURS = {"server": "#1F6F8B", "workstation": "#E0A030", "server_plus": "#7A4E9E"}


def as_workbook(document: Document) -> bytes:
    """Write the report as XLSX in its own language."""
    language = language_of(document["language"])
    words = WORDS[language]
    created = datetime.fromisoformat(document["issued_at"] or document["cut_off_at"])
    book = Workbook(f"{words['title']} {document['number'] or ''}".strip(), created)
    _summary(book, document, language)
    _lines(book, document, language)
    _daily(book, document, language)
    if document["corrections"]:
        _corrections(book, document, language)
    return book.done()


def _summary(book: Workbook, document: Document, language: Language) -> None:
    words, period = WORDS[language], document["period"]
    zone = period["zone"]
    sheet = book.cover(words["summary"])
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 70)
    sheet.write_string(0, 0, words["title"], book.title)
    between = " ".join(
        [
            words["from"],
            local_time(period["starts_at"], zone, language),
            words["until"],
            local_time(period["ends_at"], zone, language),
            f"({words['excluded']})",
        ]
    )
    facts: list[tuple[str, Any]] = [
        (words["number"], document["number"] or words["provisional"]),
        (words["msp"], document["msp"]),
        (words["distributor"], document["distributor"]),
        (words["month"], month_name(period["month"], language)),
        (words["period"], between),
        (f"{words['period']} (UTC)", f"{period['starts_at']} / {period['ends_at']}"),
        (words["zone"], f"{zone} ({period['zone_data']})"),
        (words["cut_off"], local_time(document["cut_off_at"], zone, language)),
        (words["issued"], local_time(document["issued_at"], zone, language)),
        (words["sites"], document["totals"]["sites"]),
        *((f"{words['charged']}: {words[name]}", document["totals"][name]) for name in TYPES),
        (f"{words['charged']}: {words['total']}", document["totals"]["charged"]),
        (words["corrections_short"], (document["totals"]["corrections"]["total"], book.signed_left)),
        (words["hash"], document["lines_sha256"]),
    ]
    for y, (label, value) in enumerate(facts, start=2):
        book.put(sheet, y, 0, (label, book.bold))
        book.put(sheet, y, 1, (value, book.left) if isinstance(value, int) else value)
    notes = [words[note] for note in ("note_peak", "note_sum", "note_coverage", "note_active", "note_late")]
    notes += meanings([flag for line in document["lines"] for flag in line["flags"]], language)
    for y, note in enumerate(notes, len(facts) + 3):
        sheet.merge_range(y, 0, y, 1, note, book.wrap)
        sheet.set_row(y, 32)


def _lines(book: Workbook, document: Document, language: Language) -> None:
    words = WORDS[language]
    columns = [(words["site"], 30.0), (words["reference"], 16), (words["key"], 31), (words["state"], 12)]
    for name in TYPES:
        columns += [
            (f"{words[name]}\n{words['peak']}", 13),
            (f"{words[name]}\n{words['peak_at']}", 19),
            (f"{words[name]}\n{words['active']}", 13),
            (f"{words[name]}\n{words['charged']}", 13),
        ]
    columns += [
        (words["at_once"], 12),
        (words["at_once_at"], 19),
        (f"{words['total']}\n{words['charged']}", 13),
        (words["coverage"], 11),
        (words["activated"], 19),
        (words["flags"], 36),
        (words["standalones"], 14),
        (words["gaps"], 36),
    ]
    rows = [_line(book, line, document["period"]["zone"], language) for line in document["lines"]]
    sheet = book.table(words["lines"], columns, rows, pages_wide=2)
    for x in (4 + 4 * number + 3 for number in range(len(TYPES))):
        name = TYPES[(x - 7) // 4]
        sheet.write_number(len(rows) + 1, x, document["totals"][name], book.total)
    sheet.write_string(len(rows) + 1, 0, words["charged"], book.bold)
    sheet.write_number(len(rows) + 1, 18, document["totals"]["charged"], book.total)


def _line(book: Workbook, line: Mapping[str, Any], zone: str, language: Language) -> list[Any]:
    cells: list[Any] = [
        (line["site"], book.wrap),
        (line["reference"], book.wrap),
        line["key"],
        STATES[language].get(line["state"], line["state"]),
    ]
    for name in TYPES:
        peak = line[name] or {}
        cells += [peak.get("peak"), wall_clock(peak.get("peak_at"), zone), peak.get("active"), line["charged"][name]]
    total = line["total"] or {}
    return [
        *cells,
        total.get("peak"),
        wall_clock(total.get("peak_at"), zone),
        line["charged"]["total"],
        (float(line["coverage_percent"]) / 100, book.percent),
        wall_clock(line["activated_at"], zone),
        (in_words(line["flags"], language), book.wrap),
        line["standalones"],
        ("\n".join(_gap(gap, zone) for gap in line["gaps"]), book.wrap),
    ]


def _gap(gap: Sequence[str], zone: str) -> str:
    """Write a gap by the wall clock, as the other instants of the sheet are."""
    return " – ".join(f"{wall_clock(end, zone):%Y-%m-%d %H:%M}" for end in gap)


def _daily(book: Workbook, document: Document, language: Language) -> None:
    words, sums = WORDS[language], daily_sums(document)
    days = [datetime.fromisoformat(day) for day in document["period"]["days"]]
    rows = [[(day, book.day), *(sums[name][number] for name in TYPES)] for number, day in enumerate(days)]
    columns = [(words["day"], 14.0), *((words[name], 14) for name in TYPES)]
    sheet = book.table(words["daily"], columns, rows)
    chart = book.book.add_chart({"type": "column", "subtype": "stacked"})
    for x, name in enumerate(TYPES, start=1):
        chart.add_series(
            {
                "name": [words["daily"], 0, x],
                "categories": [words["daily"], 1, 0, len(rows), 0],
                "values": [words["daily"], 1, x, len(rows), x],
                "fill": {"color": COLOURS[name]},
                "gap": 40,
            }
        )
    chart.set_title({"name": words["daily_caption"], "name_font": {"size": 11}})
    chart.set_legend({"position": "bottom"})
    chart.set_x_axis({"num_format": "dd", "text_axis": True})
    chart.set_y_axis({"num_format": "#,##0", "major_gridlines": {"visible": True, "line": {"color": "#DDDDDD"}}})
    chart.set_size({"width": 860, "height": 380})
    sheet.insert_chart(1, 5, chart, {"description": words["daily_caption"]})


def _corrections(book: Workbook, document: Document, language: Language) -> None:
    words = WORDS[language]
    columns = [
        (words["site"], 30.0),
        (words["month"], 10),
        (words["report"], 14),
        (words["origin"], 30),
        *((words[name], 12) for name in TYPES),
        (words["total"], 12),
        (words["reason"], 50),
    ]
    rows = [
        [
            (one["site"], book.wrap),
            one["month"],
            one["report"],
            ORIGINS[language].get(one["origin"], one["origin"]),
            *((one["quantities"][name], book.signed) for name in (*TYPES, "total")),
            (one["reason"], book.wrap),
        ]
        for one in document["corrections"]
    ]
    sheet = book.table(words["corrections_short"], columns, rows)
    sheet.write_string(len(rows) + 1, 0, words["total"], book.bold)
    for x, name in enumerate((*TYPES, "total"), start=4):
        sheet.write_number(len(rows) + 1, x, document["totals"]["corrections"][name], book.signed_total)
