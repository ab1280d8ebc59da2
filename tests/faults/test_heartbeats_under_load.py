"""kill -9 while heartbeats pour in: what was acknowledged is there, once, and nobody is told two things."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from ops.embedded import Servers
from ops.embedded.child import Child
from ops.ground import Ground
from ops.stack import Stack, start_stack
from tests.support.crowd import Crowd, crowd
from tests.support.world import World

_MACHINES = 24
_REQUESTS = 1_500


@pytest.fixture
def stack(ground: Ground, world: World) -> Iterator[Stack]:
    with start_stack(ground) as running:
        yield running


async def _reached(people: Crowd, answered: int) -> None:
    async with asyncio.timeout(60):
        while people.answered < answered:  # noqa: ASYNC110 - the other side is a crowd
            await asyncio.sleep(0.005)


async def test_killing_the_api_under_load_loses_and_doubles_nothing(stack: Stack, world: World) -> None:
    people = await crowd(world, _MACHINES, [stack.url])
    living = asyncio.create_task(people.live(_REQUESTS))
    api: Child = stack.api
    for third in (1, 2):
        await _reached(people, third * _REQUESTS // 3)
        api.kill()
        api = await asyncio.to_thread(stack.start_api)
    await living
    assert people.broken
    await people.check(world)


async def test_killing_postgresql_under_load_loses_and_doubles_nothing(
    stack: Stack, world: World, servers: Servers, engine: AsyncEngine
) -> None:
    people = await crowd(world, _MACHINES, [stack.url])
    living = asyncio.create_task(people.live(_REQUESTS))
    for third in (1, 2):
        await _reached(people, third * _REQUESTS // 3)
        servers.postgres.kill()
        await asyncio.to_thread(servers.postgres.start)
    await living
    assert people.unavailable
    await engine.dispose()
    await people.check(world)
