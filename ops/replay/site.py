"""One site of the replay: a real Site Manager, its spool, and the changes that time brings it."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import httpx

from services.clock import Clock
from site_manager import Activated, Answered, Change, Counts, Repaired, SiteManager, Spool
from site_manager.outcome import Outcome

_ROUNDS_MAX = 1_000


class ReplayFailed(RuntimeError):
    """Something happened that the replay does not expect of a healthy service."""


class CutOff(httpx.AsyncBaseTransport):
    """The network as one site sees it: real, but for its outages, when it reaches nothing."""

    def __init__(
        self,
        real: httpx.AsyncBaseTransport,
        clock: Clock,
        outages: Sequence[tuple[datetime, datetime]],
        activated_at: datetime,
    ) -> None:
        """Stand before the real transport; at the instant of activation every site reaches the service."""
        self._real = real
        self._clock = clock
        self._outages = outages
        self._activated_at = activated_at

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, or fail as an unplugged cable would."""
        now = self._clock()
        if now > self._activated_at and any(begin <= now < end for begin, end in self._outages):
            raise httpx.ConnectError("the site reaches nothing", request=request)
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the real transport."""
        await self._real.aclose()


class ReplaySite:
    """A site that lives through the months."""

    def __init__(
        self,
        name: str,
        changes: Iterator[tuple[datetime, tuple[int, int, int]]],
        http: httpx.AsyncClient,
        clock: Clock,
        folder: Path,
    ) -> None:
        """Make its Site Manager; what it draws by chance is the same in every run."""
        self.name = name
        self.heartbeats = 0
        self.changes = 0
        self._coming = changes
        self._next_change = next(changes, None)
        # A replay need not survive a power cut, so no spool waits for the disk.
        spool = Spool.open(folder / f"{name.encode().hex()}.sqlite", durable=False)
        self.manager = SiteManager(spool, http, clock, Random(f"site {name}").randbytes)  # noqa: S311
        self._spool = spool
        self._http = http

    async def close(self) -> None:
        """Close its spool and its connection."""
        self._spool.close()
        await self._http.aclose()

    async def activate(self, code: str, now: datetime) -> None:
        """Activate, and report the agents of that instant as the first change."""
        outcome = await self.manager.activate(code, hostname=f"{self.name}.example", name=self.name)
        if not isinstance(outcome, Activated):
            raise ReplayFailed(f"{self.name} could not activate: {outcome}")
        await self.live(now)

    async def live(self, now: datetime) -> None:
        """Note what changed up to now, and send what is to be sent."""
        self._record_until(now)
        for _ in range(_ROUNDS_MAX):
            outcome = await self.manager.heartbeat()
            if isinstance(outcome, Answered):
                self.heartbeats += 1
                self._check(outcome)
            if not self._goes_on(outcome):
                return
        raise ReplayFailed(f"{self.name} does not come to an end")

    def _record_until(self, now: datetime) -> None:
        due = []
        while self._next_change is not None and self._next_change[0] <= now:
            at, (server, workstation, server_plus) = self._next_change
            due.append(Change(at, Counts(server, workstation, server_plus)))
            self._next_change = next(self._coming, None)
        if due:
            self.changes += len(due)
            if not self.manager.record_many(due):
                raise ReplayFailed(f"{self.name} could not write its spool")

    def _goes_on(self, outcome: Outcome) -> bool:
        return (isinstance(outcome, Answered) and outcome.more) or isinstance(outcome, Repaired)

    def _check(self, answer: Answered) -> None:
        if not answer.receipt_agrees or answer.notices:
            raise ReplayFailed(f"{self.name}: the service and the site disagree: {answer}")


def windows(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    """Give the instants at which the simulated clock stands, after `start` and up to `end`."""
    now = start
    while now < end:
        now = min(now + step, end)
        yield now
