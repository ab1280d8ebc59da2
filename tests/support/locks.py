"""Locks, as the database shows them: how a test knows that another transaction has come so far."""

import asyncio

from sqlalchemy import text

from services.db import Sessions

_WAITING = text("select count(*) from pg_locks where not granted")


async def somebody_waits_for_a_lock(sessions: Sessions) -> None:
    """Return as soon as a transaction waits for another; fail if none ever does."""
    async with sessions() as db, asyncio.timeout(10):
        while not await db.scalar(_WAITING):  # noqa: ASYNC110 - the other side is a database
            await asyncio.sleep(0.002)
