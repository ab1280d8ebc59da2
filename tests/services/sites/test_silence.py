"""Silence: one function for reading and sweeping; the service's own outages never count."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sites.silence import Liveness, Outage, deadline, liveness, silence

HEARD = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR


def at(hours: float) -> datetime:
    return HEARD + hours * HOUR


def outage(start: float, end: float) -> Outage:
    return Outage(at(start), at(end))


def test_without_outages_silence_is_the_time_since_the_last_contact() -> None:
    assert silence(HEARD, at(5), []) == 5 * HOUR
    assert deadline(HEARD, DAY, []) == at(24)


@pytest.mark.parametrize(
    ("outages", "hours"),
    [
        ([outage(2, 3)], 9),
        ([outage(-5, -1)], 10),  # before the last contact
        ([outage(-5, 1)], 9),  # reaches into the silence
        ([outage(8, 20)], 8),  # still under way
        ([outage(10, 20)], 10),  # begins now
        ([outage(20, 30)], 10),  # not yet
        ([outage(1, 2), outage(4, 7)], 6),
        ([outage(-1, 30)], 0),
    ],
)
def test_an_outage_of_the_service_is_no_silence_of_the_site(outages: list[Outage], hours: int) -> None:
    assert silence(HEARD, at(10), outages) == hours * HOUR


@pytest.mark.parametrize(
    ("outages", "due"),
    [
        ([outage(2, 3)], 25),
        ([outage(-5, -1)], 24),
        ([outage(-5, 1)], 25),
        ([outage(23, 33)], 34),
        ([outage(24, 33)], 24),  # it was due when the outage began
        ([outage(25, 33)], 24),
        ([outage(1, 2), outage(24.5, 26)], 26.5),  # the second only matters for the first
    ],
)
def test_an_outage_moves_the_deadline_by_its_length(outages: list[Outage], due: float) -> None:
    assert deadline(HEARD, DAY, outages) == at(due)


gaps = st.lists(st.integers(1, 400), max_size=8).map(
    lambda steps: [
        outage(sum(steps[: i + 1]) - 60, sum(steps[: i + 1]) - 60 + steps[i + 1] / 2) for i in range(0, len(steps) - 1)
    ]
)


@given(outages=gaps, allowed=st.integers(1, 500), seconds=st.integers(1, 3600))
def test_the_deadline_is_the_instant_at_which_the_silence_is_reached(
    outages: list[Outage], allowed: int, seconds: int
) -> None:
    due = deadline(HEARD, allowed * HOUR, outages)
    assert silence(HEARD, due, outages) == allowed * HOUR
    assert silence(HEARD, due - timedelta(seconds=seconds), outages) < allowed * HOUR


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, Liveness.ONLINE),
        (1800, Liveness.ONLINE),
        (1801, Liveness.LATE),
        (86_399, Liveness.LATE),
        (86_400, Liveness.SILENT),
        (1_209_599, Liveness.SILENT),
        (1_209_600, Liveness.OVERDUE),
    ],
)
def test_liveness_follows_from_the_silence_alone(seconds: int, expected: Liveness) -> None:
    assert _liveness(HEARD, seconds, []) is expected


def test_a_site_is_as_alive_after_an_outage_of_the_service_as_before() -> None:
    assert _liveness(HEARD, 40 * 86_400, [outage(0.25, 24 * 40)]) is Liveness.ONLINE


def test_what_never_spoke_is_neither_late_nor_silent() -> None:
    assert _liveness(None, 10**8, []) is Liveness.NEVER_CONNECTED


def _liveness(heard: datetime | None, seconds: int, outages: list[Outage]) -> Liveness:
    return liveness(
        heard,
        HEARD + timedelta(seconds=seconds),
        outages,
        heartbeat_seconds=900,
        warn_after_seconds=86_400,
        disable_after_seconds=14 * 86_400,
    )
