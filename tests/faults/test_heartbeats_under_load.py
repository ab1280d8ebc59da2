"""kill -9 while heartbeats pour in: what was acknowledged is there, once, and nobody is told two things.

`make soak` does the like at random and for longer.
"""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from ops.embedded import Servers
from ops.ground import Ground
from ops.stack import start_stack
from tests.support.crowd import Crowd, crowd
from tests.support.world import World

_MACHINES = 12
_REQUESTS = 600


async def _reached(people: Crowd, answered: int) -> None:
    async with asyncio.timeout(60):
        while people.met.answered < answered:  # noqa: ASYNC110 - the other side is a crowd
            await asyncio.sleep(0.005)


async def test_killing_api_and_database_under_load_loses_and_doubles_nothing(
    ground: Ground, world: World, servers: Servers, engine: AsyncEngine
) -> None:
    with start_stack(ground) as stack:
        async with crowd(world, _MACHINES, [stack.url]) as people:
            living = asyncio.create_task(people.live(_REQUESTS))
            await _reached(people, _REQUESTS // 3)
            stack.api.kill()
            await asyncio.to_thread(stack.start_api)
            await _reached(people, 2 * _REQUESTS // 3)
            servers.postgres.kill()
            await asyncio.to_thread(servers.postgres.start)
            await living
            assert people.met.broken
            assert people.met.unavailable
            await engine.dispose()
            await people.check(world)
