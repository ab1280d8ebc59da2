"""Usage: the ledger of numbered changes, and what follows from it: peaks and coverage of a month.

Promise: an acknowledged change is never lost, never counted twice, and never altered; every figure can be computed
again from the ledger. Months are the distributor's, and tile time.
"""

from services.usage.calendar import (
    Period,
    UnknownZone,
    month_period,
    next_period,
    period_containing,
    zone_data_version,
    zone_info,
)
from services.usage.entries import Counts, Entry, PlacedEntry, chain, last_counts
from services.usage.evidence import count_again, stop_counting
from services.usage.figures import FIGURES, SiteFigures, Span, figure_parameters, figures_of
from services.usage.ledger import Arrival, LineId, append, counts_at, entry_at, keep_conflicts, seen_at
from services.usage.receipts import canonical, first_receipt
from services.usage.tables import Line, UsageEntry

__all__ = [
    "FIGURES",
    "Arrival",
    "Counts",
    "Entry",
    "Line",
    "LineId",
    "Period",
    "PlacedEntry",
    "SiteFigures",
    "Span",
    "UnknownZone",
    "UsageEntry",
    "append",
    "canonical",
    "chain",
    "count_again",
    "counts_at",
    "entry_at",
    "figure_parameters",
    "figures_of",
    "first_receipt",
    "keep_conflicts",
    "last_counts",
    "month_period",
    "next_period",
    "period_containing",
    "seen_at",
    "stop_counting",
    "zone_data_version",
    "zone_info",
]
