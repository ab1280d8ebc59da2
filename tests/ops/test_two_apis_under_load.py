"""Two API processes on one database, heartbeats of every kind at both: no deadlock, none lost, none counted twice.

HEARTBEATS=100000 in the environment makes it long.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from ops.embedded.child import spawn
from ops.ground import Ground
from ops.stack import environment
from tests.support.crowd import crowd
from tests.support.world import World

_HEARTBEATS = int(os.environ.get("HEARTBEATS", "3000"))  # noqa: TID251 - of this test alone
_DEADLOCKS = text("select deadlocks from pg_stat_database where datname = current_database()")


@pytest.fixture
async def urls(ground: Ground, world: World, tmp_path: Path) -> AsyncIterator[list[str]]:
    """Two API processes that answer."""
    children, found = [], []
    for name in ("one", "two"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        settings = ground.settings.model_copy(update={"host": "127.0.0.1", "port": port})
        argv = [sys.executable, "-m", "ops.cli", "api"]
        children.append(spawn(argv, env=environment(settings), log=tmp_path / name))
        found.append(f"http://127.0.0.1:{port}")
    async with httpx.AsyncClient() as http:
        for url in found:
            await _answers(http, url)
    yield found
    for child in children:
        await asyncio.to_thread(child.terminate, 10)


async def _answers(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if (await http.get(f"{url}/readyz")).is_success:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


async def test_mixed_heartbeats_at_two_processes_do_not_deadlock_and_are_counted_once(
    urls: list[str], world: World
) -> None:
    people = await crowd(world, 32, urls)
    async with world.sessions() as db:
        before = await db.scalar(_DEADLOCKS)
    await people.live(_HEARTBEATS)
    assert people.answered >= _HEARTBEATS
    async with world.sessions() as db:
        assert await db.scalar(_DEADLOCKS) == before
    await people.check(world)
