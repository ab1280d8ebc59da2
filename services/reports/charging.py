"""What is charged for a line: its peak, but for what was voided or excused, and by the distributor's terms. Pure.

A figure is never changed: what was measured and what is charged stand side by side, with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from services.usage import Maker, Recount, Three

NoData = Literal["nothing", "last_known"]
ZERO: Three = (0, 0, 0)
DECIDED = ("estimate", "voided", "excused", "short_period")
"""The flags of a line that come of what is charged; the others are measured."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A stretch that is shown and not charged, and why."""

    kind: str
    from_at: datetime
    until_at: datetime
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A line of a report: its row, what the second count tells, what is charged, and the marks that come of it."""

    row: Any
    recount: Recount
    charged: Three
    flags: tuple[str, ...]
    excluded: Sequence[Excluded]


@dataclass(frozen=True, slots=True)
class Correction:
    """A signed line for an earlier period."""

    site_id: UUID
    site: str
    month: str
    report_number: str
    origin: str
    quantities: Three
    reason: str | None
    actor: str | None


Receipts = Mapping[tuple[UUID, Maker], bytes]


def charge(row: Any, recount: Recount, excluded: Sequence[Excluded], *, no_data: NoData, short: bool) -> Counted:
    """Decide what a line is charged: a maximum is not prorated, and unknown counts nothing."""
    flags = [*row.flags]
    charged = recount.outside
    if not recount.peaks:
        charged, estimated = _without_data(recount, no_data)
        flags += ["estimate"] * estimated
    flags += sorted({"voided" if one.kind == "void" else "excused" for one in excluded})
    if any(one.kind == "excuse" for one in excluded) and not recount.peaks:
        charged, flags = ZERO, [flag for flag in flags if flag != "estimate"]
    if short:
        charged = ZERO
        flags.append("short_period")
    return Counted(row, recount, charged, tuple(flags), excluded)


def _without_data(recount: Recount, no_data: NoData) -> tuple[Three, bool]:
    if no_data == "last_known" and recount.last_known is not None:
        return recount.last_known, True
    return ZERO, False


def difference(row: Any, recount: Recount) -> dict[str, list[Any]]:
    """Compare the two computations of a line: what differs, as [first, second]; empty if they agree."""
    found: dict[str, list[Any]] = {}
    for name in ("server", "workstation", "server_plus", "total"):
        peak = recount.peaks.get(name)
        first = [getattr(row, name), _iso(getattr(row, f"{name}_at")), getattr(row, f"{name}_active", None)]
        second = [peak.value, _iso(peak.at), peak.active] if peak else [None, None, None]
        if first != second:
            found[name] = [first, second]
    covered = sum((end - start).total_seconds() for start, end in recount.known)
    if abs(covered - row.covered_seconds) > 1e-3:
        found["covered_seconds"] = [row.covered_seconds, covered]
    return found


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None
