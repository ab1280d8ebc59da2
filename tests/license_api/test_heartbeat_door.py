"""The door writes by hand what the contract's model would write."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from license_api.v1 import heartbeat_door
from license_api.v1.heartbeats import answer_of
from services.keys import KeyState
from services.sites import Answer

USUAL = Answer(
    state=KeyState.ACTIVE,
    reason=None,
    sequence=2**53 - 1,
    echo="AAAAAAAAAAAAAQAAAAAAAAABMtzjm6b6zfO6DbeBZAaAAw",
    through=0,
    receipt=bytes(range(32)),
    server_time=datetime(2026, 11, 24, 8, tzinfo=UTC),
    next_heartbeat_seconds=901,
)


@pytest.mark.parametrize(
    "answer",
    [
        USUAL,
        replace(USUAL, server_time=USUAL.server_time + timedelta(microseconds=20)),
        replace(USUAL, state=KeyState.REVOKED, reason="revoked"),
        replace(USUAL, lease="e30.e30.e30"),
        replace(USUAL, notices=[{"code": "conflict", "n": 3}]),
    ],
)
def test_an_answer_is_the_same_bytes_by_hand_and_by_the_model(answer: Answer) -> None:
    assert heartbeat_door._write(answer).decode() == answer_of(answer).model_dump_json(exclude_none=True)
