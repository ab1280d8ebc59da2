"""Commands over HTTP: given by the MSP, carried by the next heartbeat's answer, and their results read."""

from typing import Any

import httpx
import pytest

from services import ids
from services.partners import PartnerKind, Role
from tests.support.machine import Machine
from tests.support.people import signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World

ONE = (1, 0, 0)
HEARTBEATS = "/v1/heartbeats"


@pytest.fixture
async def machine(world: World) -> Machine:
    machine = await world.running(ONE)
    world.clock.advance(minutes=15)
    return machine


@pytest.fixture
async def ours(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {await world.token()}"}


def url(machine: Machine) -> str:
    return f"/v1/sites/{ids.show('site', machine.site_id)}/commands"


async def beat(client: httpx.AsyncClient, world: World, machine: Machine, **more: Any) -> dict[str, Any]:
    body = machine.body(world.clock(), ONE, **more)
    answer = await client.post(HEARTBEATS, json=body, headers=machine.headers)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    machine.learn(said)
    world.clock.advance(minutes=15)
    return said


async def test_a_command_goes_out_with_the_next_heartbeat_and_its_result_comes_back(
    client: httpx.AsyncClient, world: World, machine: Machine, ours: dict[str, str]
) -> None:
    await beat(client, world, machine)
    order = {"kind": "run_backup", "name": "Nightly"}
    made = await client.post(url(machine), json=order, headers=ours)
    assert (made.status_code, made.json()["state"]) == (201, "waiting")
    [offered] = (await beat(client, world, machine))["commands"]
    assert offered == {
        "id": made.json()["id"], "kind": "run_backup", "name": "Nightly", "expires_at": made.json()["expires_at"]
    }  # fmt: skip
    results = [{"command": offered["id"], "outcome": "failed", "text": "no such definition"}]
    said = await beat(client, world, machine, results=results)
    assert (said["commands"], said["notices"]) == ([], [])
    [shown] = (await client.get(url(machine), headers=ours)).json()["items"]
    assert (shown["state"], shown["text"]) == ("failed", "no such definition")
    told = (await client.get("/v1/events", headers=ours)).json()["items"]
    [event] = [one for one in told if one["kind"].startswith("command.")]
    assert (event["kind"], event["subject"]["command"]) == ("command.ended", offered["id"])


async def test_a_notice_names_the_result_that_was_ignored(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    said = await beat(client, world, machine, results=[{"command": "cmd_1", "outcome": "done"}])
    assert said["notices"] == [{"code": "command_unknown", "command": "cmd_1"}]


async def test_the_same_request_makes_one_command(
    client: httpx.AsyncClient, machine: Machine, ours: dict[str, str]
) -> None:
    order = {"kind": "send_inventory", "lasts_seconds": 3600}
    keyed = {**ours, "Idempotency-Key": "a"}
    made = [(await client.post(url(machine), json=order, headers=h)).json()["id"] for h in (keyed, keyed, ours)]
    assert len(set(made)) == 1


async def test_a_command_is_cancelled_while_it_waits(
    client: httpx.AsyncClient, world: World, machine: Machine, ours: dict[str, str]
) -> None:
    first = (await client.post(url(machine), json={"kind": "send_inventory"}, headers=ours)).json()
    cancelled = await client.delete(f"{url(machine)}/{first['id']}", headers=ours)
    assert cancelled.json()["state"] == "cancelled"
    second = (await client.post(url(machine), json={"kind": "send_inventory"}, headers=ours)).json()
    [offered] = (await beat(client, world, machine))["commands"]
    assert offered["id"] == second["id"]
    problem(await client.delete(f"{url(machine)}/{second['id']}", headers=ours), 409, "command_sent")
    pages = await client.get(f"{url(machine)}?limit=1", headers=ours)
    assert [item["id"] for item in pages.json()["items"]] == [second["id"]]
    following = await client.get(pages.headers["link"].split(">")[0][1:], headers=ours)
    assert [item["id"] for item in following.json()["items"]] == [first["id"]]


async def test_what_is_on_no_list_is_422(client: httpx.AsyncClient, machine: Machine, ours: dict[str, str]) -> None:
    for order, pointer in (
        ({"kind": "delete_everything"}, "/kind"),
        ({"kind": "run_backup"}, "/name"),
        ({"kind": "send_inventory", "lasts_seconds": 10**9}, "/lasts_seconds"),
        ({"kind": "rename", "name": "a\u0000"}, "/name"),
    ):
        answer = await client.post(url(machine), json=order, headers=ours)
        problem(answer, 422, "request_invalid")
        assert pointer in pointers(answer)


async def test_a_site_without_an_installation_takes_no_commands(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    issued = await world.key()
    bare = Machine(issued.code, site_id=issued.key.site_id)
    problem(await client.post(url(bare), json={"kind": "send_inventory"}, headers=ours), 409, "no_installation")


async def test_changing_the_credential_is_for_an_admin_who_has_just_signed_in(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    order = {"kind": "rotate_credential"}
    member = await signed_in(world, PartnerKind.MSP, role=Role.MEMBER)
    problem(await client.post(url(machine), json=order, headers=member), 403, "right_missing")
    admin = await signed_in(world, PartnerKind.MSP, role=Role.ADMIN)
    assert (await client.post(url(machine), json=order, headers=admin)).status_code == 201
    world.clock.advance(minutes=11)
    problem(await client.post(url(machine), json=order, headers=admin), 403, "fresh_sign_in_needed")
