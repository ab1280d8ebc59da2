"""When a site should come next: its interval, at a phase of its own, so that the fleet never arrives together. Pure."""

from datetime import datetime
from uuid import UUID


def next_heartbeat_seconds(installation_id: UUID, interval_seconds: int, now: datetime) -> int:
    """Give the seconds until the site's next turn: the first of its phase that is over half an interval away."""
    phase = installation_id.int % interval_seconds
    soonest = int(now.timestamp()) + interval_seconds // 2
    return interval_seconds // 2 + 1 + (phase - soonest - 1) % interval_seconds
