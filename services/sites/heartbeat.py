"""What a heartbeat means: decided from the request and the head of its line alone. Pure.

`decide` gives one of the outcomes below; `services.sites.intake` reads the heads before and stores the outcome after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from struct import Struct
from typing import Any, Literal, NamedTuple

from services.errors import Kind, Refusal
from services.sites.bearer import Bearer
from services.sites.echo import Echo
from services.usage import Counts, Entry, PlacedEntry, canonical, chain, last_counts

_UNDER_WAY = timedelta(minutes=5)
_FOUR = Struct(">4i")


class LineBroken(Refusal):
    """This request does not follow the last one of its line; resume with the echo in hand."""

    kind = Kind.CONFLICT
    code = "line_broken"


class ChangesMissing(Refusal):
    """Entries are missing between the last one known and those sent; send again from `through`."""

    kind = Kind.CONFLICT
    code = "changes_missing"


class DeployedMismatch(Refusal):
    """`deployed` is not the count of the last change."""

    kind = Kind.INVALID
    code = "deployed_mismatch"


class Backups(NamedTuple):
    """How many of a site's backups are in order, warned, failed, overdue."""

    ok: int
    warning: int
    failed: int
    overdue: int

    def packed(self) -> bytes:
        """Give it as a line's row keeps it, to be compared."""
        return _FOUR.pack(*self)


@dataclass(frozen=True, slots=True)
class Result:
    """What a site says became of a command, which it names as it was shown."""

    command: str
    outcome: Literal["done", "refused", "failed"]
    text: str


def _nowhere() -> None:
    return None


@dataclass(slots=True)  # not frozen: that would cost as much as reading the body
class Heartbeat:
    """A well-formed heartbeat. `numbered` tells that the site numbers its changes itself."""

    bearer: Bearer
    sequence: int
    nonce: bytes
    echo: str
    sent_at: datetime
    sent_at_text: str
    deployed: Counts
    active: Counts | None = None
    entries: Sequence[Entry] = ()
    numbered: bool = False
    more: bool = False
    resume: bool = False
    # For telling clones apart. The address is asked for only where it is kept: an idle heartbeat pays nothing for it.
    hostname: str | None = None
    address: Callable[[], str | None] = _nowhere
    backups: Backups | None = None
    results: Sequence[Result] = ()
    next_credential_sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a line before the request: the fields of its row that a decision needs."""

    line: int
    sequence: int
    nonce: bytes | None
    through: int
    receipt: bytes
    counts: Counts | None
    last_entry_at: datetime
    known_until_at: datetime | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request is the next one of its line."""

    head: Head
    new: Sequence[PlacedEntry] = ()
    known: Sequence[Entry] = ()
    notices: Sequence[dict[str, Any]] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Repeat:
    """The request has been accepted before; its answer was lost."""

    head: Head


def is_repeat(beat: Heartbeat, head: Head) -> bool:
    """Tell a repeat: the last accepted sequence with its nonce."""
    return beat.sequence == head.sequence and beat.nonce == head.nonce


def decide(beat: Heartbeat, echo: Echo | None, head: Head, now: datetime) -> Accepted | Repeat | Refusal:
    """Decide what a request with a genuine `echo` (or none) is to the line whose head is given.

    An echo that is ahead of the head means that the service was restored from its own backup: it is adopted.
    """
    if is_repeat(beat, head):
        return Repeat(head)
    if echo is None or beat.sequence != echo.sequence + 1 or echo.sequence < head.sequence:
        return LineBroken(through=head.through, receipt=head.receipt.hex())
    return take(beat, head, now)


def take(beat: Heartbeat, head: Head, now: datetime) -> Accepted | Refusal:
    """Take in what an acceptable request reports."""
    entries = _with_implied_change(beat, head)
    new = [entry for entry in entries if entry.n > head.through]
    if any(entry.n != head.through + 1 + i for i, entry in enumerate(new)):
        return ChangesMissing(through=head.through, receipt=head.receipt.hex())
    counts = last_counts(new) or head.counts
    if beat.numbered and not beat.more and counts != beat.deployed:
        return DeployedMismatch(pointer="/deployed")
    placed = chain(new, receipt=head.receipt, previous=head.last_entry_at, sent_at=beat.sent_at, now=now)
    return Accepted(
        head=_moved(beat, head, placed, counts, now),
        new=placed,
        known=[entry for entry in entries if entry.n <= head.through],
        notices=[{"code": "clock_suspect", "n": one.entry.n} for one in placed if one.clock_suspect],
    )


def _with_implied_change(beat: Heartbeat, head: Head) -> Sequence[Entry]:
    """Add the change that a simple client leaves for the service to number."""
    if beat.numbered or beat.more or beat.deployed == head.counts:
        return beat.entries
    n = max(head.through, *(entry.n for entry in beat.entries)) + 1 if beat.entries else head.through + 1
    sent: dict[str, object] = {"n": n, "at": beat.sent_at_text, **beat.deployed._asdict()}
    if beat.active is not None:
        sent["active"] = beat.active._asdict()
    implied = Entry(n, "change", beat.sent_at, canonical(sent), beat.deployed, beat.active)
    return [*beat.entries, implied]


def _moved(beat: Heartbeat, head: Head, placed: Sequence[PlacedEntry], counts: Counts | None, now: datetime) -> Head:
    last = placed[-1] if placed else None
    last_entry_at = last.at if last else head.last_entry_at
    known = last_entry_at if beat.more else max(spoken_at(beat, now), last_entry_at)
    return Head(
        line=head.line,
        sequence=beat.sequence,
        nonce=beat.nonce,
        through=last.entry.n if last else head.through,
        receipt=last.receipt if last else head.receipt,
        counts=counts,
        last_entry_at=last_entry_at,
        known_until_at=max(known, head.known_until_at) if head.known_until_at else known,
    )


def spoken_at(beat: Heartbeat, now: datetime) -> datetime:
    """Give the instant that the site spoke of: a reply is under way for seconds, so more is a wrong clock."""
    return beat.sent_at if now - _UNDER_WAY <= beat.sent_at <= now else now
