"""Flags over HTTP: the two machines of a clone with addresses, hostnames and times; and who takes a flag down."""

from typing import Any

import httpx
from fastapi import FastAPI

from services import ids
from services.partners import PartnerKind, Role
from tests.support.machine import Machine
from tests.support.people import signed_in
from tests.support.problems import problem
from tests.support.world import World


async def test_a_clone_is_shown_with_both_addresses_hostnames_and_times(
    client: httpx.AsyncClient, app: FastAPI, world: World
) -> None:
    code = (await world.key()).code
    machine = Machine(code)
    machine.learn((await client.post("/v1/activations", json=machine.activation_body())).json())
    await _beat(client, world, machine, 1)
    image = machine.image()
    await _beat(client, world, machine, 2)
    transport = httpx.ASGITransport(app, client=("192.0.2.77", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://tidemark.test") as elsewhere:
        await _beat(elsewhere, world, image, 3, resume=True, hostname="backup02")
    url = f"/v1/sites/{ids.show('site', machine.site_id)}/flags"
    ours = await signed_in(world)
    restored = (await client.get(url, headers=ours)).json()
    assert (restored["items"], len(restored["machines"])) == ([], 2)
    await _beat(client, world, machine, 2, hostname="backup01")
    shown = (await client.get(url, headers=ours)).json()
    assert [(one["flag"], one["until_at"]) for one in shown["items"]] == [("clone_suspected", None)]
    first, second = shown["machines"]
    assert (first["hostname"], second["hostname"], second["address"]) == ("backup01", "backup02", "192.0.2.77")
    assert first["address"].startswith("10.0.")
    assert second["first_contact_at"] == "2026-03-10T09:45:00Z"
    assert "192.0.2.77" not in shown["items"][0]["detail"]  # it would not be erased there
    down = f"{url}/clone_suspected/dismissal"
    viewer = await signed_in(world, role=Role.VIEWER)
    problem(await client.post(down, json={"reason": "x"}, headers=viewer), 403, "right_missing")
    taken = await client.post(down, json={"reason": "the test machine is off"}, headers=ours)
    assert taken.json()["until_at"] == "2026-03-10T10:00:00Z"
    log = (await client.get("/v1/audit-log", headers=ours)).json()["items"]
    assert [one["after"]["reason"] for one in log if one["action"] == "site.flag_taken_down"] == [
        "the test machine is off"
    ]
    other = await signed_in(world, PartnerKind.MSP, (await world.another_msp("Baltica")).id)
    problem(await client.get(url, headers=other), 404, "not_found")
    unknown = await client.post(f"{url}/odd/dismissal", json={"reason": "x"}, headers=ours)
    problem(unknown, 422, "request_invalid")


async def _beat(client: httpx.AsyncClient, world: World, machine: Machine, servers: int, **more: Any) -> None:
    await world.pass_time(minutes=15)
    body = machine.body(world.clock(), (servers, 0, 0), **more)
    answer = await client.post("/v1/heartbeats", json=body, headers=machine.headers)
    assert answer.status_code == 200, answer.text
    machine.learn(answer.json())
