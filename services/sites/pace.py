"""The pace of one API process: who comes far too early, when to ask for longer intervals, how many are expected.

It is memory alone: a heartbeat that comes in time costs two additions here, and the pulse commits the sums.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.errors import Kind, Refusal
from services.sites.arrivals import Minute
from services.sites.steering import next_heartbeat_seconds

EARLY_SHARE = 60
EARLY_ALLOWED = 5
_REMEMBERED_MAX = 100_000
_MINUTE_SECONDS = 60


class TooEarly(Refusal):
    """This heartbeat comes far too early; nothing was taken in. Wait as long as `Retry-After` says."""

    kind = Kind.TOO_MANY
    code = "too_early"


@dataclass(slots=True)
class Pace:
    """What an API process knows of its own load. `busy` is set by whoever sees heartbeats queue."""

    busy: bool = False
    early_allowed: int = EARLY_ALLOWED
    _told: Counter[int] = field(default_factory=Counter)
    _arrived: Counter[int] = field(default_factory=Counter)
    _early: dict[tuple[UUID, UUID], tuple[datetime, int]] = field(default_factory=dict)

    def next_seconds(self, installation_id: UUID, interval_seconds: int, now: datetime) -> int:
        """Give when a site that was heard now should come next, and expect it then."""
        seconds = next_heartbeat_seconds(installation_id, interval_seconds, now, busy=self.busy)
        minute = int(now.timestamp()) // _MINUTE_SECONDS
        self._arrived[minute] += 1
        self._told[minute + seconds // _MINUTE_SECONDS] += 1
        return seconds

    def check(
        self, site_id: UUID, installation_id: UUID, heard_at: datetime, interval_seconds: int, now: datetime
    ) -> TooEarly | None:
        """Refuse one that comes sooner than a sixtieth of its interval after its last, but for a few an interval.

        A restart, or an operator who wants to see something happen, is not too early.
        """
        if now - heard_at >= timedelta(seconds=interval_seconds / EARLY_SHARE):
            return None
        if len(self._early) > _REMEMBERED_MAX:
            self._early.clear()
        since, came = self._early.get((site_id, installation_id), (now, 0))
        if now - since >= timedelta(seconds=interval_seconds):
            since, came = now, 0
        self._early[site_id, installation_id] = since, came + 1
        if came < self.early_allowed:
            return None
        return TooEarly(retry_after=next_heartbeat_seconds(installation_id, interval_seconds, now))

    def take_counts(self) -> Mapping[datetime, Minute]:
        """Give what was counted since the last time, by minute, and begin anew."""
        told, arrived = self._told, self._arrived
        self._told, self._arrived = Counter(), Counter()
        return {
            datetime.fromtimestamp(minute * _MINUTE_SECONDS, UTC): Minute(told[minute], arrived[minute])
            for minute in sorted({*told, *arrived})
        }
