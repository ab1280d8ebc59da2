"""The database goes away under the running API: 503 with Retry-After, and nothing is lost or counted twice."""

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from ops.embedded import Servers
from services.usage.tables import UsageEntry
from tests.support.machine import Machine
from tests.support.problems import problem
from tests.support.world import World

UNKNOWN = "00000-00000-00000-0000V-V6KVH"


async def test_a_killed_database_is_503_with_retry_after_and_the_repeat_is_answered_after_its_return(
    client: httpx.AsyncClient, world: World, servers: Servers, engine: AsyncEngine
) -> None:
    machine = await world.running((1, 0, 0))
    acknowledged = machine.body(world.clock.advance(minutes=15), (2, 0, 0))
    first = await client.post("/v1/heartbeats", json=acknowledged, headers=machine.headers)
    servers.postgres.kill()
    token = {"Authorization": "Bearer tdm_" + "x" * 43}
    for answer in (
        await client.post("/v1/heartbeats", json=acknowledged, headers=machine.headers),
        await client.post("/v1/activations", json=Machine(UNKNOWN).activation_body()),
        await client.get("/v1/keys", headers=token),
        await client.get("/readyz"),
    ):
        problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) > 0
    assert (await client.get("/healthz")).status_code == 200
    servers.postgres.start()
    repeat = await client.post("/v1/heartbeats", json=acknowledged, headers=machine.headers)
    assert repeat.status_code == 200, repeat.text
    assert (repeat.json()["echo"], repeat.json()["receipt"]) == (first.json()["echo"], first.json()["receipt"])
    assert (await client.get("/readyz")).status_code == 200
    await engine.dispose()  # of the test's own connections; the API has found out by itself
    machine.learn(repeat.json())
    body = machine.body(world.clock.advance(minutes=15), (3, 0, 0))
    assert (await client.post("/v1/heartbeats", json=body, headers=machine.headers)).json()["through"] == 3
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(UsageEntry)) == 3


async def test_without_valkey_sites_are_answered_and_guessing_is_still_slowed(
    client: httpx.AsyncClient, world: World, servers: Servers
) -> None:
    machine = await world.activated()
    servers.valkey.kill()
    body = machine.body(world.clock(), (1, 0, 0))
    assert (await client.post("/v1/heartbeats", json=body, headers=machine.headers)).status_code == 200
    assert (await client.get("/readyz")).status_code == 200
    guess = Machine(UNKNOWN).activation_body()
    for _ in range(10):
        problem(await client.post("/v1/activations", json=guess), 404, "key_unknown")
    problem(await client.post("/v1/activations", json=guess), 429, "too_many_attempts")
    assert (await client.post("/v1/activations", json=machine.activation_body())).status_code == 200
