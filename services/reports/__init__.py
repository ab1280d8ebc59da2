"""Reports: the Deployed Agents Report of every MSP and month.

Promise: every period is closed exactly once, in order, from what had been received by its cut-off; numbers run without
a gap; the same facts give the same bytes, and issued bytes never change.
"""

from services.reports.archive import IssuedReport, file_of, issued, provisional
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
from services.reports.forms import MEDIA_TYPES, render
from services.reports.inspection import Inspected, dry_run, explain, held, take_again
from services.reports.schemas import SCHEMAS
from services.reports.writing import Written, write_next

__all__ = [
    "MEDIA_TYPES",
    "SCHEMAS",
    "Document",
    "Due",
    "Inspected",
    "IssuedReport",
    "Unissued",
    "Written",
    "close",
    "dry_run",
    "due",
    "explain",
    "file_of",
    "held",
    "issue",
    "issued",
    "next_close_at",
    "next_unissued",
    "provisional",
    "render",
    "take_again",
    "unfinished",
    "write",
    "write_next",
]
