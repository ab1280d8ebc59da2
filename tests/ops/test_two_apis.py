"""Two API processes on one database: what reaches both at once is counted once and answered alike, and none deadlocks.

HEARTBEATS=100000 in the environment makes it long.
"""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ops.embedded.child import spawn
from ops.ground import Ground
from ops.stack import environment, start_stack, wait_until_ready
from tests.support.crowd import crowd
from tests.support.world import World

_MACHINES = 24
_HEARTBEATS = int(os.environ.get("HEARTBEATS", "1000"))  # noqa: TID251 - of this test alone
_DEADLOCKS = text("select deadlocks from pg_stat_database where datname = current_database()")


@pytest.fixture
def urls(ground: Ground, world: World, tmp_path: Path) -> Iterator[list[str]]:
    """Two API processes that answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = ground.settings.model_copy(update={"host": "127.0.0.1", "port": port})
    log, url = tmp_path / "api.log", f"http://127.0.0.1:{port}"
    other = spawn([sys.executable, "-m", "ops.cli", "api"], env=environment(settings), log=log)
    try:
        with start_stack(ground) as stack:
            wait_until_ready(url, other, log)
            yield [stack.url, url]
    finally:
        other.terminate(10)


async def test_heartbeats_at_two_processes_do_not_deadlock_and_are_counted_once_and_answered_alike(
    urls: list[str], world: World
) -> None:
    async with crowd(world, _MACHINES, urls) as people:
        async with world.sessions() as db:
            before = await db.scalar(_DEADLOCKS)
        await people.live(_HEARTBEATS)
        async with world.sessions() as db:
            assert await db.scalar(_DEADLOCKS) == before
        await people.check(world)
