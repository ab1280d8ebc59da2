"""An MSP is suspended and resumed over HTTP by those above it, with all its keys."""

import asyncio

import httpx
import pytest
from sqlalchemy import update

from services import ids, keys, partners
from services.keys import KeyState
from services.partners import PartnerKind
from services.partners.tables import MspTenure
from services.sites import orders
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.people import Headers, signed_in
from tests.support.problems import problem
from tests.support.world import World


async def kinds_of(client: httpx.AsyncClient, headers: Headers, word: str) -> list[str]:
    items = (await client.get("/v1/events?limit=200", headers=headers)).json()["items"]
    return [one["kind"] for one in items if word in one["kind"]]


@pytest.mark.parametrize("kind", [PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR])
async def test_those_above_suspend_an_msp_with_its_keys_once_and_resume_it(
    client: httpx.AsyncClient, world: World, kind: PartnerKind
) -> None:
    machine = await world.running((1, 0, 0))
    above, msp = await signed_in(world, kind), await signed_in(world)
    at = f"/v1/msps/{ids.show('msp', world.msp.id)}"
    problem(await client.post(f"{at}/suspend", json={"reason": ""}, headers=above), 422, "request_invalid")
    for _ in range(2):
        said = (await client.post(f"{at}/suspend", json={"reason": "unpaid"}, headers=above)).json()
        assert (said["suspended_at"], said["suspended_reason"]) == ("2026-03-10T09:00:00Z", "unpaid")
    assert (await client.get(at, headers=msp)).json() == said
    answer = await world.beat(machine, (1, 0, 0))
    assert (answer.state, answer.reason) == (KeyState.SUSPENDED, "unpaid")
    problem(await client.post("/v1/keys", json={"name": "new"}, headers=msp), 403, "msp_suspended")
    once = {**above, "Idempotency-Key": "resumed"}
    first = await client.post(f"{at}/resume", headers=once)
    again = await client.post(f"{at}/resume", headers=once)
    assert (first.json()["suspended_at"], again.headers["Idempotency-Replayed"]) == (None, "true")
    assert (await world.beat(machine, (1, 0, 0))).state is KeyState.ACTIVE
    assert await kinds_of(client, msp, "msp") == [
        "msp.suspended", "key.msp_suspended", "msp.resumed", "key.msp_resumed"
    ]  # fmt: skip
    log = (await client.get(f"/v1/audit-log?subject={at.rpartition('/')[2]}", headers=msp)).json()["items"]
    assert [(line["action"], line["after"]) for line in log] == [
        ("msp.resumed", None),
        ("msp.suspended", {"reason": "unpaid"}),
    ]


async def test_a_distributor_is_told_and_what_it_had_it_changes_no_more(
    client: httpx.AsyncClient, world: World
) -> None:
    distributor, vendor = await signed_in(world, PartnerKind.DISTRIBUTOR), await signed_in(world, PartnerKind.VENDOR)
    at = f"/v1/msps/{ids.show('msp', world.msp.id)}"
    await client.post(f"{at}/suspend", json={"reason": "unpaid"}, headers=vendor)
    assert await kinds_of(client, distributor, "msp") == ["msp.suspended"]
    world.clock.advance(minutes=1)
    async with world.sessions.begin() as db:
        await db.execute(update(MspTenure).values(until_at=world.clock()))
        north = await partners.add_distributor(db, name="Nord", zone="Europe/Rome", now=world.clock())
        tenure = {"msp_id": world.msp.id, "distributor_id": north.id, "from_at": world.clock(), "until_at": None}
        db.add(MspTenure(**tenure))
    assert (await client.get(at, headers=distributor)).status_code == 200
    problem(await client.post(f"{at}/resume", headers=distributor), 404, "not_found")
    problem(await client.patch(at, json={"address": "Via Roma 1"}, headers=distributor), 404, "not_found")
    assert (await client.post(f"{at}/resume", headers=vendor)).status_code == 200


async def test_a_key_that_is_made_while_its_msp_is_suspended_is_suspended_too(world: World) -> None:
    async with world.sessions.begin() as db:
        issued = await keys.create(
            db, world.desk.vault, msp_id=world.msp.id, name="new", actor="test", now=world.clock()
        )

        async def suspend() -> int:
            async with world.sessions.begin() as other:
                return await orders.suspend_msp(other, world.msp.id, reason="x", actor="test", now=world.clock())

        suspending = asyncio.create_task(suspend())
        await somebody_waits_for_a_lock(world.sessions)
    assert await suspending == 1
    async with world.sessions() as db:
        key = await keys.of_site_for_update(db, issued.key.site_id)
        assert key.state is KeyState.SUSPENDED
