"""The figures of a site a second time, in plain Python from the raw ledger: what the close compares, and more. Pure.

It shares no code with `FIGURES`, on purpose: a mistake in one shows as a difference from the other. It also tells what
the statement does not: which change made a peak, each day's peak, and the peak without stretches that are not charged.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

Three = tuple[int, int, int]
Stretch = tuple[datetime, datetime]
"""Half-open."""
TYPES = ("server", "workstation", "server_plus")
_TOTAL = 3


@dataclass(frozen=True, slots=True)
class Said:
    """One entry: the counts from an instant on; None: unknown from there on."""

    n: int
    at: datetime
    counts: Three | None
    active: Three | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The standalones that a Site Manager lists from an instant on."""

    at: datetime
    seen: frozenset[UUID]


@dataclass(slots=True)
class ToldLine:
    """One line as it was known at the cut-off: where it begins, how far it is known, what it inherits, its entries."""

    installation_id: UUID
    line: int
    begins_at: datetime
    known_until_at: datetime | None
    base: Three | None = None
    parent: int | None = None
    parent_through: int | None = None
    entries: list[Said] = field(default_factory=list)
    manages: bool = True
    uncounted: Sequence[Stretch] = ()
    listings: list[Listing] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Maker:
    """The change that made a figure: entry `n` of a line; n 0 where nothing numbered did."""

    installation_id: UUID
    line: int
    n: int


@dataclass(frozen=True, slots=True)
class Peak:
    """A maximum, the first instant of it, the active count then, and the changes that made it."""

    value: int
    at: datetime
    active: int | None
    made_by: tuple[Maker, ...]


@dataclass(frozen=True, slots=True)
class Recount:
    """What the ledger says of one site in a period."""

    peaks: dict[str, Peak]
    known: list[Stretch]
    daily: list[tuple[int, int, int] | None]
    outside: Three
    last_known: Three | None
    counted: list[Maker]
    standalones: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """A site's function as steps, the stretches for which it is known, and its peaks."""

    steps: list[tuple[datetime, Three]]
    known: list[Stretch]
    peaks: dict[str, Peak]


@dataclass(slots=True)
class _Piece:
    start: datetime
    end: datetime
    last: bool
    said: Said
    line: ToldLine
    cut: bool = False

    def holds(self, at: datetime) -> bool:
        return self.start <= at and (at < self.end or (self.last and not self.cut and at == self.end))


def recount(
    lines: Sequence[ToldLine],
    from_at: datetime,
    until_at: datetime,
    *,
    days: Sequence[datetime] = (),
    excluded: Sequence[Stretch] = (),
) -> Recount:
    """Count one site again over `[from_at, until_at)`.

    `days` are the first instants of the period's days. `outside` is the peak of each type outside the excluded
    stretches: what may be charged. `standalones` is how many of them counted at any time.
    """
    pieces = [list(_pieces(line, from_at, until_at)) for line in lines]
    instants = {piece.start for own in pieces for piece in own}
    instants.update(listing.at for line in lines for listing in line.listings if from_at <= listing.at < until_at)
    instants.update(at for at in days if from_at <= at < until_at)
    instants.update(until for _, until in excluded if from_at <= until < until_at)
    function = list(_function(pieces, sorted(instants)))
    return Recount(
        peaks=_peaks(function),
        known=_known(lines, pieces, from_at, until_at),
        daily=_daily(function, days),
        outside=_highest([counts for at, counts, _ in function if not _within(at, excluded)]) or (0, 0, 0),
        last_known=_last_known(lines, from_at, until_at),
        counted=[
            Maker(one.installation_id, one.line, max(said.n for said in one.entries)) for one in lines if one.entries
        ],
        standalones=len({piece.line.installation_id for own in pieces for piece in own if not piece.line.manages}),
    )


def curve(lines: Sequence[ToldLine], from_at: datetime, until_at: datetime) -> Curve:
    """Give one site's function over `[from_at, until_at)`, to be drawn."""
    pieces = [list(_pieces(line, from_at, until_at)) for line in lines]
    instants = {at for own in pieces for piece in own for at in (piece.start, piece.end) if at < until_at}
    instants.update(listing.at for line in lines for listing in line.listings if from_at <= listing.at < until_at)
    function = list(_function(pieces, sorted(instants)))
    steps = [(at, counts) for at, counts, _ in function]
    return Curve(steps, _known(lines, pieces, from_at, until_at), _peaks(function))


def _pieces(line: ToldLine, from_at: datetime, until_at: datetime) -> Iterator[_Piece]:
    """Cut a line into stretches of one count; what is unknown is left out."""
    for start, end, cut in _parts(line, from_at, until_at):
        yield from _pieces_of_part(line, start, end, until_at, cut=cut)


def _parts(line: ToldLine, from_at: datetime, until_at: datetime) -> list[tuple[datetime, datetime, bool]]:
    """Give the parts for which a line is known and counts; one that was cut off does not hold its last instant."""
    start = max(line.begins_at, from_at)
    if line.known_until_at is None or line.known_until_at < start or start >= until_at:
        return []
    parts = [(start, min(line.known_until_at, until_at), False)]
    for off_at, on_at in line.uncounted:
        parts = [
            kept
            for begin, end, cut in parts
            for kept in (
                [(begin, end, cut)]
                if end < off_at or on_at <= begin
                else [
                    *([(begin, off_at, True)] if begin < off_at else []),
                    *([(on_at, end, cut)] if on_at < until_at and (on_at < end or (on_at == end and not cut)) else []),
                ]
            )
        ]
    return parts


def _pieces_of_part(
    line: ToldLine, start: datetime, end: datetime, until_at: datetime, *, cut: bool
) -> Iterator[_Piece]:
    carried = Said(line.parent_through or 0, start, line.base)
    steps: dict[datetime, Said] = {start: carried}
    for said in line.entries:  # in the order of (at, n): at one instant the highest n holds
        if said.at <= start:
            steps[start] = said
        elif (said.at < end or (said.at == end and not cut)) and said.at < until_at:
            steps[said.at] = said
    starts = list(steps)
    for number, at in enumerate(starts):
        last = number == len(starts) - 1
        if steps[at].counts is not None:
            yield _Piece(at, end if last else starts[number + 1], last, steps[at], line, cut)


_Value = tuple[datetime, Three, list[_Piece]]


def _function(pieces: Sequence[Sequence[_Piece]], instants: Sequence[datetime]) -> Iterator[_Value]:
    """Give the key's function at some instants: the highest line of each installation, installations together."""
    position = [0] * len(pieces)
    for at in instants:
        holding = []
        for number, own in enumerate(pieces):
            while position[number] + 1 < len(own) and own[position[number] + 1].start <= at:
                position[number] += 1
            if own and own[position[number]].holds(at):
                holding.append(own[position[number]])
        if holding:
            yield at, _together(holding, at), holding


def _known(
    lines: Sequence[ToldLine], pieces: Sequence[Sequence[_Piece]], from_at: datetime, until_at: datetime
) -> list[Stretch]:
    """Give when the function is known: a standalone's only until a Site Manager is there."""
    managed = [part[0] for line in lines if line.manages for part in _parts(line, from_at, until_at)]
    managed_from = min(managed, default=until_at)
    ends = (
        (piece.start, piece.end if piece.line.manages else min(piece.end, managed_from))
        for own in pieces
        for piece in own
    )
    return _joined((start, end) for start, end in ends if end > start)


def _together(holding: Sequence[_Piece], at: datetime) -> Three:
    if len(holding) == 1:
        return holding[0].said.counts or (0, 0, 0)
    highest: dict[UUID, Three] = {}
    for piece in holding:
        own = piece.said.counts or (0, 0, 0)
        before = highest.get(piece.line.installation_id, own)
        highest[piece.line.installation_id] = _max(before, own)
    server, workstation, _ = map(sum, zip(*highest.values(), strict=True))
    return server, workstation, _server_plus(holding, highest, at)


def _server_plus(holding: Sequence[_Piece], highest: dict[UUID, Three], at: datetime) -> int:
    """Count standalones once: those that the Site Manager lists are in its own count, or make up more than it."""
    managers = {piece.line.installation_id for piece in holding if piece.line.manages}
    seen = {one for piece in holding if piece.line.manages for one in _seen(piece.line, at)}
    own = sum(highest[one][2] for one in managers)
    listed = sum(counts[2] for one, counts in highest.items() if one not in managers and one in seen)
    unlisted = sum(counts[2] for one, counts in highest.items() if one not in managers and one not in seen)
    return max(own, listed) + unlisted


def _seen(line: ToldLine, at: datetime) -> frozenset[UUID]:
    """Give what a line lists at an instant; its listings are in the order of (at, n)."""
    return next((listing.seen for listing in reversed(line.listings) if listing.at <= at), frozenset())


def _max(one: Three, other: Three) -> Three:
    return max(one[0], other[0]), max(one[1], other[1]), max(one[2], other[2])


def _highest(values: Iterable[Three]) -> Three | None:
    best: Three | None = None
    for value in values:
        best = value if best is None else _max(best, value)
    return best


def _peaks(function: Sequence[_Value]) -> dict[str, Peak]:
    found: dict[str, Peak] = {}
    for number, name in enumerate((*TYPES, "total")):
        best: tuple[int, _Value] | None = None
        for value in function:
            height = sum(value[1]) if number == _TOTAL else value[1][number]
            if best is None or height > best[0]:
                best = height, value
        if best is not None:
            height, (at, _, holding) = best
            active = None if number == _TOTAL else _active(holding, number)
            found[name] = Peak(height, at, active, tuple(_makers(holding, number)))
    return found


def _active(holding: Sequence[_Piece], number: int) -> int | None:
    most: dict[UUID, int] = {}
    for piece in holding:
        if piece.said.active is not None:
            own = piece.line.installation_id
            most[own] = max(most.get(own, 0), piece.said.active[number])
    return sum(most.values()) if most else None


def _makers(holding: Sequence[_Piece], number: int) -> Iterator[Maker]:
    """Name the entry of each installation's highest line."""

    def height(piece: _Piece) -> int:
        counts = piece.said.counts or (0, 0, 0)
        return sum(counts) if number == _TOTAL else counts[number]

    best: dict[UUID, _Piece] = {}
    for piece in holding:
        other = best.get(piece.line.installation_id)
        if other is None or height(piece) > height(other):
            best[piece.line.installation_id] = piece
    for piece in best.values():
        inherited = piece.said.n == piece.line.parent_through and piece.line.parent is not None
        line = piece.line.parent if inherited else piece.line.line
        yield Maker(piece.line.installation_id, line or 0, piece.said.n)


def _daily(function: Sequence[_Value], days: Sequence[datetime]) -> list[Three | None]:
    daily: list[Three | None] = [None] * len(days)
    for at, counts, _ in function:
        day = bisect_right(days, at) - 1
        if day >= 0:
            before = daily[day]
            daily[day] = counts if before is None else _max(before, counts)
    return daily


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    joined: list[Stretch] = []
    for start, end in sorted(stretches):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _within(at: datetime, stretches: Sequence[Stretch]) -> bool:
    return any(start <= at < end for start, end in stretches)


def _last_known(lines: Sequence[ToldLine], from_at: datetime, until_at: datetime) -> Three | None:
    """Give the last counts ever told, also where nothing of the period is known: what an estimate is made of.

    An installation that may not count in the period is not estimated.
    """
    pieces = []
    for line in lines:
        if any(off_at <= from_at and until_at <= on_at for off_at, on_at in line.uncounted):
            continue
        told = next((said for said in reversed(line.entries) if said.counts is not None), Said(0, from_at, line.base))
        if told.counts is not None:
            pieces.append(_Piece(from_at, until_at, True, told, line))
    return _together(pieces, until_at) if pieces else None
