"""Usage: the ledger of numbered changes, and what follows from it: peaks and coverage of a month.

Promise: an acknowledged change is never lost, never counted twice, and never altered; every figure can be computed
again from the ledger. Months are the distributor's, and tile time.
"""

from services.usage.calendar import (
    SHORT_BELOW,
    Period,
    UnknownZone,
    day_starts,
    month_period,
    next_period,
    period_at,
    period_containing,
    zone_data_version,
    zone_info,
    zones,
)
from services.usage.entries import Counts, Entry, PlacedEntry, chain, last_counts
from services.usage.evidence import count_again, stop_counting
from services.usage.figures import FIGURES, SiteFigures, Span, figure_parameters, figures_of
from services.usage.history import DayPeaks, changes_of, curve_of, days_of
from services.usage.ledger import (
    Arrival,
    GapRow,
    LineId,
    append,
    counts_at,
    entry_at,
    is_whole_at,
    keep_conflicts,
    record_gaps,
    seen_at,
)
from services.usage.partitions import (
    NotArchivable,
    Partition,
    archive,
    make_partition,
    next_bound,
    partitions,
    prepare_archive,
    whole_from,
)
from services.usage.raw import RawSite, raw_sites
from services.usage.receipts import canonical, first_receipt
from services.usage.recount import Curve, Maker, Peak, Recount, Stretch, Three, recount
from services.usage.tables import ContactGap, LedgerArchive, Line, UsageEntry

__all__ = [
    "FIGURES",
    "SHORT_BELOW",
    "Arrival",
    "ContactGap",
    "Counts",
    "Curve",
    "DayPeaks",
    "Entry",
    "GapRow",
    "LedgerArchive",
    "Line",
    "LineId",
    "Maker",
    "NotArchivable",
    "Partition",
    "Peak",
    "Period",
    "PlacedEntry",
    "RawSite",
    "Recount",
    "SiteFigures",
    "Span",
    "Stretch",
    "Three",
    "UnknownZone",
    "UsageEntry",
    "append",
    "archive",
    "canonical",
    "chain",
    "changes_of",
    "count_again",
    "counts_at",
    "curve_of",
    "day_starts",
    "days_of",
    "entry_at",
    "figure_parameters",
    "figures_of",
    "first_receipt",
    "is_whole_at",
    "keep_conflicts",
    "last_counts",
    "make_partition",
    "month_period",
    "next_bound",
    "next_period",
    "partitions",
    "period_at",
    "period_containing",
    "prepare_archive",
    "raw_sites",
    "record_gaps",
    "recount",
    "seen_at",
    "stop_counting",
    "whole_from",
    "zone_data_version",
    "zone_info",
    "zones",
]
