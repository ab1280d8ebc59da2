"""Entries: where each counts, and the receipts that they earn."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.usage.entries import Counts, Entry, chain, last_counts, place
from services.usage.receipts import canonical, first_receipt, next_receipt

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRST = first_receipt("0192f0c1-2222-7333-8444-555566667777")
instants = st.integers(-10_000, 10_000).map(lambda minutes: NOW + minutes * MINUTE)


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def entry(n: int, at: datetime, counts: Counts | None = None) -> Entry:
    return Entry(n, "change" if counts else "lost", at, canonical({"n": n}), counts)


@pytest.mark.parametrize(
    ("raw", "sent_at", "at", "suspect"),
    [
        (ago(10), NOW, ago(10), False),
        (ago(60), NOW, ago(60), False),  # at the previous entry
        (NOW, NOW, NOW, False),
        (NOW + MINUTE, NOW, NOW, True),  # in the future
        (ago(61), NOW, ago(60), True),  # before the previous one
        (NOW + 90 * MINUTE, NOW + 100 * MINUTE, ago(10), True),  # a clock 100 minutes fast
        (ago(130), ago(100), ago(30), True),  # a clock 100 minutes slow
        (ago(100_000), ago(1), ago(60), True),
    ],
)
def test_an_instant_stands_or_is_shifted_by_the_site_s_clock_or_is_the_nearer_bound(
    raw: datetime, sent_at: datetime, at: datetime, suspect: bool
) -> None:
    assert place(raw, previous=ago(60), sent_at=sent_at, now=NOW) == (at, suspect)


@given(raw=st.lists(instants, max_size=6), sent_at=instants)
def test_no_entry_lands_before_the_one_it_follows_nor_in_the_future(raw: list[datetime], sent_at: datetime) -> None:
    entries = [entry(n, at) for n, at in enumerate(raw, start=1)]
    placed = chain(entries, receipt=FIRST, previous=ago(60), sent_at=sent_at, now=NOW)
    ordered = [ago(60), *(one.at for one in placed), NOW]
    assert ordered == sorted(ordered)
    assert all(one.clock_suspect == (one.at != one.entry.at) or one.at == one.entry.at for one in placed)


def test_each_receipt_covers_all_entries_before_it() -> None:
    entries = [entry(n, NOW) for n in (1, 2, 3)]
    placed = chain(entries, receipt=FIRST, previous=ago(60), sent_at=NOW, now=NOW)
    expected = FIRST
    for one in placed:
        expected = next_receipt(expected, one.entry.canonical)
        assert one.receipt == expected
    in_two = [
        *chain(entries[:1], receipt=FIRST, previous=ago(60), sent_at=NOW, now=NOW),
        *chain(entries[1:], receipt=placed[0].receipt, previous=placed[0].at, sent_at=NOW, now=NOW),
    ]
    assert in_two == placed


def test_the_counts_after_some_entries_are_those_of_the_last_change() -> None:
    one, two = Counts(1, 2, 3), Counts(4, 5, 6)
    assert last_counts([]) is None
    assert last_counts([entry(1, NOW)]) is None
    assert last_counts([entry(1, NOW, one), entry(2, NOW, two), entry(3, NOW)]) == two
    assert two.total == 15
