"""The life of a Site Manager: a heartbeat when it is due, until told to stop."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from site_manager.messages import explain
from site_manager.outcome import Answered, Outcome, Refused
from site_manager.site import SiteManager

PAUSE_MAX_SECONDS: Final = 3600.0
PAUSE_LEAST_SECONDS: Final = 0.01


async def run(
    site: SiteManager,
    clock: Callable[[], datetime],
    tell: Callable[[str], None],
    stop: asyncio.Event,
    rounds: int | None = None,
) -> Outcome | None:
    """Send heartbeats until `stop` is set (or so many rounds are done), and tell what is new in one sentence.

    Returns the last outcome. Without an activation there is nothing to do, so it ends at once.
    """
    told, outcome, done = "", None, 0
    while not stop.is_set() and (rounds is None or done < rounds):
        if done or rounds is None:
            await _wait(stop, _pause(site, clock))
            if stop.is_set():
                break
        outcome = await site.heartbeat()
        done += 1
        if isinstance(outcome, Answered):
            await site.tend()
        sentence = explain(outcome)
        if sentence != told:
            tell(sentence)
            told = sentence
        if isinstance(outcome, Refused) and outcome.code == "not_activated":
            break
    return outcome


def _pause(site: SiteManager, clock: Callable[[], datetime]) -> float:
    # Bounded, since a clock that was set back would make of a due time one in the far future. Never shorter
    # than the service asked for, unless that is beyond the bound.
    seconds = (site.next_at - clock()).total_seconds()
    longest = max(PAUSE_MAX_SECONDS, site.interval_seconds)
    return min(max(seconds, PAUSE_LEAST_SECONDS), longest)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
