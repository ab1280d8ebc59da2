"""The forms of a statement: JSON, CSV, XLSX and PDF of the same facts. Pure: the same document gives the same bytes."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from services.reports.document import Document
from services.reports.forms import write_csv
from services.reports.paper import print_pdf
from services.reports.spreadsheet import Workbook
from services.reports.wording import (
    LANGUAGES,
    ORIGINS,
    WORDS,
    Language,
    decimal,
    language_of,
    local_day,
    local_time,
    month_name,
)
from services.reports.wording import whole as shown

STATEMENT_TEMPLATE = Path(__file__).parent / "statement.typ"
_WIDTHS = {"legal_name": 28.0, "address": 30.0, "country": 8.0, "sdi_code": 11.0, "pec": 28.0, "customer_code": 14.0}
_IDENTITY = ("legal_name", "address", "country", "vat_number", "tax_code", "sdi_code", "pec", "customer_code")
_COLUMNS = (
    "statement",
    "msp",
    *_IDENTITY,
    "report",
    "origin",
    "month",
    "type",
    "quantity",
    "unit_price",
    "amount",
    "currency",
    "corrects_statement",
    "invoice",
    "invoiced_on",
    "reason",
    "notice",
)


def render_statement(document_bytes: bytes) -> dict[str, bytes]:
    """Give every form of a statement, by name."""
    document = json.loads(document_bytes)
    return {
        "json": document_bytes,
        "csv": as_csv(document),
        "xlsx": as_workbook(document),
        **{f"pdf.{language}": as_pdf(document, language) for language in LANGUAGES},
    }


def as_csv(document: Document) -> bytes:
    """Write every stated line with what an invoice needs: stable columns, exact decimals with a point."""
    return write_csv(_COLUMNS, [_row(document, msp, line) for msp in document["msps"] for line in msp["lines"]])


def as_workbook(document: Document) -> bytes:
    """Write the statement as XLSX in the distributor's language."""
    language = language_of(document["language"])
    words = WORDS[language]
    title = f"{words['statement']} {document['statement']}"
    book = Workbook(title, datetime.fromisoformat(document["issued_at"]))
    columns = [
        ("MSP", 28.0),
        *((words[name], _WIDTHS.get(name, 18.0)) for name in _IDENTITY),
        (words["report"], 14),
        (words["origin"], 30),
        (words["month"], 10),
        (words["type"], 14),
        (words["quantity"], 11),
        (words["unit_price"], 14),
        (words["amount"], 14),
        (words["currency"], 9),
        (words["correction_of"], 16),
        (words["invoice"], 16),
        (words["reason"], 40),
    ]
    rows = [_cells(book, msp, line, language) for msp in document["msps"] for line in msp["lines"]]
    sheet = book.table(words["statement"][:31], columns, rows, pages_wide=2)
    y = len(rows) + 2
    for number, (currency, total) in enumerate(document["totals"].items()):
        book.put(sheet, y + number, 0, (f"{words['total']} {currency}", book.bold))
        book.put(sheet, y + number, 15, (Decimal(total), book.money_total))
    book.put(sheet, y + len(document["totals"]) + 1, 0, words["not_fiscal"])
    return book.done()


def as_pdf(document: Document, language: Language) -> bytes:
    """Write the statement as PDF in a language."""
    return print_pdf(STATEMENT_TEMPLATE, sheet(document, language))


def sheet(document: Document, language: Language) -> dict[str, Any]:
    """Give what the template needs: words and figures ready to be read."""
    words, period = WORDS[language], document["period"]
    distributor, month = document["distributor"], month_name(period["month"], language)
    zone = period["zone"]
    title = f"{words['statement']} {document['statement']}"
    columns = ("month", "type", "origin", "quantity", "unit_price", "amount")
    bounds = [local_time(period[name], zone, language) for name in ("starts_at", "ends_at")]
    return {
        "language": language,
        "title": f"{title} - {distributor['name']}",
        "author": distributor["name"],
        "heading": words["statement"],
        "subheading": f"{month[0].upper()}{month[1:]} · {words['statement_subtitle']}",
        "from": _own_identity(distributor, words),
        "facts": [
            {"label": words["number"], "value": document["statement"]},
            {"label": words["period"], "value": f"{bounds[0]} – {bounds[1]} ({words['excluded']})"},
            {"label": words["zone"], "value": zone},
            {"label": words["issued"], "value": local_time(document["issued_at"], zone, language)},
        ],
        "notice": words["not_fiscal"],
        "footer": f"{title} · {distributor['name']} · {document['notice']}",
        "page": words["page"],
        "of": words["of"],
        "columns": [words[name] for name in columns],
        "totals": _totals(document["totals"], language),
        "msps": [_msp(msp, language) for msp in document["msps"]],
        "contested_title": words["contested"],
        "contested": [_contested(one, language) for one in document["contested"]],
        "held_title": words["held"],
        "held": [f"{one['msp']}: {words[one['reason']]}" for one in document["held"]],
        "rounding": words["rounding"],
        "hash": f"SHA-256 {document['msps_sha256']}",
    }


def _row(document: Document, msp: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, object]:
    return {
        "statement": document["statement"],
        "msp": msp["msp"],
        **{name: msp[name] for name in (*_IDENTITY, "report")},
        **{name: line[name] for name in ("origin", "month", "type", "quantity", "unit_price", "currency")},
        "amount": Decimal(line["amount"]),
        "corrects_statement": line["statement"],
        **{name: line[name] for name in ("invoice", "invoiced_on", "reason")},
        "notice": document["notice"],
    }


def _cells(book: Workbook, msp: Mapping[str, Any], line: Mapping[str, Any], language: Language) -> list[Any]:
    price = line["unit_price"]
    return [
        (msp["msp"], book.wrap),
        *((msp[name], book.wrap) for name in _IDENTITY),
        msp["report"],
        (ORIGINS[language].get(line["origin"], line["origin"]), book.wrap),
        line["month"],
        WORDS[language][line["type"]] if line["type"] else None,
        line["quantity"],
        None if price is None else (Decimal(price), book.price),
        (Decimal(line["amount"]), book.money),
        line["currency"],
        line["statement"],
        line["invoice"],
        (line["reason"], book.wrap),
    ]


def _msp(msp: Mapping[str, Any], language: Language) -> dict[str, Any]:
    words = WORDS[language]
    given = [f"{words[name]} {msp[name]}" for name in _IDENTITY[2:] if msp[name]]
    missing = ", ".join(words[name] for name in msp["missing"])
    return {
        "name": msp["msp"],
        "identity": [*(msp[name] for name in ("legal_name", "address") if msp[name]), *given],
        "missing": f"{words['missing']}: {missing}" if missing else "",
        "lines": [_line(line, msp["report"], language) for line in msp["lines"]],
        "totals": _totals(msp["totals"], language),
    }


def _own_identity(distributor: Mapping[str, str | None], words: Mapping[str, str]) -> list[str]:
    """Write who states: each part once."""
    given = [distributor[name] for name in ("name", "legal_name", "address")]
    if distributor["vat_number"]:
        given.append(f"{words['vat_number']} {distributor['vat_number']}")
    return list(dict.fromkeys(one for one in given if one))


def _line(line: Mapping[str, Any], report: str, language: Language) -> dict[str, str]:
    words = WORDS[language]
    origin = ORIGINS[language].get(line["origin"], line["origin"])
    if line["origin"] == "report":
        origin += f" {report}"
    if line["statement"]:
        origin += f", {words['correction_of']} {line['statement']}"
    if line["invoice"]:
        origin += f", {words['invoice']} {line['invoice']} ({local_day(line['invoiced_on'], language)})"
    if line["reason"]:
        origin += f": {line['reason']}"
    signed = line["origin"] != "report"
    return {
        "month": month_name(line["month"], language),
        "type": words[line["type"]] if line["type"] else "",
        "origin": origin,
        "quantity": shown(line["quantity"], language, signed=signed) if line["type"] else "",
        "price": "" if line["unit_price"] is None else decimal(line["unit_price"], language),
        "amount": f"{decimal(line['amount'], language)} {line['currency']}",
    }


def _totals(totals: Mapping[str, str], language: Language) -> list[dict[str, str]]:
    word = WORDS[language]["total"]
    return [
        {"label": f"{word} {currency}", "value": f"{decimal(amount, language)} {currency}"}
        for currency, amount in totals.items()
    ]


def _contested(one: Mapping[str, Any], language: Language) -> str:
    words = WORDS[language]
    names = ("server", "workstation", "server_plus")
    figures = ", ".join(
        f"{words[name]} {one['charged'][name]} ({words['claimed']} {one['claimed'][name]})"
        for name in names
        if one["charged"][name] != one["claimed"][name]
    )
    line = f"{month_name(one['month'], language)}, {ORIGINS[language]['report']} {one['report']}"
    return f"{one['msp']}, {one['site']}, {line}: {figures}. {one['reason']}"
