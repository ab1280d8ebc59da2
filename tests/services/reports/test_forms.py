"""Document and forms: the same facts give the same bytes in all four, and no spreadsheet runs any of them."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import jsonschema
import openpyxl
import pypdf
import pytest
import rfc8785

from services.reports.charging import Correction, Counted, Excluded, charge
from services.reports.document import Heading, compose, write
from services.reports.forms import as_csv, render
from services.reports.marks import FLAGS, meanings
from services.reports.paper import REPORT_TEMPLATE, NotPrintable, print_pdf, sheet
from services.reports.schemas import REPORT_SCHEMA
from services.reports.wording import LANGUAGES, ORIGINS, STATES, WORDS, Language
from services.reports.workbook import as_workbook
from services.usage import Maker, Recount, recount
from services.usage.recount import Said, ToldLine

START = datetime(2026, 2, 28, 23, tzinfo=UTC)
END = datetime(2026, 3, 31, 22, tzinfo=UTC)
PEAK_AT = datetime(2026, 3, 5, 12, tzinfo=UTC)
HEADING = Heading(
    distributor="Distribuzione",
    msp="Adriatica IT",
    language="it",
    month="2026-03",
    zone="Europe/Rome",
    zone_data="2026a",
    starts_at=START,
    ends_at=END,
    cut_off_at=datetime(2026, 4, 1, 4, tzinfo=UTC),
    days=[date(2026, 3, 1) + timedelta(days=n) for n in range(31)],
    number="2026-00001",
    issued_at=datetime(2026, 4, 1, 4, tzinfo=UTC),
)
DAYS = [START + timedelta(days=n) for n in range(31)]
INSTALLATION = UUID(int=9)
VOID = Excluded("void", PEAK_AT, PEAK_AT + timedelta(hours=1), "un errore", "anna@distribuzione.example")
CORRECTION = Correction(UUID(int=1), "Hotel Adria", "2026-02", "2026-00000", "late_usage", (1, -2, 0), None, None)


def row(**fields: Any) -> SimpleNamespace:
    known: dict[str, Any] = {
        "site_id": UUID(int=1),
        "name": "Hotel Adria",
        "reference": "C-1",
        "key_masked": "*****-*****-*****-*****-V1ZJT",
        "state": "active",
        "activated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "covered_seconds": 99.0,
        "span_seconds": 100.0,
        "gaps": [["2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00"]],
        "flags": ["new"],
    }
    return SimpleNamespace(**known | fields)


def told(known: bool = True, excluded: tuple[Excluded, ...] = ()) -> Recount:
    entries = [
        Said(1, START, (1, 2, 3)),
        Said(2, PEAK_AT, (1, 5, 3), (1, 4, 0)),
        Said(3, END - timedelta(1), (0, 0, 0)),
    ]
    line = ToldLine(INSTALLATION, 0, START, END if known else None, entries=entries if known else [])
    return recount([line], START, END, days=DAYS, excluded=[(one.from_at, one.until_at) for one in excluded])


def counted(*, known: bool = True, excluded: tuple[Excluded, ...] = (), **fields: Any) -> Counted:
    return charge(row(**fields), told(known, excluded), excluded, no_data="nothing", short=False)


def whole(heading: Heading = HEADING) -> bytes:
    """A report with everything that a report can hold."""
    lines = [counted(), counted(name="Porto", excluded=(VOID,)), counted(name="Zero", known=False, flags=["no_data"])]
    return write(compose(heading, lines, [CORRECTION], {(UUID(int=1), Maker(INSTALLATION, 0, 2)): b"\1" * 32}))


@cache
def rendered() -> dict[str, bytes]:
    return render(whole())


def cells(*lines: Counted, heading: Heading = HEADING) -> list[dict[str, str]]:
    content = as_csv(compose(heading, lines))
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def sheets(document: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(as_workbook(json.loads(document))))


# --- the document ----------------------------------------------------------------------------------------------


def test_the_same_facts_give_the_same_bytes_in_every_form() -> None:
    assert render(whole()) == rendered()
    assert set(rendered()) == {"json", "csv", "xlsx", "pdf.it", "pdf.en"}
    assert rfc8785.dumps(json.loads(rendered()["json"])) == rendered()["json"]


def test_the_published_schema_describes_the_document_and_nothing_else() -> None:
    checker = jsonschema.Draft202012Validator(REPORT_SCHEMA, format_checker=jsonschema.FormatChecker())
    document = json.loads(whole())
    checker.validate(document)
    checker.validate(json.loads(whole(replace(HEADING, number=None, issued_at=None))))
    spoilt: dict[str, Any]
    for spoilt in ({"number": 1}, {"surprise": 1}, {"lines": [{}]}):
        assert not checker.is_valid(document | spoilt)


def test_the_heading_states_the_period_in_utc_and_in_local_time_with_the_version_of_the_zone_data() -> None:
    period = dict(compose(HEADING, [])["period"])
    assert len(period.pop("days")) == 31
    assert period == {
        "month": "2026-03",
        "zone": "Europe/Rome",
        "zone_data": "2026a",
        "starts_at": "2026-02-28T23:00:00Z",
        "ends_at": "2026-03-31T22:00:00Z",
        "starts_at_local": "2026-03-01T00:00:00+01:00",
        "ends_at_local": "2026-04-01T00:00:00+02:00",
    }


def test_totals_add_what_is_charged_and_never_invent_a_zero() -> None:
    document = compose(HEADING, [counted(), counted(), counted(known=False)], [CORRECTION])
    assert document["totals"] == {
        "server": 2, "workstation": 10, "server_plus": 6, "charged": 18, "sites": 3, "no_data": 1,
        "corrections": {"server": 1, "workstation": -2, "server_plus": 0, "total": -1},
    }  # fmt: skip
    assert document["lines"][2]["server"] is None
    both = {"lines": document["lines"], "corrections": document["corrections"]}
    assert document["lines_sha256"] == sha256(rfc8785.dumps(both)).hexdigest()


def test_a_peak_names_the_change_that_made_it_with_its_receipt() -> None:
    peak = json.loads(whole())["lines"][0]["workstation"]
    made_by = {"installation_id": str(INSTALLATION), "line": 0, "n": 2, "receipt": "01" * 32}
    assert peak == {"peak": 5, "peak_at": "2026-03-05T12:00:00Z", "active": 4, "made_by": [made_by]}


def test_a_voided_peak_is_shown_beside_what_is_charged() -> None:
    line = compose(HEADING, [counted(excluded=(replace(VOID, until_at=END),))])["lines"][0]
    assert (line["workstation"]["peak"], line["charged"]["workstation"]) == (5, 2)
    assert (line["not_charged"][0]["reason"], "voided" in line["flags"]) == ("un errore", True)


@pytest.mark.parametrize(
    ("covered", "span", "shown"),
    [(100, 100, "100.00"), (99.9999, 100, "99.99"), (0, 100, "0.00"), (1, 3, "33.33"), (0, 0, "100.00")],
)
def test_coverage_is_cut_so_that_100_means_all_of_it(covered: float, span: float, shown: str) -> None:
    [line] = compose(HEADING, [counted(covered_seconds=covered, span_seconds=span)])["lines"]
    assert line["coverage_percent"] == shown


def test_a_report_without_a_number_is_provisional() -> None:
    document = compose(replace(HEADING, number=None, issued_at=None), [counted()])
    assert (document["status"], document["number"], document["issued_at"]) == ("provisional", None, None)


# --- CSV -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(first: str) -> None:
    text = f"{first}cmd|' /C calc'!A0"
    [cell] = cells(counted(name=text, reference=text), heading=replace(HEADING, msp=text))
    assert {cell["site"], cell["reference"], cell["msp"]} == {f"'{text}"}


def test_a_csv_cell_holds_what_was_given_with_quotes_commas_and_umlauts() -> None:
    text = 'Größe, "Süd"; 100 €'
    [cell] = cells(counted(name=text))
    assert cell["site"] == text
    assert cell["gaps"] == "2026-03-01T00:00:00Z/2026-03-02T00:00:00Z"
    assert (cell["workstation"], cell["workstation_at"], cell["flags"]) == ("5", "2026-03-05T12:00:00Z", "new")


def test_a_csv_has_its_columns_also_without_lines_and_the_mark_by_which_spreadsheets_know_utf_8() -> None:
    content = as_csv(compose(HEADING, []))
    assert content.startswith(b"\xef\xbb\xbfnumber,month,msp,origin,site,site_id,")
    assert content.count(b"\r\n") == 1


def test_a_correction_is_a_line_of_the_csv_with_its_signed_quantities() -> None:
    *_, last = csv.DictReader(io.StringIO(rendered()["csv"].decode("utf-8-sig"), newline=""))
    assert (last["origin"], last["month"], last["server_charged"], last["workstation_charged"]) == (
        "late_usage", "2026-02", "1", "-2",
    )  # fmt: skip


# --- XLSX ------------------------------------------------------------------------------------------------------


def test_the_workbook_has_typed_cells_a_frozen_header_and_a_chart_of_daily_peaks() -> None:
    book = sheets(whole())
    assert book.sheetnames == ["Riepilogo", "Per sito", "Picchi giornalieri", "Correzioni"]
    lines = book["Per sito"]
    assert (lines["E2"].value, lines["I2"].value, lines["J2"].value) == (
        1,
        5,
        (PEAK_AT + timedelta(hours=1)).replace(tzinfo=None),
    )
    assert (lines.freeze_panes, lines["E4"].value) == ("B2", None)
    daily = book["Picchi giornalieri"]
    assert (daily["A2"].value, daily["C6"].value, len(daily._charts)) == (
        (START + timedelta(hours=1)).replace(tzinfo=None),
        10,
        1,
    )


def test_long_texts_of_a_workbook_are_wrapped_in_rows_high_enough_and_gaps_are_by_the_wall_clock() -> None:
    lines = sheets(
        write(compose(HEADING, [counted(name="Studio Legale Associato Bassi, Verdi & Partners"), counted()]))
    )
    sheet = lines["Per sito"]
    assert sheet["A2"].alignment.wrap_text
    assert (sheet.row_dimensions[2].height, sheet.row_dimensions[3].height) == (30, None)
    assert sheet["X2"].value == "2026-03-01 01:00 – 2026-03-02 01:00"
    assert (sheet.page_setup.fitToWidth, sheet.print_title_cols) == (2, "$A:$A")


@pytest.mark.parametrize("text", ["=1+1", "http://example.com", "-1", "1.5", "@SUM(A1)"])
def test_text_in_a_workbook_stays_the_very_text(text: str) -> None:
    cell = sheets(write(compose(HEADING, [counted(name=text)])))["Per sito"]["A2"]
    assert (cell.value, cell.data_type, cell.hyperlink) == (text, "s", None)


# --- PDF -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf_is_tagged_numbered_and_in_its_language(language: Language) -> None:
    pdf = pypdf.PdfReader(io.BytesIO(rendered()[f"pdf.{language}"]))
    root: Any = pdf.trailer["/Root"]
    assert (root["/MarkInfo"]["/Marked"], root["/Lang"]) == (True, language)
    assert "/CreationDate" not in (pdf.metadata or {})
    words = WORDS[language]
    text = "".join(page.extract_text() for page in pdf.pages)
    for expected in (words["notes"], f"{words['page']} 1 {words['of']} {len(pdf.pages)}", "Hotel Adria", "un errore"):
        assert expected in text


def test_a_page_shows_gaps_state_what_is_charged_where_it_differs_and_the_sum_of_the_corrections() -> None:
    void = Excluded("void", PEAK_AT, END, "un errore", "anna@distribuzione.example")
    lines = [counted(), counted(excluded=(void,)), counted(known=False, flags=["no_data"])]
    page = sheet(compose(HEADING, lines, [CORRECTION]), "it")
    first, voided, unknown = page["lines"]
    assert first["gaps"] == "Lacune: 01/03 01:00 – 02/03 01:00"
    assert first["under"] == "C-1 · V1ZJT · attiva · dal 01/01/2026"
    assert [first["peaks"][1]["at"], voided["peaks"][1]["at"]] == [
        "05/03 13:00\nattivi 4", "05/03 13:00\nattivi 4\naddebitati 2",
    ]  # fmt: skip
    assert (unknown["notes"], unknown["peaks"][0]["value"]) == ("nessun dato", "–")
    [correction] = [card for card in page["cards"] if card["label"] == "Correzioni"]
    assert (correction["value"], correction["note"]) == ("-1", "in tutto: 14")
    assert page["corrections_total"] == ["Totale", "", "", "", "+1", "-2", "0", "-1", ""]
    assert page["corrections"][0][1] == "febbraio 2026"
    # Nine agents at the highest of each of two sites: the chart's lines are round numbers up to at least that.
    assert [label for _, label in page["chart"]["grid"]] == ["0", "5", "10", "15", "20"]
    assert sum(note.startswith("«nessun dato»") for note in page["notes"]) == 1


def test_a_name_of_a_site_is_text_and_no_markup() -> None:
    name = r"#panic() *bold* $x$ \ @ref <b> = heading"
    data = sheet(compose(HEADING, [counted(name=name)]), "it")
    pdf = pypdf.PdfReader(io.BytesIO(print_pdf(REPORT_TEMPLATE, data)))
    assert "#panic() *bold*" in pdf.pages[0].extract_text()


def test_a_pdf_that_the_typesetter_warns_of_is_refused(tmp_path: Path) -> None:
    template = tmp_path / "x.typ"
    template.write_text('#set document(title: "x", date: none)\n#set text(font: "No Such Font")\nx')
    with pytest.raises(NotPrintable):
        print_pdf(template, {})


def test_every_word_flag_state_and_origin_is_there_in_both_languages() -> None:
    for words in (WORDS, FLAGS, STATES, ORIGINS):
        assert words["it"].keys() == words["en"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_flag_of_the_schema_has_its_words_and_but_for_new_its_meaning(language: Language) -> None:
    flags = REPORT_SCHEMA["properties"]["lines"]["items"]["properties"]["flags"]["items"]["enum"]
    assert list(FLAGS[language]) == flags
    assert len(meanings(flags, language)) == len(flags) - 1
    assert meanings(["new"], language) == []
