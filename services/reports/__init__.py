"""Reports: the Deployed Agents Report of every MSP and month.

Promise: every period is closed exactly once, in order, from what had been received by its cut-off; numbers run without
a gap; the same facts give the same bytes, and issued bytes never change.
"""

from services.reports.archive import IssuedReport, file_of, issued, provisional
from services.reports.claims import (
    ANSWER_WITHIN,
    DECIDE_WITHIN,
    AlreadyDisputed,
    By,
    DisputeTooLate,
    PeriodClosed,
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
from services.reports.document import Document, write
from services.reports.evidence import PeakEvidence, evidence_of
from services.reports.forms import MEDIA_TYPES, render
from services.reports.inspection import Inspected, dry_run, explain, held, take_again
from services.reports.last_day import distributors_on_last_day, tell_next
from services.reports.letters import files_with
from services.reports.price_lists import correct_price, record_invoice, set_prices, set_terms, statement_of
from services.reports.pricing import Tier
from services.reports.schemas import SCHEMAS
from services.reports.statement_forms import render_statement
from services.reports.stating import Unfiled, file_statement, next_unfiled, settled, state, statement_files, unstated
from services.reports.writing import Written, write_next

__all__ = [
    "ANSWER_WITHIN",
    "DECIDE_WITHIN",
    "MEDIA_TYPES",
    "SCHEMAS",
    "AlreadyDisputed",
    "By",
    "DisputeTooLate",
    "Document",
    "Due",
    "Inspected",
    "IssuedReport",
    "PeakEvidence",
    "PeriodClosed",
    "Stretch",
    "Tier",
    "Unfiled",
    "Unissued",
    "Written",
    "adjust",
    "approve_late",
    "ask_void",
    "close",
    "correct_price",
    "decide_dispute",
    "decide_void",
    "decisions",
    "dispute",
    "distributors_on_last_day",
    "dry_run",
    "due",
    "evidence_of",
    "excuse",
    "explain",
    "file_of",
    "file_statement",
    "files_with",
    "held",
    "issue",
    "issued",
    "next_close_at",
    "next_unfiled",
    "next_unissued",
    "provisional",
    "record_invoice",
    "render",
    "render_statement",
    "set_prices",
    "set_terms",
    "settled",
    "standing",
    "state",
    "statement_files",
    "statement_of",
    "take_again",
    "tell_next",
    "unfinished",
    "unstated",
    "withdraw_excuse",
    "write",
    "write_next",
]
