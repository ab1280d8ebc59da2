"""What goes over the wire is the canonical form, and the pauses between are bounded."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from site_manager.retry import pause, read_retry_after
from site_manager.wire import (
    Counts,
    change_entry,
    first_receipt,
    instant,
    lost_entry,
    next_receipt,
    renumbered,
    standalones_entry,
)

numbers = st.integers(0, 1_000_000)
counts = st.builds(Counts, numbers, numbers, numbers)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(instant)  # noqa: DTZ001
places = st.integers(1, 2**53 - 8)


@given(places, instants, counts, st.none() | counts)
def test_a_change_is_in_canonical_json(n: int, at: str, deployed: Counts, active: Counts | None) -> None:
    entry = change_entry(n, at, deployed.members(), active.members() if active else None)
    assert entry == rfc8785.dumps(json.loads(entry))
    expected = {"n": n, "at": at} | {name: getattr(deployed, name) for name in Counts.__slots__}
    if active:
        expected["active"] = {name: getattr(active, name) for name in Counts.__slots__}
    assert json.loads(entry) == expected


@given(places, instants, instants, st.lists(st.uuids().map(str), max_size=5))
def test_lost_and_standalones_are_in_canonical_json(n: int, at: str, until: str, seen: list[str]) -> None:
    for entry in (lost_entry(n, at, until), standalones_entry(n, at, seen)):
        assert entry == rfc8785.dumps(json.loads(entry))
        assert renumbered(entry, n, n + 7) == rfc8785.dumps(json.loads(entry) | {"n": n + 7})


def test_receipts_are_a_chain_of_sha_256() -> None:
    zero = first_receipt("a" * 36)
    assert zero == hashlib.sha256(b"a" * 36).digest()
    assert next_receipt(zero, b"{}") == hashlib.sha256(zero + b"{}").digest()


def test_instants_are_utc_with_seconds_or_six_digits() -> None:
    rome = timezone(timedelta(hours=2))
    assert instant(datetime(2026, 10, 1, 2, tzinfo=rome)) == "2026-10-01T00:00:00Z"
    assert instant(datetime(2026, 10, 1, 0, 0, 0, 50, tzinfo=UTC)) == "2026-10-01T00:00:00.000050Z"
    with pytest.raises(ValueError, match="time zone"):
        instant(datetime(2026, 10, 1))  # noqa: DTZ001


@pytest.mark.parametrize("count", [-1, True, 1.0, "5", 1_000_001])
def test_a_count_that_is_none_is_refused(count: object) -> None:
    with pytest.raises(ValueError, match="count"):
        Counts(server=count)  # type: ignore[arg-type]


def test_pauses_grow_to_the_cap_and_never_undercut_retry_after() -> None:
    most = b"\xff\xff\xff\xff"
    assert [round(pause(n, 900, None, most)) for n in (1, 2, 3, 9, 99)] == [5, 10, 20, 900, 900]
    assert pause(9, 900, None, b"\0") == 1
    assert pause(9, 900, 120.0, b"\0") == 120
    assert 120 < pause(9, 900, 120.0, b"\x80") < 120 + 900


def test_retry_after_is_read_as_seconds_or_date_and_bounded() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    assert read_retry_after("120", now) == 120
    assert read_retry_after("Sun, 01 Nov 2026 00:01:00 GMT", now) == 60
    assert read_retry_after("Sat, 31 Oct 2026 00:01:00 GMT", now) == 0
    assert read_retry_after("9" * 30, now) == 86_400
    assert read_retry_after("soon", now) is None
    assert read_retry_after(None, now) is None
