"""What a heartbeat means, decided from the request and the head of its line alone: every outcome."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.errors import Refusal
from services.sites.bearer import Bearer
from services.sites.echo import Echo
from services.sites.heartbeat import (
    Accepted,
    ChangesMissing,
    DeployedMismatch,
    Head,
    Heartbeat,
    LineBroken,
    Repeat,
    decide,
)
from services.usage import Counts, Entry, canonical

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HAD, HAS = Counts(1, 10, 0), Counts(1, 11, 0)
HEAD = Head(
    line=0,
    sequence=40,
    nonce=b"n" * 16,
    through=95,
    receipt=b"r" * 32,
    counts=HAD,
    last_entry_at=NOW - 60 * MINUTE,
    known_until_at=NOW - 15 * MINUTE,
)
ECHO = Echo(0, 40, 95)


def beat(*entries: Entry, numbered: bool | None = None, **fields: Any) -> Heartbeat:
    """The request that follows HEAD."""
    plain = Heartbeat(
        bearer=Bearer(UUID(int=1), UUID(int=2), b""),
        sequence=41,
        nonce=b"m" * 16,
        echo="",
        sent_at=NOW,
        sent_at_text="2026-03-10T09:00:00Z",
        deployed=HAD,
        entries=entries,
        numbered=bool(entries) if numbered is None else numbered,
    )
    return replace(plain, **fields)


def change(n: int, counts: Counts, minutes_ago: float = 5) -> Entry:
    at = NOW - minutes_ago * MINUTE
    return Entry(n, "change", at, canonical({"n": n, "at": at.isoformat(), **counts._asdict()}), counts)


def accepted(outcome: object) -> Accepted:
    assert isinstance(outcome, Accepted), outcome
    return outcome


def test_the_next_sequence_with_the_current_echo_is_accepted() -> None:
    outcome = accepted(decide(beat(), ECHO, HEAD, NOW))
    assert outcome.head == replace(HEAD, sequence=41, nonce=b"m" * 16, known_until_at=NOW)
    assert (outcome.new, outcome.known, list(outcome.notices)) == ([], [], [])


def test_the_last_sequence_with_its_nonce_is_a_repeat_whatever_its_echo() -> None:
    for echo in (ECHO, Echo(0, 39, 90), None):
        assert decide(beat(sequence=40, nonce=b"n" * 16), echo, HEAD, NOW) == Repeat(HEAD)


@pytest.mark.parametrize(
    ("fields", "echo"),
    [
        ({}, None),  # not genuine
        ({}, Echo(0, 39, 95)),  # an old echo
        ({"sequence": 40}, Echo(0, 39, 95)),  # the last sequence with another nonce: a copy in step
        ({"sequence": 42}, ECHO),  # one left out
        ({"sequence": 41}, Echo(0, 41, 95)),
        ({"sequence": 40}, ECHO),
    ],
)
def test_anything_else_breaks_the_line_and_is_told_where_it_stands(fields: Any, echo: Echo | None) -> None:
    outcome = decide(beat(**fields), echo, HEAD, NOW)
    assert isinstance(outcome, LineBroken)
    assert outcome.members == {"through": 95, "receipt": HEAD.receipt.hex()}


def test_a_genuine_echo_that_is_ahead_is_adopted_for_the_service_was_restored() -> None:
    outcome = accepted(decide(beat(sequence=51), Echo(0, 50, 120), HEAD, NOW))
    assert (outcome.head.sequence, outcome.head.through) == (51, 95)
    missing = decide(beat(change(121, HAD), sequence=51), Echo(0, 50, 120), HEAD, NOW)
    assert isinstance(missing, ChangesMissing)
    assert missing.members["through"] == 95


def test_a_simple_client_s_other_count_is_a_change_with_the_next_number_at_sent_at() -> None:
    outcome = accepted(decide(beat(deployed=HAS, active=Counts(1, 9, 0)), ECHO, HEAD, NOW))
    [placed] = outcome.new
    assert (placed.entry.n, placed.at, placed.entry.deployed, placed.entry.active) == (96, NOW, HAS, Counts(1, 9, 0))
    assert placed.entry.canonical == (
        b'{"active":{"server":1,"server_plus":0,"workstation":9},"at":"2026-03-10T09:00:00Z","n":96,'
        b'"server":1,"server_plus":0,"workstation":11}'
    )
    assert (outcome.head.through, outcome.head.counts) == (96, HAS)


def test_the_first_count_of_a_simple_client_is_a_change_also_if_it_is_zero() -> None:
    fresh = replace(HEAD, sequence=0, nonce=None, through=0, counts=None, known_until_at=None)
    zero = Counts(0, 0, 0)
    outcome = accepted(decide(beat(sequence=1, deployed=zero), Echo(0, 0, 0), fresh, NOW))
    assert [(one.entry.n, one.entry.deployed) for one in outcome.new] == [(1, zero)]


def test_an_implied_change_comes_after_the_other_entries_of_its_request() -> None:
    seen = Entry(96, "standalones", NOW - 5 * MINUTE, canonical({"n": 96, "seen": []}))
    outcome = accepted(decide(beat(seen, numbered=False, deployed=HAS), ECHO, HEAD, NOW))
    assert [(one.entry.n, one.entry.kind) for one in outcome.new] == [(96, "standalones"), (97, "change")]


def test_numbered_changes_are_added_above_through_and_compared_below() -> None:
    entries = [change(n, HAS if n == 97 else HAD, minutes_ago=100 - n) for n in (94, 95, 96, 97)]
    outcome = accepted(decide(beat(*entries, deployed=HAS), ECHO, HEAD, NOW))
    assert [one.entry.n for one in outcome.new] == [96, 97]
    assert [one.n for one in outcome.known] == [94, 95]
    assert (outcome.head.through, outcome.head.counts, outcome.head.last_entry_at) == (97, HAS, NOW - 3 * MINUTE)
    assert outcome.head.receipt == outcome.new[-1].receipt


@pytest.mark.parametrize("numbers", [[97], [96, 98], [95, 97]])
def test_a_gap_in_the_numbers_is_told_with_through(numbers: list[int]) -> None:
    outcome = decide(beat(*(change(n, HAD) for n in numbers)), ECHO, HEAD, NOW)
    assert isinstance(outcome, ChangesMissing)
    assert outcome.members == {"through": 95, "receipt": HEAD.receipt.hex()}


@pytest.mark.parametrize("entries", [[change(96, HAS)], []])
def test_deployed_must_be_the_count_of_the_last_change(entries: list[Entry]) -> None:
    outcome = decide(beat(*entries, numbered=True, deployed=Counts(9, 9, 9)), ECHO, HEAD, NOW)
    assert isinstance(outcome, DeployedMismatch)
    assert outcome.pointer == "/deployed"


def test_active_is_compared_with_nothing() -> None:
    outcome = accepted(decide(beat(change(96, HAS, 5), deployed=HAS, active=Counts(9, 9, 9)), ECHO, HEAD, NOW))
    assert [one.entry.active for one in outcome.new] == [None]


def test_while_more_waits_deployed_is_not_compared_and_usage_is_known_up_to_the_last_change() -> None:
    outcome = accepted(decide(beat(change(96, HAS, 5), deployed=Counts(9, 9, 9), more=True), ECHO, HEAD, NOW))
    assert outcome.head.known_until_at == NOW - 5 * MINUTE
    assert outcome.head.counts == HAS


def test_more_without_changes_implies_none() -> None:
    outcome = accepted(decide(beat(deployed=HAS, more=True), ECHO, HEAD, NOW))
    assert (list(outcome.new), outcome.head.counts) == ([], HAD)


def test_what_is_known_never_shrinks() -> None:
    outcome = accepted(decide(beat(more=True), ECHO, HEAD, NOW))
    assert outcome.head.known_until_at == HEAD.known_until_at


@pytest.mark.parametrize(
    ("sent_at", "known"),
    [
        (NOW - 2 * MINUTE, NOW - 2 * MINUTE),
        (NOW + MINUTE, NOW),  # a clock that is fast
        (NOW - 400 * MINUTE, NOW),  # a clock that is slow
    ],
)
def test_usage_is_known_up_to_sent_at_unless_the_clock_is_wrong(sent_at: datetime, known: datetime) -> None:
    assert accepted(decide(beat(sent_at=sent_at), ECHO, HEAD, NOW)).head.known_until_at == known


def test_a_suspect_clock_is_told_with_the_number_of_the_entry() -> None:
    outcome = accepted(decide(beat(change(96, HAS, minutes_ago=-30), deployed=HAS), ECHO, HEAD, NOW))
    assert list(outcome.notices) == [{"code": "clock_suspect", "n": 96}]
    assert outcome.new[0].at == NOW


def test_an_error_answer_spends_nothing() -> None:
    refused = decide(beat(change(97, HAS), deployed=HAS), ECHO, HEAD, NOW)
    assert isinstance(refused, Refusal)
    again = beat(change(96, HAD), change(97, HAS), deployed=HAS, nonce=b"o" * 16)
    assert accepted(decide(again, ECHO, HEAD, NOW)).head.sequence == 41
