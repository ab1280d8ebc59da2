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
from services.reports.writing import Written, write_next

__all__ = [
    "MEDIA_TYPES",
    "Document",
    "Due",
    "IssuedReport",
    "Unissued",
    "Written",
    "close",
    "due",
    "file_of",
    "issue",
    "issued",
    "next_close_at",
    "next_unissued",
    "provisional",
    "render",
    "unfinished",
    "write",
    "write_next",
]
