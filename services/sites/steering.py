"""When a site should come next: its interval, at a phase of its own, so that the fleet never arrives together. Pure."""

from datetime import datetime
from uuid import UUID


def next_heartbeat_seconds(installation_id: UUID, interval_seconds: int, now: datetime, *, busy: bool = False) -> int:
    """Give the seconds until the site's next turn: the first of its phase that is over half an interval away.

    While the service is `busy` it is the first over a whole interval away, so that about half as many come; and never
    over two, so that nobody who comes in turn is late.
    """
    phase = installation_id.int % interval_seconds
    least = interval_seconds - 1 if busy else interval_seconds // 2
    soonest = int(now.timestamp()) + least
    return least + 1 + (phase - soonest - 1) % interval_seconds
