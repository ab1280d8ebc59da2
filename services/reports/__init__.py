"""Reports: the Deployed Agents Report of every MSP and month.

Promise: every period is closed exactly once, in order, from what had been received by its cut-off; numbers run without
a gap; the same facts give the same bytes, and issued bytes never change.
"""

from services.reports import cases, shelf
from services.reports.accounts import (
    AmountLine,
    AmountsNotShown,
    SetPrices,
    StatedMonth,
    amounts_of,
    one_statement,
    prices_set,
    stated_for,
    statement_file,
    statements,
    with_tiers,
)
from services.reports.archive import IssuedReport, file_of, issued, provisional
from services.reports.claims import (
    ANSWER_WITHIN,
    DECIDE_WITHIN,
    AlreadyDisputed,
    By,
    ClaimDecided,
    DisputeTooLate,
    LateUsageOpen,
    NotYetForVendor,
    PeriodClosed,
    PeriodSettled,
    Stretch,
    adjust,
    approve_late,
    ask_void,
    decide_dispute,
    decide_void,
    decisions,
    dispute,
    excuse,
    standing,
    withdraw_excuse,
)
from services.reports.closing import (
    Due,
    Unissued,
    close,
    due,
    issue,
    next_close_at,
    next_unissued,
    unfinished,
)
from services.reports.counting import terms
from services.reports.docket import (
    AskedVoid,
    OpenedDispute,
    disputes,
    excuses_of,
    line_of,
    one_dispute,
    one_void,
    site_seen,
    voids,
)
from services.reports.document import Document, write
from services.reports.evidence import PeakEvidence, evidence_of
from services.reports.forms import MEDIA_TYPES, render
from services.reports.inspection import Inspected, dry_run, explain, held, take_again
from services.reports.last_day import distributors_on_last_day, tell_next
from services.reports.letters import files_with
from services.reports.price_lists import correct_price, record_invoice, set_prices, set_terms, statement_of
from services.reports.pricing import Tier, rounded, show_price
from services.reports.schemas import SCHEMAS
from services.reports.statement_forms import render_statement
from services.reports.stating import Unfiled, file_statement, next_unfiled, settled, state, statement_files, unstated
from services.reports.tables import Exclusion
from services.reports.workbook import daily_sums
from services.reports.writing import Written, write_next

__all__ = [
    "ANSWER_WITHIN",
    "DECIDE_WITHIN",
    "MEDIA_TYPES",
    "SCHEMAS",
    "AlreadyDisputed",
    "AmountLine",
    "AmountsNotShown",
    "AskedVoid",
    "By",
    "ClaimDecided",
    "DisputeTooLate",
    "Document",
    "Due",
    "Exclusion",
    "Inspected",
    "IssuedReport",
    "LateUsageOpen",
    "NotYetForVendor",
    "OpenedDispute",
    "PeakEvidence",
    "PeriodClosed",
    "PeriodSettled",
    "SetPrices",
    "StatedMonth",
    "Stretch",
    "Tier",
    "Unfiled",
    "Unissued",
    "Written",
    "adjust",
    "amounts_of",
    "approve_late",
    "ask_void",
    "cases",
    "close",
    "correct_price",
    "daily_sums",
    "decide_dispute",
    "decide_void",
    "decisions",
    "dispute",
    "disputes",
    "distributors_on_last_day",
    "dry_run",
    "due",
    "evidence_of",
    "excuse",
    "excuses_of",
    "explain",
    "file_of",
    "file_statement",
    "files_with",
    "held",
    "issue",
    "issued",
    "line_of",
    "next_close_at",
    "next_unfiled",
    "next_unissued",
    "one_dispute",
    "one_statement",
    "one_void",
    "prices_set",
    "provisional",
    "record_invoice",
    "render",
    "render_statement",
    "rounded",
    "set_prices",
    "set_terms",
    "settled",
    "shelf",
    "show_price",
    "site_seen",
    "standing",
    "state",
    "stated_for",
    "statement_file",
    "statement_files",
    "statement_of",
    "statements",
    "take_again",
    "tell_next",
    "terms",
    "unfinished",
    "unstated",
    "voids",
    "with_tiers",
    "withdraw_excuse",
    "write",
    "write_next",
]
