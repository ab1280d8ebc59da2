"""Charts as plain geometry: where columns, lines and labels stand. Templates draw SVG, with a table beside. Pure.

Nothing is told by colour: series differ by their shade and their place, and each is named.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_WIDTH, _HEIGHT = 720, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 10, 24
_SMALL_WIDTH, _SMALL_HEIGHT = 360, 130
_STEPS = (1, 2, 5)
_LINES_MAX = 5


@dataclass(frozen=True, slots=True)
class Mark:
    """A text at a place: a tick of an axis."""

    at: float
    value: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One column, or one part of it: the series that it belongs to, and where."""

    series: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of days: its size, its axes, and what stands in it."""

    width: int
    height: int
    left: int
    bottom: int
    rows: Sequence[Mark]
    days: Sequence[Mark]
    bars: Sequence[Bar] = ()
    path: str = ""
    unknown: Sequence[Bar] = ()
    peak: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """A period as a strip: its known and its missing parts, from 0 to 1000."""

    known: Sequence[tuple[float, float]]
    missing: Sequence[tuple[float, float]] = field(default_factory=tuple)


def columns(days: Sequence[int], series: Sequence[Sequence[int | None]]) -> Chart:
    """Draw the days of a month as columns, one series upon the other; a day of which nothing is known stays empty."""
    sums = [sum(one[day] or 0 for one in series) for day in range(len(days))]
    top = _ceiling(sums)
    slot = (_WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    bars = []
    for day in range(len(days)):
        below = 0
        for number, one in enumerate(series):
            value = one[day] or 0
            if value:
                upper = _y(below + value, top, _HEIGHT)
                bars.append(
                    Bar(number, round(_LEFT + slot * day + slot * 0.14, 2), upper, round(slot * 0.72, 2),
                        round(_y(below, top, _HEIGHT) - upper, 2))
                )  # fmt: skip
            below += value
    return Chart(
        _WIDTH, _HEIGHT, _LEFT, _HEIGHT - _BOTTOM, _rows(top, _HEIGHT), _days(days, slot),
        bars=bars, unknown=_unknown(series, slot, _HEIGHT),
    )  # fmt: skip


def steps(days: Sequence[int], values: Sequence[int | None], peak_day: int | None = None) -> Chart:
    """Draw one type's daily peaks as steps, with the day of the month's peak marked."""
    top = _ceiling([value or 0 for value in values])
    slot = (_SMALL_WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    parts, before = [], None
    for day, value in enumerate(values):
        if value is not None:
            x, y = round(_LEFT + slot * day, 2), _y(value, top, _SMALL_HEIGHT)
            parts.append(f"{'L' if before is not None else 'M'}{x} {y}H{round(x + slot, 2)}")
        before = value
    peak = None
    if peak_day is not None and 0 <= peak_day < len(values) and values[peak_day] is not None:
        peak = (round(_LEFT + slot * (peak_day + 0.5), 2), _y(values[peak_day] or 0, top, _SMALL_HEIGHT))
    return Chart(
        _SMALL_WIDTH, _SMALL_HEIGHT, _LEFT, _SMALL_HEIGHT - _BOTTOM, _rows(top, _SMALL_HEIGHT), _days(days, slot, 7),
        path="".join(parts), unknown=_unknown([values], slot, _SMALL_HEIGHT), peak=peak,
    )  # fmt: skip


def curve(
    days: Sequence[tuple[float, int]],
    steps_at: Sequence[tuple[float, int]],
    known: Sequence[tuple[float, float]],
    end: float,
    peak_at: tuple[float, int] | None = None,
) -> Chart:
    """Draw a step function by its own instants, all from 0 to `end`: each step lasts while it is known."""
    top, scale = _ceiling([value for _, value in steps_at]), (_WIDTH - _LEFT - _RIGHT) / max(end, 1.0)
    parts, reached = [], None
    for number, (at, value) in enumerate(steps_at):
        following = steps_at[number + 1][0] if number + 1 < len(steps_at) else end
        until = min(following, next((last for first, last in known if first <= at <= last), at))
        x, y = round(_LEFT + at * scale, 2), _y(value, top, _SMALL_HEIGHT)
        parts.append(f"{'L' if reached == at else 'M'}{x} {y}H{round(_LEFT + until * scale, 2)}")
        reached = until
    gaps = _gaps(known, end)
    unknown = [
        Bar(0, round(_LEFT + first * scale, 2), _TOP, round((last - first) * scale, 2), _SMALL_HEIGHT - _TOP - _BOTTOM)
        for first, last in gaps
    ]
    peak = (round(_LEFT + peak_at[0] * scale, 2), _y(peak_at[1], top, _SMALL_HEIGHT)) if peak_at else None
    ticks = [Mark(round(_LEFT + at * scale, 2), day) for at, day in days]
    return Chart(
        _WIDTH, _SMALL_HEIGHT, _LEFT, _SMALL_HEIGHT - _BOTTOM, _rows(top, _SMALL_HEIGHT), ticks,
        path="".join(parts), unknown=unknown, peak=peak,
    )  # fmt: skip


def _gaps(known: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    gaps, at = [], 0.0
    for first, last in known:
        if first > at:
            gaps.append((at, first))
        at = max(at, last)
    return [*gaps, (at, end)] if at < end else gaps


def strip(start: float, end: float, gaps: Iterable[tuple[float, float]]) -> Strip:
    """Draw what is known of a stretch, and what is missing; gaps in order."""
    span = max(end - start, 1.0)
    missing = [(_share(begin - start, span), _share(until - start, span)) for begin, until in gaps]
    known, at = [], 0.0
    for begin, until in missing:
        if begin > at:
            known.append((at, round(begin - at, 2)))
        at = max(at, until)
    if at < 1000:
        known.append((at, round(1000 - at, 2)))
    # A gap of minutes is drawn too: as thin as can be seen.
    return Strip(known, [(begin, max(round(until - begin, 2), 2.0)) for begin, until in missing])


def width_of(value: int, greatest: int) -> float:
    """Give how long a bar of a hundred is."""
    return round(100 * value / greatest, 2) if greatest > 0 else 0


def _share(part: float, span: float) -> float:
    return round(min(max(1000 * part / span, 0.0), 1000.0), 2)


def _unknown(series: Sequence[Sequence[int | None]], slot: float, height: int) -> list[Bar]:
    """Give the days of which no series is known."""
    days = range(max((len(one) for one in series), default=0))
    empty = [day for day in days if all(one[day] is None for one in series)]
    return [Bar(0, round(_LEFT + slot * day, 2), _TOP, round(slot, 2), height - _TOP - _BOTTOM) for day in empty]


def _ceiling(values: Sequence[int]) -> int:
    return max([1, *values])


def _rows(top: int, height: int) -> list[Mark]:
    """Give the lines of a scale that people count by: 1, 2 or 5 of a power of ten."""
    step = next(
        size * 10**power for power in range(12) for size in _STEPS if top / (size * 10**power) <= _LINES_MAX - 1
    )
    return [Mark(_y(value, top, height), value) for value in range(0, top + 1, step)]


def _days(days: Sequence[int], slot: float, every: int = 1) -> list[Mark]:
    return [
        Mark(round(_LEFT + slot * (place + 0.5), 2), day)
        for place, day in enumerate(days)
        if every == 1 or day % every == 1
    ]


def _y(value: int, top: int, height: int) -> float:
    return round(height - _BOTTOM - (height - _TOP - _BOTTOM) * value / top, 2)
