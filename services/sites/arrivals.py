"""Arrivals: heartbeats that were expected and did not come mean that the service could not be reached. Pure.

Each answer tells its site when to come next, so the service knows how many to expect in each minute. A stretch in which
fewer than half of them arrive, when at least 20 were expected, is an outage, although every process is up. While nobody
arrives nobody is told to come, so the level of before stays expected: for as long as next to nobody arrives, else for
three days at most, after which those that are missing are taken to be gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

MINUTE = timedelta(minutes=1)
EXPECTED_MIN = 20
BLOCK_MIN = 3 * MINUTE
BLOCK_MAX = timedelta(hours=2)
NEXT_TO_NOBODY = 0.05
GONE_AFTER = timedelta(days=3)


class Minute(NamedTuple):
    """What one minute was to bring, and brought."""

    told: int
    arrived: int


class Collapse(NamedTuple):
    """A stretch in which fewer than half arrived (half-open)."""

    from_at: datetime
    until_at: datetime


@dataclass(frozen=True, slots=True)
class Watch:
    """How far arrivals have been judged; the level at which they were expected last, in a minute."""

    judged_until_at: datetime
    level: float = 0.0
    collapsed_since_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Block:
    starts_at: datetime
    ends_at: datetime
    expected: float = 0.0
    arrived: int = 0

    @property
    def length(self) -> timedelta:
        return self.ends_at - self.starts_at


def judge(watch: Watch, minutes: Sequence[Minute]) -> tuple[Watch, list[Collapse]]:
    """Judge the minutes that follow the watch; gives where it stands then, and the collapses that were found.

    A collapse that goes on begins where it began, so the later one replaces the earlier.
    """
    found: list[Collapse] = []
    block = _Block(watch.judged_until_at, watch.judged_until_at)
    for minute in minutes:
        expected = max(minute.told, watch.level if watch.collapsed_since_at is not None else 0.0)
        block = replace(
            block,
            ends_at=block.ends_at + MINUTE,
            expected=block.expected + expected,
            arrived=block.arrived + minute.arrived,
        )
        if block.expected >= EXPECTED_MIN and block.length >= BLOCK_MIN:
            watch = _judge(watch, block)
            if watch.collapsed_since_at is not None:
                found = [one for one in found if one.from_at != watch.collapsed_since_at]
                found.append(Collapse(watch.collapsed_since_at, block.ends_at))
            block = _Block(block.ends_at, block.ends_at)
        elif block.length >= BLOCK_MAX:  # too few to say anything
            watch = Watch(block.ends_at)
            block = _Block(block.ends_at, block.ends_at)
    return watch, found


def _judge(watch: Watch, block: _Block) -> Watch:
    rate = block.expected / (block.length / MINUTE)
    if 2 * block.arrived >= block.expected:
        return Watch(block.ends_at, rate)
    since = watch.collapsed_since_at or block.starts_at
    level = watch.level or rate
    gone = block.ends_at - since > GONE_AFTER and block.arrived >= NEXT_TO_NOBODY * block.expected
    return Watch(block.ends_at, 0.0, None) if gone else Watch(block.ends_at, level, since)
