"""The calendar: months as the distributor's wall clock has them, kept as UTC instants that tile time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from tzdata import IANA_VERSION  # type: ignore[import-untyped]

SHORT_BELOW = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_CONTINENTS = (
    *("Africa", "America", "Antarctica", "Asia", "Atlantic"),
    *("Australia", "Europe", "Indian", "Pacific"),
)
_MONTH = re.compile(r"(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])")


class UnknownZone(ValueError):
    """No time zone of the IANA database has the given name."""

    def __init__(self, zone: str) -> None:
        super().__init__(f"No time zone of the IANA database is named {zone!r}.")
        self.zone = zone


@dataclass(frozen=True, slots=True)
class Period:
    """One stretch that is reported by itself: the half-open `[starts_at, ends_at)`, both UTC.

    `month` is the local month that it ends with. Two periods share it when a change of zone leaves a
    piece between two month ends, so `starts_at` names a period and `month` alone does not.
    """

    month: str
    zone: str
    starts_at: datetime
    ends_at: datetime

    @property
    def short(self) -> bool:
        """Whether this is a piece under one day (24 h) between two zones' month ends: shown, not charged."""
        return self.ends_at - self.starts_at < SHORT_BELOW


def zone_data_version() -> str:
    """The release of the IANA zone data in use, as IANA names it: `2026f`."""
    return str(IANA_VERSION)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every zone name that is accepted: spelt exactly so, case included."""
    return frozenset((resources.files("tzdata") / "zones").read_text("ascii").split())


@lru_cache(maxsize=1024)
def zone_info(zone: str) -> ZoneInfo:
    """The rules of a zone, or `UnknownZone`. It cannot be pickled; its name can."""
    if zone not in zone_names():
        raise UnknownZone(zone)
    # `ZoneInfo(zone)` would prefer the machine's own /usr/share/zoneinfo, whose age nobody here knows: two
    # workers could then close the same month at different instants, and the version printed on the report
    # would be of data that was not used. So the rules are read from the pinned package. The alternative,
    # `reset_tzpath(())`, changes the whole process and misses every zone that was loaded before it.
    with (resources.files("tzdata") / "zoneinfo").joinpath(*zone.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=zone)


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """The zones that a person chooses from: those named by continent and city."""
    return tuple(sorted(name for name in zone_names() if name.partition("/")[0] in _CONTINENTS))


def first_instant(zone: str, day: date) -> datetime:
    """The first UTC instant at which the zone's wall clock shows `day`, or a later day if it skips `day`."""
    rules = zone_info(zone)
    midnight = datetime.combine(day, time.min, tzinfo=rules)
    before = midnight.astimezone(UTC)
    after = midnight.replace(fold=1).astimezone(UTC)
    # PEP 495: fold=0 reads with the offset before a transition, fold=1 with the one after. The same instant:
    # an ordinary midnight. `before` earlier: midnight comes twice, and the first counts. `before` later:
    # there is no midnight, and the clock jumped over it somewhere in (after, before]; not always at its end,
    # for Toronto went from 23:30 to 00:30 in 1919.
    if before <= after:
        return before
    return _jump_over(midnight, after, before)


def _jump_over(midnight: datetime, low: datetime, high: datetime) -> datetime:
    """The instant in `(low, high]`, to the second, at which the clock jumps over `midnight`."""
    wall = midnight.replace(tzinfo=None)
    while high - low > _SECOND:
        middle = (low + (high - low) // 2).replace(microsecond=0)
        if middle.astimezone(midnight.tzinfo).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return high


def month_period(zone: str, month: str) -> Period:
    """The period of a whole calendar month (`2022-10`) in a zone; `ValueError` for another form."""
    first = _first_day(month)
    return Period(month, zone, first_instant(zone, first), first_instant(zone, _next_first(first)))


def period_containing(zone: str, instant: datetime) -> Period:
    """The period of the whole calendar month that holds an aware instant."""
    if instant.utcoffset() is None:
        raise ValueError("An instant needs its offset from UTC.")
    first = instant.astimezone(zone_info(zone)).date().replace(day=1)
    # The wall clock may show the old month again after the new one has begun: in St John's the hour went
    # back at 00:01, so the 1st began, was the 31st again for 59 minutes, and came back. The bounds decide.
    if instant >= first_instant(zone, _next_first(first)):
        first = _next_first(first)
    return month_period(zone, first.isoformat()[:7])


def period_at(zones: Sequence[tuple[datetime, str]], instant: datetime) -> Period:
    """The period that holds an instant, where a zone takes another's place: each with its first instant, in order.

    The first holds from ever. A period ends where the next zone begins, so that no instant is lost or counted twice.
    """
    number = max((number for number, (from_at, _) in enumerate(zones) if from_at <= instant), default=0)
    month = period_containing(zones[number][1], instant)
    starts_at = max(month.starts_at, zones[number][0]) if number else month.starts_at
    ends_at = min([month.ends_at, *(from_at for from_at, _ in zones[number + 1 :])])
    return Period(month.month, month.zone, starts_at, ends_at)


def next_period(period: Period, zone: str | None = None) -> Period:
    """The period after this one, perhaps in another zone: from its end to the end of the month there.

    It starts where the old one ended also if newer zone data has moved that bound since, so nothing is lost
    or counted twice. The length is whatever that leaves; see `Period.short`.
    """
    month = period_containing(zone or period.zone, period.ends_at)
    return Period(month.month, month.zone, period.ends_at, month.ends_at)


def day_starts(period: Period) -> list[datetime]:
    """The first instants of the local days of a period; the first is the period's own, whatever the hour."""
    rules = zone_info(period.zone)
    day = period.starts_at.astimezone(rules).date()
    instants = [period.starts_at]
    while True:
        day += timedelta(days=1)
        starts_at = first_instant(period.zone, day)
        if starts_at >= period.ends_at:
            return instants
        # The day after a skipped one begins at the same instant as the skipped one would.
        if starts_at > instants[-1]:
            instants.append(starts_at)


def _first_day(month: str) -> date:
    if not _MONTH.fullmatch(month):
        raise ValueError(f"{month!r} is not a month like 2022-10.")
    return date.fromisoformat(f"{month}-01")


def _next_first(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
