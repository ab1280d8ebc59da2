"""A request is committed before it is answered: if the commit fails the caller never sees success."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services.keys import Key
from services.sites.tables import Installation
from services.usage.tables import UsageEntry
from tests.support.machine import Machine
from tests.support.problems import problem
from tests.support.world import World

# PostgreSQL itself refuses at COMMIT, and not before, as it does when its disk is full.
_REFUSE = """
create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'no space' using errcode = 'disk_full'; end $$;
create constraint trigger refuse after insert on key_events deferrable initially deferred
    for each row execute function refuse();
create constraint trigger refuse after insert on usage_entries deferrable initially deferred
    for each row execute function refuse();
"""
_RELENT = "drop function refuse() cascade"


@asynccontextmanager
async def refusing(owner: AsyncEngine, why: str = "disk_full") -> AsyncIterator[None]:
    await _run(owner, _REFUSE.replace("disk_full", why))
    try:
        yield
    finally:
        await _run(owner, _RELENT)


async def _run(owner: AsyncEngine, script: str) -> None:
    async with owner.begin() as connection:
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(script)


async def _count(world: World, table: type) -> int:
    async with world.sessions() as db:
        return int(await db.scalar(select(func.count()).select_from(table)) or 0)


async def test_a_key_that_cannot_be_committed_is_not_answered_201(
    client: httpx.AsyncClient, world: World, owner: AsyncEngine
) -> None:
    headers = {"Authorization": f"Bearer {await world.token()}"}
    async with refusing(owner):
        answer = await client.post("/v1/keys", json={"name": "Hotel Adria"}, headers=headers)
    problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert await _count(world, Key) == 0
    again = await client.post("/v1/keys", json={"name": "Hotel Adria"}, headers=headers)
    assert again.status_code == 201


async def test_an_activation_that_cannot_be_committed_is_not_answered_201(
    client: httpx.AsyncClient, world: World, owner: AsyncEngine
) -> None:
    machine = Machine((await world.key()).code)
    async with refusing(owner):
        answer = await client.post("/v1/activations", json=machine.activation_body())
    problem(answer, 503, "unavailable")
    assert await _count(world, Installation) == 0
    assert (await client.post("/v1/activations", json=machine.activation_body())).status_code == 201


async def test_a_heartbeat_that_cannot_be_committed_is_not_answered_200(
    client: httpx.AsyncClient, world: World, owner: AsyncEngine
) -> None:
    machine = await world.activated()
    body = machine.body(world.clock(), (1, 0, 0))
    async with refusing(owner):
        answer = await client.post("/v1/heartbeats", json=body, headers=machine.headers)
    problem(answer, 503, "unavailable")
    assert await _count(world, UsageEntry) == 0
    again = await client.post("/v1/heartbeats", json=body, headers=machine.headers)
    assert (again.status_code, again.json()["through"]) == (200, 1)


async def test_a_commit_that_fails_is_503_to_exactly_those_in_it(
    client: httpx.AsyncClient, world: World, owner: AsyncEngine
) -> None:
    idle, one, two = [await world.running((1, 0, 0), name) for name in ("idle", "one", "two")]
    now = world.clock.advance(minutes=15)
    bodies = [(idle, idle.body(now, (1, 0, 0))), (one, one.body(now, (2, 0, 0))), (two, two.body(now, (3, 0, 0)))]

    async def send() -> list[int]:
        sending = [client.post("/v1/heartbeats", json=body, headers=machine.headers) for machine, body in bodies]
        return [answer.status_code for answer in await asyncio.gather(*sending)]

    async with refusing(owner):
        assert await send() == [200, 503, 503]
    assert await _count(world, UsageEntry) == 3
    assert await send() == [200, 200, 200]  # the first is a repeat
    assert await _count(world, UsageEntry) == 5


async def test_what_a_deadlock_ended_is_503_for_it_can_be_sent_again(
    client: httpx.AsyncClient, world: World, owner: AsyncEngine
) -> None:
    machine = await world.activated()
    headers = {"Authorization": f"Bearer {await world.token()}"}
    body = machine.body(world.clock(), (1, 0, 0))
    async with refusing(owner, "deadlock_detected"):
        answer = await client.post("/v1/keys", json={"name": "new"}, headers=headers)
        heard = await client.post("/v1/heartbeats", json=body, headers=machine.headers)
    for one in (answer, heard):
        problem(one, 503, "unavailable")
        assert int(one.headers["retry-after"]) > 0
    assert (await client.post("/v1/heartbeats", json=body, headers=machine.headers)).status_code == 200


async def test_a_failure_of_our_own_is_500_says_nothing_of_it_and_leaves_nothing(
    client: httpx.AsyncClient, world: World, owner: AsyncEngine
) -> None:
    headers = {"Authorization": f"Bearer {await world.token()}"}
    await _run(owner, "alter table key_events rename to elsewhere")
    try:
        answer = await client.post("/v1/keys", json={"name": "Hotel Adria"}, headers=headers)
    finally:
        await _run(owner, "alter table elsewhere rename to key_events")
    problem(answer, 500, "internal_error")
    assert "key_events" not in answer.text
    assert await _count(world, Key) == 0
