"""Locks, as the database shows them: how a test knows that another transaction has come so far."""

import asyncio

from sqlalchemy import text

from services.db import Sessions

_WAITING = text("select count(*) from pg_locks where not granted")


async def somebody_waits_for_a_lock(sessions: Sessions, so_many: int = 1) -> None:
    """Return as soon as a transaction waits for another, or so many do; fail if they never do."""
    async with sessions() as db, asyncio.timeout(10):
        while (await db.scalar(_WAITING) or 0) < so_many:  # noqa: ASYNC110 - the other side is a database
            await asyncio.sleep(0.002)
