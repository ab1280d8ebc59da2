"""The words of the forms that people read, in Italian and English. Pure; names and codes in files never change."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from services.usage import zone_info

Language = Literal["it", "en"]
LANGUAGES: tuple[Language, ...] = ("it", "en")

WORDS: Mapping[Language, Mapping[str, str]] = {
    "it": {
        "title": "Deployed Agents Report",
        "subtitle": "Agenti installati nel mese",
        "provisional": "provvisorio",
        "number": "Numero",
        "msp": "MSP",
        "distributor": "Distributore",
        "period": "Periodo",
        "zone": "Fuso orario",
        "issued": "Emesso",
        "cut_off": "Dati ricevuti entro",
        "from": "dal",
        "until": "al",
        "excluded": "escluso",
        "sites": "Siti",
        "site": "Sito",
        "reference": "Riferimento",
        "key": "Chiave",
        "state": "Stato",
        "activated": "Attivata",
        "server": "Server",
        "workstation": "Workstation",
        "server_plus": "Server Plus",
        "total": "Totale",
        "charged": "Addebitati",
        "peak": "picco",
        "peak_at": "raggiunto",
        "active": "attivi",
        "at_once": "Insieme",
        "at_once_at": "Insieme, raggiunto",
        "coverage": "Copertura",
        "gaps": "Lacune",
        "flags": "Note",
        "daily": "Picchi giornalieri",
        "daily_caption": "Agenti installati, somma dei picchi giornalieri dei siti",
        "day": "Giorno",
        "corrections": "Correzioni di periodi precedenti",
        "corrections_short": "Correzioni",
        "together": "in tutto",
        "charged_here": "addebitati",
        "since": "dal",
        "standalones": "Server Plus autonomi",
        "origin": "Origine",
        "reason": "Motivo",
        "month": "Mese",
        "report": "Report",
        "page": "Pagina",
        "of": "di",
        "summary": "Riepilogo",
        "lines": "Per sito",
        "notes": "Come si legge",
        "not_charged": "Non addebitato",
        "none": "senza dati",
        "hash": "Impronta delle righe (SHA-256)",
        "statement": "Rendiconto per la fatturazione",
        "statement_subtitle": "Quantità addebitabili del mese, per MSP",
        "not_fiscal": "Documento non fiscale. IVA, fattura elettronica e pagamenti restano a cura del distributore.",
        "quantity": "Quantità",
        "unit_price": "Prezzo unitario",
        "amount": "Importo",
        "currency": "Valuta",
        "type": "Tipo",
        "held": "In sospeso",
        "contested": "Righe contestate: non fatturare prima della decisione",
        "claimed": "richiesti",
        "price_missing": "manca un prezzo",
        "report_held": "report in verifica",
        "missing": "Dati mancanti per la fattura",
        "correction_of": "corregge il rendiconto",
        "invoice": "fattura",
        "rounding": "Ogni riga è arrotondata alla minima unità della valuta, la mezza unità per eccesso; i totali sono"
        " la somma esatta delle righe.",
        "legal_name": "Ragione sociale",
        "address": "Indirizzo",
        "country": "Paese",
        "vat_number": "Partita IVA",
        "tax_code": "Codice fiscale",
        "sdi_code": "Codice SDI",
        "pec": "PEC",
        "customer_code": "Codice cliente",
        "note_peak": "Il picco è il numero più alto di agenti installati nello stesso istante del mese; si addebita il"
        " picco di ogni tipo, senza proporzione sui giorni.",
        "note_sum": "La somma dei picchi dei tre tipi è maggiore o uguale al picco di tutti gli agenti insieme,"
        " mostrato nella colonna «Insieme».",
        "note_coverage": "La copertura è la parte del periodo, dall'attivazione, per cui il numero di agenti è noto."
        " Ciò che non è noto non conta: «nessun dato» non è zero.",
        "note_late": "I dati che arrivano entro 35 giorni dalla fine del periodo diventano una correzione, con segno,"
        " in uno dei prossimi report. Una riga si può contestare entro 10 giorni dall'emissione.",
        "note_active": "Attivi: agenti che in quell'istante avevano rispettato la propria pianificazione; sono mostrati"
        " accanto e non si addebitano.",
    },
    "en": {
        "title": "Deployed Agents Report",
        "subtitle": "Agents deployed in the month",
        "provisional": "provisional",
        "number": "Number",
        "msp": "MSP",
        "distributor": "Distributor",
        "period": "Period",
        "zone": "Time zone",
        "issued": "Issued",
        "cut_off": "Data received by",
        "from": "from",
        "until": "to",
        "excluded": "excluded",
        "sites": "Sites",
        "site": "Site",
        "reference": "Reference",
        "key": "Key",
        "state": "State",
        "activated": "Activated",
        "server": "Server",
        "workstation": "Workstation",
        "server_plus": "Server Plus",
        "total": "Total",
        "charged": "Charged",
        "peak": "peak",
        "peak_at": "reached",
        "active": "active",
        "at_once": "At once",
        "at_once_at": "At once, reached",
        "coverage": "Coverage",
        "gaps": "Gaps",
        "flags": "Notes",
        "daily": "Daily peaks",
        "daily_caption": "Deployed agents, sum of the sites' peaks of each day",
        "day": "Day",
        "corrections": "Corrections of earlier periods",
        "corrections_short": "Corrections",
        "together": "in all",
        "charged_here": "charged",
        "since": "since",
        "standalones": "standalone Server Plus",
        "origin": "Origin",
        "reason": "Reason",
        "month": "Month",
        "report": "Report",
        "page": "Page",
        "of": "of",
        "summary": "Summary",
        "lines": "By site",
        "notes": "How to read this",
        "not_charged": "Not charged",
        "none": "without data",
        "hash": "Hash of the lines (SHA-256)",
        "statement": "Statement for invoicing",
        "statement_subtitle": "Chargeable quantities of the month, by MSP",
        "not_fiscal": "Not a fiscal document (documento non fiscale). VAT, e-invoice, payment: the distributor's.",
        "quantity": "Quantity",
        "unit_price": "Unit price",
        "amount": "Amount",
        "currency": "Currency",
        "type": "Type",
        "held": "Held",
        "contested": "Disputed lines: not to be invoiced before they are decided",
        "claimed": "claimed",
        "price_missing": "a price is missing",
        "report_held": "report under review",
        "missing": "Missing for the invoice",
        "correction_of": "corrects statement",
        "invoice": "invoice",
        "rounding": "Each line is rounded half up to the currency; totals are the exact sum of the lines.",
        "legal_name": "Legal name",
        "address": "Address",
        "country": "Country",
        "vat_number": "VAT number",
        "tax_code": "Tax code",
        "sdi_code": "SDI code",
        "pec": "PEC",
        "customer_code": "Customer code",
        "note_peak": "A peak is the highest number of agents deployed at one instant of the month; the peak of each"
        " type is charged, without proration by days.",
        "note_sum": "The sum of the peaks of the three types is at least the peak of all agents together, which is"
        " shown in the column “At once”.",
        "note_coverage": "Coverage is the part of the period, since activation, for which the number of agents is"
        " known. What is not known does not count: “no data” is not zero.",
        "note_late": "Data that arrives within 35 days of the period's end becomes a signed correction in a later"
        " report. A line can be disputed within 10 days of issue.",
        "note_active": "Active: agents that had kept to their own schedule at that instant; they are shown beside the"
        " peak and not charged.",
    },
}

STATES: Mapping[Language, Mapping[str, str]] = {
    "it": {
        "issued": "emessa",
        "active": "attiva",
        "disabled": "disabilitata",
        "suspended": "sospesa",
        "revoked": "revocata",
    },
    "en": {
        "issued": "issued",
        "active": "active",
        "disabled": "disabled",
        "suspended": "suspended",
        "revoked": "revoked",
    },
}
ORIGINS: Mapping[Language, Mapping[str, str]] = {
    "it": {
        "report": "report",
        "late_usage": "dati arrivati dopo la chiusura",
        "estimate_replaced": "stima sostituita dai dati",
        "excused": "esonero",
        "adjustment": "rettifica decisa",
        "price": "prezzo corretto",
    },
    "en": {
        "report": "report",
        "late_usage": "data received after the close",
        "estimate_replaced": "estimate replaced by data",
        "excused": "excused",
        "adjustment": "decided adjustment",
        "price": "corrected price",
    },
}
_MONTHS: Mapping[Language, tuple[str, ...]] = {
    "it": (
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ),
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
}


def month_name(month: str, language: Language) -> str:
    """Write a month for people: `2026-03` is "marzo 2026"."""
    year, number = month.split("-")
    return f"{_MONTHS[language][int(number) - 1]} {year}"


def local_time(instant: str | None, zone: str, language: Language) -> str:
    """Write an instant for people, in the zone of the report, to the minute."""
    if instant is None:
        return ""
    at = datetime.fromisoformat(instant).astimezone(zone_info(zone))
    if language == "it":
        return f"{at:%d/%m/%Y %H:%M}"
    return f"{at.day} {_MONTHS['en'][at.month - 1][:3]} {at:%Y %H:%M}"


def local_day(day: str, language: Language) -> str:
    """Write a day for people."""
    at = date.fromisoformat(day)
    return f"{at:%d/%m/%Y}" if language == "it" else f"{at.day} {_MONTHS['en'][at.month - 1][:3]} {at.year}"


def local_short(instant: str | None, zone: str) -> str:
    """Write an instant of the report's month: day, hour and minute."""
    return f"{datetime.fromisoformat(instant).astimezone(zone_info(zone)):%d/%m %H:%M}" if instant else ""


def whole(number: int, language: Language, *, signed: bool = False) -> str:
    """Write a whole number with groups of three."""
    text = f"{number:+,}" if signed and number else f"{number:,}"
    return text.replace(",", ".") if language == "it" else text


def decimal(text: str, language: Language) -> str:
    """Write an exact decimal (`1234.50`) for people."""
    shown = f"{Decimal(text):,f}"
    return shown.translate(str.maketrans(",.", ".,")) if language == "it" else shown


def language_of(text: str) -> Language:
    """Read a language; Italian, the programme's own, for any other."""
    return "en" if text == "en" else "it"
