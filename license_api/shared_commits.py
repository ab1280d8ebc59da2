"""Shared commits: heartbeats that arrive together are stored in one transaction, and answered after it.

The first of a quiet period waits for nobody; while a commit is under way the next batch gathers. A batch takes half of
those who wait, so that PostgreSQL commits the one half while this process answers and reads the other; it holds one
heartbeat an installation at most. Two lanes, each with a connection of its own: the idle lane, where one statement
does a whole batch, and the general lane for everything else, so that a slow case holds up no idle site.

Both queues are bounded: beyond the bound the answer is 503 at once. The idle lane takes only heartbeats that show a
genuine echo, which only this service can have made, and an installation has few places in a queue: so neither a flood
of invented credentials nor one site gone wild crowds out the others. While many wait, the answers ask for longer
intervals.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError

from license_api.idle_connection import IdleConnection
from license_api.problems import is_outage
from services import sites
from services.clock import Clock
from services.db import Sessions, is_deadlock
from services.errors import Refusal, Unavailable
from services.sites import Answer, Desk, Echo, Heartbeat, Idle

_BATCH_MAX = 128
_HALVED_FROM = 32  # fewer are not worth a commit of their own
# Some seconds of work at full speed: 10,000 sites that come back within one second, even after long, find room.
_IDLE_MAX = 16_384
_GENERAL_MAX = 16_384
_STRANGERS_MAX = 512
_PER_INSTALLATION_MAX = 4
# Heartbeats that wait behind the batch under way: so many are too many, and so few are none to speak of.
_BUSY_FROM = 4 * _BATCH_MAX
_QUIET_BELOW = _BATCH_MAX
_ATTEMPTS = 3
_RETRY_AFTER_SECONDS = 1
_log = structlog.get_logger()
Outcome = Answer | Exception
"""What becomes of a heartbeat: its answer, its refusal, or what went wrong."""


class Waiting:
    """A heartbeat that waits for the commit that holds it; `settle` is called once."""

    __slots__ = ("beat", "echo", "installation", "settle")

    def __init__(self, beat: Heartbeat, echo: Echo | None, settle: Callable[[Outcome], None]) -> None:
        """Begin to wait."""
        self.beat = beat
        self.echo = echo
        self.installation = beat.bearer.installation_id.int
        self.settle = settle


class Lane:
    """A bounded queue and the task that empties it, a batch at a time."""

    def __init__(self, longest: int, commit: Callable[[list[Waiting]], Awaitable[None]]) -> None:
        """Commit batches of at most 128 with `commit`, which settles every answer and raises nothing."""
        self._longest = longest
        self._commit = commit
        self._queue: deque[Waiting] = deque()
        self._places: Counter[int] = Counter()
        self._committer: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    def add(self, waiting: Waiting) -> None:
        """Queue one; raises `Unavailable` at once if there is no room, or none for its installation."""
        places = self._places[waiting.installation]
        if len(self._queue) >= self._longest or places >= _PER_INSTALLATION_MAX:
            raise Unavailable(retry_after=_RETRY_AFTER_SECONDS)
        self._places[waiting.installation] = places + 1
        self._queue.append(waiting)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit_all())

    async def _commit_all(self) -> None:
        try:
            while self._queue:
                await self._commit(self._next_batch())
        finally:
            self._committer = None

    def _next_batch(self) -> list[Waiting]:
        batch: dict[int, Waiting] = {}
        later: list[Waiting] = []
        most = min(_BATCH_MAX, max(_HALVED_FROM, len(self._queue) // 2))
        while self._queue and len(batch) < most:
            waiting = self._queue.popleft()
            if waiting.installation in batch:
                later.append(waiting)
                continue
            batch[waiting.installation] = waiting
            self._leave(waiting.installation)
        self._queue.extendleft(reversed(later))
        return list(batch.values())

    def _leave(self, installation: int) -> None:
        places = self._places[installation] - 1
        if places:
            self._places[installation] = places
        else:
            del self._places[installation]


class SharedCommits:
    """Takes in the heartbeats of one process."""

    def __init__(self, sessions: Sessions, connection: IdleConnection, desk: Desk, clock: Clock) -> None:
        """Work on a database, with what taking in needs; a batch is taken in at one instant of the clock."""
        self._sessions = sessions
        self._connection = connection
        self._desk = desk
        self._clock = clock
        self._idle = Lane(_IDLE_MAX, self._commit_idle)
        self._general = Lane(_GENERAL_MAX, self._commit_general)
        self._strangers = Lane(_STRANGERS_MAX, self._commit_general)

    async def take_in(self, beat: Heartbeat) -> Answer:
        """Give the answer once the heartbeat is durable; raises the refusal, or `Unavailable` with nothing lost."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.take(beat, partial(_fulfil, answer))
        return await answer

    def take(self, beat: Heartbeat, settle: Callable[[Outcome], None]) -> None:
        """Queue a heartbeat; `settle` is told once it is durable, or at once that there is no room."""
        echo = sites.genuine_echo(self._desk.vault, beat)
        lane = self._strangers
        if echo is not None:
            lane = self._idle if sites.perhaps_idle(beat, echo) else self._general
        _queue(lane, Waiting(beat, echo, settle))

    async def _commit_idle(self, batch: list[Waiting]) -> None:
        """Take in what is idle; the rest goes on to the general lane, also when the statement itself failed."""
        self._weigh()
        answers: Sequence[Answer | None] = [None] * len(batch)
        try:
            answers = await self._advance([Idle(one.beat, one.echo) for one in batch if one.echo], self._clock())
        except Exception as error:
            if is_outage(error):
                _fail(batch, Unavailable())
                return
            _log.warning("idle statement failed", error=type(error).__name__)
        for waiting, answer in zip(batch, answers, strict=True):
            if answer is not None:
                waiting.settle(answer)
            else:
                _queue(self._general, waiting)

    def _weigh(self) -> None:
        """Ask for longer intervals while heartbeats queue. Invented credentials lengthen nobody's interval."""
        waiting, pace = len(self._idle) + len(self._general), self._desk.pace
        if waiting >= _BUSY_FROM:
            pace.busy = True
        elif waiting < _QUIET_BELOW:
            pace.busy = False

    async def _advance(self, batch: Sequence[Idle], now: datetime) -> list[Answer | None]:
        return await self._connection.run(lambda raw: sites.advance_idle(raw, self._desk, batch, now))

    async def _commit_general(self, batch: list[Waiting]) -> None:
        """Store a batch; if a statement fails for one of it, store each alone, so that only that one fails."""
        self._weigh()
        try:
            answers = await self._store(batch, self._clock())
        except Exception as error:
            if is_outage(error) or len(batch) == 1:
                _fail(batch, Unavailable() if is_outage(error) or is_deadlock(error) else error)
            else:
                for waiting in batch:
                    await self._commit_general([waiting])
            return
        for waiting, answer in zip(batch, answers, strict=True):
            waiting.settle(answer)

    async def _store(self, batch: Sequence[Waiting], now: datetime) -> list[Answer | Refusal]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._sessions.begin() as db:
                    return await sites.take_in(db, self._desk, [(one.beat, now) for one in batch])
            except DBAPIError as error:
                if not is_deadlock(error) or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")


def _queue(lane: Lane, waiting: Waiting) -> None:
    try:
        lane.add(waiting)
    except Unavailable as full:
        waiting.settle(full)


def _fail(batch: Sequence[Waiting], error: Exception) -> None:
    for waiting in batch:
        waiting.settle(error)


def _fulfil(answer: asyncio.Future[Answer], outcome: Outcome) -> None:
    if answer.done():  # the caller has left
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
