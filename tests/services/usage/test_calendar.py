"""The calendar tiles time in every zone, and says what metering.md says about midnights that are odd."""

import shutil
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.usage.calendar import (
    Period,
    UnknownZone,
    first_instant,
    month_period,
    next_period,
    period_containing,
    zone_data_version,
    zone_info,
    zone_names,
)

ZONES = sorted(zone_names())
MONTHS = [f"{year}-{month:02}" for year in range(2015, 2038) for month in range(1, 13)]
MOMENT = timedelta(microseconds=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def hours(period: Period) -> float:
    return (period.ends_at - period.starts_at) / timedelta(hours=1)


@pytest.fixture
def tzpath() -> Iterator[None]:
    before = zoneinfo.TZPATH
    yield
    zoneinfo.reset_tzpath(before)
    ZoneInfo.clear_cache()
    zone_info.cache_clear()


def test_every_month_of_every_zone_begins_where_the_one_before_ended() -> None:
    for zone in ZONES:
        rules = zone_info(zone)
        end = month_period(zone, "2014-12").ends_at
        for month in MONTHS:
            period = month_period(zone, month)
            assert period.starts_at == end, (zone, month)
            assert period.ends_at > period.starts_at, (zone, month)
            assert period.starts_at.astimezone(rules).date().isoformat() == f"{month}-01", (zone, month)
            assert (period.starts_at - MOMENT).astimezone(rules).date().isoformat()[:7] < month, (zone, month)
            end = period.ends_at


def test_no_earlier_instant_shows_the_first_of_the_month() -> None:
    for zone in [*ZONES[::7], "America/Havana", "America/St_Johns", "America/Asuncion", "Pacific/Apia"]:
        rules = zone_info(zone)
        for month in (f"{year}-{number:02}" for year in range(2006, 2026, 3) for number in range(1, 13)):
            start = month_period(zone, month).starts_at
            for minutes in range(10, 26 * 60, 50):
                shown = (start - timedelta(minutes=minutes)).astimezone(rules).date()
                assert shown.isoformat()[:7] < month, (zone, month, minutes)


@settings(max_examples=500, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    instant=st.integers(0, 140 * 365 * 86_400).map(lambda seconds: utc(1950, 1, 1) + timedelta(seconds=seconds)),
)
def test_an_instant_lies_in_the_period_that_contains_it(zone: str, instant: datetime) -> None:
    period = period_containing(zone, instant)
    assert period.starts_at <= instant < period.ends_at
    assert period == month_period(zone, period.month)
    assert period_containing(zone, period.starts_at) == period
    assert period_containing(zone, period.ends_at - MOMENT) == period
    assert period_containing(zone, period.ends_at) == next_period(period)


def test_bounds_are_utc_whatever_the_zone() -> None:
    period = period_containing("Asia/Kathmandu", datetime(2026, 3, 5, tzinfo=zone_info("Asia/Tokyo")))
    assert period == Period("2026-03", "Asia/Kathmandu", utc(2026, 2, 28, 18, 15), utc(2026, 3, 31, 18, 15))
    assert period.starts_at.tzinfo is period.ends_at.tzinfo is UTC


@pytest.mark.parametrize(("month", "length"), [("2026-03", 743), ("2026-10", 745), ("2026-02", 672)])
def test_hours_in_rome_are_whatever_the_clock_change_leaves(month: str, length: int) -> None:
    assert hours(month_period("Europe/Rome", month)) == length


def test_a_change_at_the_first_instant_is_of_the_new_month() -> None:
    assert period_containing("Europe/Rome", utc(2026, 9, 30, 22)).month == "2026-10"
    assert period_containing("Europe/Rome", utc(2026, 9, 30, 22) - MOMENT).month == "2026-09"


def odd_firsts() -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(zone, month) where midnight of the 1st is missing, and where it comes twice, from 2004 to 2025."""
    missing: set[tuple[str, str]] = set()
    twice: set[tuple[str, str]] = set()
    for zone in ZONES:
        rules = zone_info(zone)
        for year in range(2004, 2026):
            for number in range(1, 13):
                midnight = datetime(year, number, 1, tzinfo=rules)
                early, late = midnight.utcoffset(), midnight.replace(fold=1).utcoffset()
                assert early is not None
                assert late is not None
                if early != late:
                    (missing if late > early else twice).add((zone, f"{year}-{number:02}"))
    return missing, twice


def test_the_months_with_an_odd_midnight_are_known_and_begin_rightly() -> None:
    missing, twice = odd_firsts()
    assert {
        ("America/Asuncion", "2023-10"),
        ("Asia/Amman", "2016-04"),
        ("Africa/Cairo", "2014-08"),
    } <= missing
    assert {("America/Havana", "2020-11"), ("America/St_Johns", "2009-11")} <= twice
    for zone, month in missing:
        assert month_period(zone, month).starts_at.astimezone(zone_info(zone)).hour == 1
    for zone, month in twice:
        start = month_period(zone, month).starts_at.astimezone(zone_info(zone))
        assert (start.hour, start.minute, start.fold) == (0, 0, 0)


def test_where_midnight_is_missing_the_month_begins_when_the_day_does() -> None:
    assert first_instant("America/Asuncion", date(2023, 10, 1)) == utc(2023, 10, 1, 4)  # 00:00 -04 is 01:00 -03
    assert first_instant("Africa/Cairo", date(2014, 8, 1)) == utc(2014, 7, 31, 22)


def test_a_jump_that_begins_before_midnight_begins_the_day_where_it_lands() -> None:
    assert first_instant("America/Toronto", date(1919, 3, 31)) == utc(1919, 3, 31, 4, 30)  # 23:30 to 00:30
    start = first_instant("Africa/Abidjan", date(1912, 1, 1))  # local mean time was 16 min 8 s behind
    assert start == utc(1912, 1, 1, 0, 16, 8)
    assert (start - MOMENT).astimezone(zone_info("Africa/Abidjan")).date() == date(1911, 12, 31)


def test_where_midnight_comes_twice_the_first_counts() -> None:
    assert first_instant("America/Havana", date(2020, 11, 1)) == utc(2020, 11, 1, 4)  # -04; again at 05:00 UTC
    assert hours(month_period("America/Havana", "2020-11")) == 30 * 24 + 1


def test_an_old_month_that_the_clock_shows_again_stays_closed() -> None:
    # 00:01 -02:30 on the 1st became 23:01 -03:30 on the 31st.
    november = month_period("America/St_Johns", "2009-11")
    assert november.starts_at == utc(2009, 11, 1, 2, 30)
    again = utc(2009, 11, 1, 3)
    assert again.astimezone(zone_info("America/St_Johns")).date() == date(2009, 10, 31)
    assert period_containing("America/St_Johns", again) == november


@pytest.mark.parametrize(
    ("zone", "skipped", "start"),
    [
        ("Pacific/Apia", date(2011, 12, 30), utc(2011, 12, 30, 10)),
        ("Pacific/Fakaofo", date(2011, 12, 30), utc(2011, 12, 30, 11)),
        ("Pacific/Kwajalein", date(1993, 8, 21), utc(1993, 8, 21, 12)),
    ],
)
def test_a_day_that_does_not_exist_begins_with_the_next_one(zone: str, skipped: date, start: datetime) -> None:
    assert first_instant(zone, skipped) == first_instant(zone, skipped + timedelta(days=1)) == start
    shown = (start - MOMENT).astimezone(zone_info(zone)).date()
    assert shown == skipped - timedelta(days=1)


def test_a_day_that_comes_twice_begins_the_first_time() -> None:
    # Alaska, sold in 1867, repeated a day: its zone went from 15 h ahead of Greenwich to 9 h behind.
    rules = zone_info("America/Juneau")
    start = first_instant("America/Juneau", date(1867, 10, 19))
    assert start.astimezone(rules).date() == date(1867, 10, 19)
    assert (start + timedelta(hours=20)).astimezone(rules).date() == date(1867, 10, 18)


def test_a_change_of_zone_westwards_leaves_a_short_piece() -> None:
    october = month_period("Europe/Rome", "2026-10")
    piece = next_period(october, "America/New_York")
    assert piece == Period("2026-10", "America/New_York", utc(2026, 10, 31, 23), utc(2026, 11, 1, 4))
    assert piece.short
    november = next_period(piece)
    assert november == month_period("America/New_York", "2026-11")
    assert not november.short


def test_a_change_of_zone_eastwards_shortens_the_month() -> None:
    october = month_period("America/New_York", "2026-10")
    november = next_period(october, "Europe/Rome")
    assert november == Period("2026-11", "Europe/Rome", utc(2026, 11, 1, 4), utc(2026, 11, 30, 23))
    assert not november.short
    assert next_period(november) == month_period("Europe/Rome", "2026-12")


def test_a_piece_of_a_whole_day_is_not_short() -> None:
    october = month_period("Pacific/Kiritimati", "2026-10")
    day = next_period(october, "Pacific/Honolulu")
    assert (hours(day), day.month, day.short) == (24, "2026-10", False)
    under_a_day = Period("2026-10", "UTC", day.starts_at, day.ends_at - MOMENT)
    assert under_a_day.short


def test_a_change_to_the_same_zone_or_to_one_with_the_same_bounds_changes_nothing() -> None:
    october = month_period("Europe/Rome", "2026-10")
    assert next_period(october, "Europe/Rome") == next_period(october) == month_period("Europe/Rome", "2026-11")
    assert next_period(october, "Europe/Paris") == month_period("Europe/Paris", "2026-11")


def test_a_bound_moved_by_newer_zone_data_loses_no_instant() -> None:
    stored = Period("2026-10", "Europe/Rome", utc(2026, 9, 30, 22), utc(2026, 10, 31, 22))
    piece = next_period(stored)
    assert (piece.starts_at, piece.ends_at) == (stored.ends_at, utc(2026, 10, 31, 23))
    assert piece.short


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(MONTHS),
    zones=st.lists(st.sampled_from([None, *ZONES]), min_size=1, max_size=12),
)
def test_any_chain_of_zones_tiles_time(start: str, zones: list[str | None]) -> None:
    period = month_period("Europe/Rome", start)
    for zone in zones:
        following = next_period(period, zone)
        assert following.starts_at == period.ends_at
        assert following.zone == (zone or period.zone)
        assert timedelta(0) < following.ends_at - following.starts_at < timedelta(days=32)
        assert following.ends_at == month_period(following.zone, following.month).ends_at
        assert following.month >= period.month
        period = following


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Phobos",
        "europe/rome",
        "Europe",
        "Europe/Rome/",
        "../zones",
        "/etc/passwd",
        "localtime",
        "a\0b",
        "é",
    ],
)
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    for call in (
        lambda: first_instant(name, date(2026, 1, 1)),
        lambda: month_period(name, "2026-01"),
        lambda: period_containing(name, utc(2026, 1, 1)),
    ):
        with pytest.raises(UnknownZone) as caught:
            call()
        assert caught.value.zone == name
        assert isinstance(caught.value, ValueError)


def test_a_change_to_an_unknown_zone_is_refused() -> None:
    with pytest.raises(UnknownZone):
        next_period(month_period("UTC", "2026-10"), "Mars/Phobos")


@pytest.mark.parametrize(
    "month",
    [
        "",
        "2026-13",
        "2026-00",
        "2026-1",
        "202610",
        "2026-10-01",
        "2026-W1",
        "２０２６-10",
        "2026-10\n",
        "0001-01",
        "9999-12",
    ],
)
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(ValueError, match="is not a month"):
        month_period("UTC", month)


def test_an_instant_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        period_containing("UTC", utc(2026, 1, 1).replace(tzinfo=None))


@pytest.mark.usefixtures("tzpath")
def test_the_machine_s_own_zone_files_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "Europe").mkdir()
    with resources.as_file(resources.files("tzdata") / "zoneinfo" / "Asia" / "Tokyo") as tokyo:
        shutil.copy(tokyo, tmp_path / "Europe" / "Rome")
    zoneinfo.reset_tzpath([str(tmp_path)])
    ZoneInfo.clear_cache()
    zone_info.cache_clear()
    assert first_instant("Europe/Rome", date(2026, 1, 1)) == utc(2025, 12, 31, 23)
    assert utc(2026, 1, 1).astimezone(ZoneInfo("Europe/Rome")).hour == 9


@pytest.mark.usefixtures("tzpath")
def test_every_zone_of_the_package_is_accepted() -> None:
    zoneinfo.reset_tzpath([])
    assert zone_names() == zoneinfo.available_timezones()
    assert len(ZONES) > 500


def test_the_version_is_that_of_the_data_itself() -> None:
    source = (resources.files("tzdata") / "zoneinfo" / "tzdata.zi").read_text()
    assert source.startswith(f"# version {zone_data_version()}\n")
