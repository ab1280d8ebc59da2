"""The one connection of a process on which idle heartbeats are committed: asyncpg's own, kept open, made anew if lost.

Everything else goes through SQLAlchemy; here its share was a third of the time (docs/performance.md).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from asyncpg import DeadlockDetectedError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from license_api.problems import is_outage
from services import sites

T = TypeVar("T")
_ATTEMPTS = 3
_SECONDS_MAX = 10


class IdleConnection:
    """Runs statements one after another, each its own transaction. Not for two tasks at once."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Take one connection of an engine, when first needed, and keep it."""
        self._engine = engine
        self._kept: AsyncConnection | None = None
        self._raw: Any = None

    async def run(self, statement: Callable[[Any], Awaitable[T]]) -> T:
        """Run a statement on the connection; again after a deadlock. A connection that fails is replaced next time."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with asyncio.timeout(_SECONDS_MAX):
                    return await statement(await self._driver())
            except DeadlockDetectedError:
                if attempt == _ATTEMPTS:
                    raise
            except Exception as error:
                if is_outage(error):
                    await self.close()
                raise
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Let the connection go."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.invalidate()
            await kept.close()

    async def _driver(self) -> Any:
        if self._kept is None:
            self._kept = await self._engine.connect()
            self._raw = (await self._kept.get_raw_connection()).driver_connection
            await self._raw.execute(sites.PREPARE)
        return self._raw
