"""Shared commits: heartbeats that arrive together are stored in one transaction, and answered after it.

The first of a quiet period waits for nobody; while a commit is under way the next batch gathers. A batch holds one
heartbeat an installation at most. The queue is bounded: beyond it the answer is 503 at once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import DBAPIError

from license_api.problems import is_outage
from services import sites
from services.db import Sessions
from services.errors import Refusal, Unavailable
from services.sites import Answer, Desk, Heartbeat

_BATCH_MAX = 128
_QUEUE_MAX = 2_000
_ATTEMPTS = 3
_DEADLOCK = "40P01"


@dataclass(slots=True)
class _Waiting:
    beat: Heartbeat
    now: datetime
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def installation(self) -> tuple[object, object]:
        return self.beat.bearer.site_id, self.beat.bearer.installation_id


class SharedCommits:
    """Takes in the heartbeats of one process."""

    def __init__(self, sessions: Sessions, desk: Desk) -> None:
        """Work on a database, with what taking in needs."""
        self._sessions = sessions
        self._desk = desk
        self._queue: deque[_Waiting] = deque()
        self._committer: asyncio.Task[None] | None = None

    async def take_in(self, beat: Heartbeat, now: datetime) -> Answer:
        """Give the answer once the heartbeat is durable; raises the refusal, or `Unavailable` with nothing lost."""
        if len(self._queue) >= _QUEUE_MAX:
            raise Unavailable(retry_after=1)
        waiting = _Waiting(beat, now)
        self._queue.append(waiting)
        if self._committer is None:
            self._committer = asyncio.create_task(self._commit_all())
        return await waiting.answer

    async def _commit_all(self) -> None:
        try:
            while self._queue:
                await self._commit(self._next_batch())
        finally:
            self._committer = None

    def _next_batch(self) -> list[_Waiting]:
        batch: dict[tuple[object, object], _Waiting] = {}
        later: list[_Waiting] = []
        while self._queue and len(batch) < _BATCH_MAX:
            waiting = self._queue.popleft()
            if waiting.installation in batch:
                later.append(waiting)
            else:
                batch[waiting.installation] = waiting
        self._queue.extendleft(reversed(later))
        return list(batch.values())

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        """Store a batch; if a statement fails for one of it, store each alone, so that only that one fails."""
        try:
            answers = await self._store(batch)
        except Exception as error:
            if is_outage(error) or len(batch) == 1:
                _fail(batch, Unavailable() if is_outage(error) else error)
            else:
                for waiting in batch:
                    await self._commit([waiting])
            return
        for waiting, answer in zip(batch, answers, strict=True):
            _settle(waiting, answer)

    async def _store(self, batch: Sequence[_Waiting]) -> list[Answer | Refusal]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._sessions.begin() as db:
                    return await sites.take_in(db, self._desk, [(one.beat, one.now) for one in batch])
            except DBAPIError as error:
                deadlock = getattr(error.orig, "sqlstate", None) == _DEADLOCK
                if not deadlock or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")


def _settle(waiting: _Waiting, answer: Answer | Refusal) -> None:
    if waiting.answer.done():
        return
    if isinstance(answer, Refusal):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
