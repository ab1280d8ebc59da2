"""A line's numbered entries: what a site sends, when it counts, and the receipt it earns. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from services.usage.receipts import next_receipt

Kind = Literal["change", "standalones", "lost"]


class Counts(NamedTuple):
    """Agents of each type, at one instant."""

    server: int
    workstation: int
    server_plus: int

    @property
    def total(self) -> int:
        """All types together."""
        return self.server + self.workstation + self.server_plus


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the site sent it; `canonical` is its RFC 8785 JSON, which the receipt covers."""

    n: int
    kind: Kind
    at: datetime
    canonical: bytes
    deployed: Counts | None = None
    active: Counts | None = None


@dataclass(frozen=True, slots=True)
class PlacedEntry:
    """An entry that counts: at which instant, and with which receipt."""

    entry: Entry
    at: datetime
    clock_suspect: bool
    receipt: bytes


def place(raw: datetime, *, previous: datetime, sent_at: datetime, now: datetime) -> tuple[datetime, bool]:
    """Give the instant at which an entry counts, and whether the site's clock is suspect.

    The raw instant stands if it lies between the previous entry and now; else it is shifted by the offset of the
    site's clock; else it is the nearer bound. So no entry lands before one that it follows, nor in the future.
    """
    if previous <= raw <= now:
        return raw, False
    shifted = raw + (now - sent_at)
    return min(max(shifted, previous), now), True


def chain(
    entries: Iterable[Entry], *, receipt: bytes, previous: datetime, sent_at: datetime, now: datetime
) -> list[PlacedEntry]:
    """Place entries one after another, each with its receipt, going on from the last receipt and instant."""
    placed = []
    for entry in entries:
        receipt = next_receipt(receipt, entry.canonical)
        previous, suspect = place(entry.at, previous=previous, sent_at=sent_at, now=now)
        placed.append(PlacedEntry(entry, previous, suspect, receipt))
    return placed


def last_counts(entries: Sequence[Entry]) -> Counts | None:
    """Give the counts of the last change among the entries, if there is one."""
    return next((entry.deployed for entry in reversed(entries) if entry.deployed is not None), None)
