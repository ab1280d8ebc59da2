"""Steering: every site keeps a phase of its own."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.sites.steering import next_heartbeat_seconds

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
intervals = st.integers(2, 90_000)


@given(installation=st.uuids(), interval=intervals, late=st.integers(0, 10**7))
def test_the_next_turn_is_over_half_an_interval_away_and_at_most_one_and_a_half(
    installation: UUID, interval: int, late: int
) -> None:
    seconds = next_heartbeat_seconds(installation, interval, NOW + timedelta(seconds=late))
    assert interval // 2 < seconds <= interval // 2 + interval


@given(installation=st.uuids(), interval=intervals, late=st.integers(0, 10**7))
def test_a_site_comes_at_its_own_phase_whenever_it_came_before(installation: UUID, interval: int, late: int) -> None:
    now = NOW + timedelta(seconds=late)
    turn = int(now.timestamp()) + next_heartbeat_seconds(installation, interval, now)
    assert turn % interval == installation.int % interval


@given(installation=st.uuids(), interval=intervals, late=st.integers(0, 10**7))
def test_under_load_the_next_turn_is_one_to_two_intervals_away_so_that_nobody_is_late(
    installation: UUID, interval: int, late: int
) -> None:
    seconds = next_heartbeat_seconds(installation, interval, NOW + timedelta(seconds=late), busy=True)
    assert interval <= seconds <= 2 * interval


def test_a_fleet_that_comes_at_once_is_spread_over_the_interval() -> None:
    turns = {next_heartbeat_seconds(UUID(int=i * 7919), 900, NOW) for i in range(2000)}
    assert len(turns) == 900
