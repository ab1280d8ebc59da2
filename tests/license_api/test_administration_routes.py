"""Refused activations and backups over HTTP."""

from typing import Any

import httpx
import pytest

from services import ids
from tests.support.machine import Machine
from tests.support.problems import pointers, problem
from tests.support.world import World

TEN = (10, 0, 0)


@pytest.fixture
async def ours(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {await world.token()}"}


async def items(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> list[Any]:
    answer = await client.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["items"]
    return found


async def test_a_refused_activation_is_answered_409_and_kept_and_let_in_with_one_request(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    bound = await world.running(TEN)
    machine = Machine(bound.license_key, hostname="backup02")
    for _ in range(2):
        answer = await client.post("/v1/activations", json=machine.activation_body())
        problem(answer, 409, "key_already_bound")
        assert pointers(answer) == ["/license_key"]
    [one] = await items(client, "/v1/refused-activations", ours)
    assert (one["attempts"], one["holder"], one["site"]) == (2, "backup01", "Hotel Adria")
    assert one["address"].startswith("10.0.")
    allow = f"/v1/sites/{one['site_id']}/refused-activations/{one['id']}/allow"
    held = [(await client.post(allow, headers=ours)).json()["held_until_at"] for _ in range(2)]
    assert held == ["2026-03-17T09:00:00Z"] * 2
    assert await items(client, "/v1/refused-activations", ours) == []
    assert (await client.post("/v1/activations", json=machine.activation_body())).status_code == 201


async def test_a_refusal_is_dismissed_and_a_stranger_s_does_not_exist(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    bound = await world.running(TEN)
    await client.post("/v1/activations", json=Machine(bound.license_key).activation_body())
    [one] = await items(client, "/v1/refused-activations", ours)
    at = f"/v1/sites/{one['site_id']}/refused-activations/{one['id']}"
    theirs = {"Authorization": f"Bearer {await world.token(await world.another_msp('Baltica'))}"}
    assert await items(client, "/v1/refused-activations", theirs) == []
    problem(await client.delete(at, headers=theirs), 404, "not_found")
    problem(await client.post(f"{at}/allow", headers=theirs), 404, "not_found")
    assert (await client.delete(at, headers=ours)).status_code == 204
    problem(await client.post(f"{at}/allow", headers=ours), 404, "not_found")


async def test_the_page_of_a_site_hints_at_the_known_machine(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    await world.running(TEN)
    machine = await world.running(TEN, "Hotel Adria new")
    hints = (await client.get(f"/v1/sites/{ids.show('site', machine.site_id)}/hints", headers=ours)).json()
    assert [one["name"] for one in hints["namesakes"]] == ["Hotel Adria"]


async def test_backups_that_failed_are_listed_in_pages_the_worst_first(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    machines = [await world.running(TEN, name) for name in ("a", "b", "c")]
    for machine, backups in zip(machines, ((9, 1, 0, 0), (9, 0, 1, 0), (10, 0, 0, 0)), strict=True):
        told = dict(zip(("ok", "warning", "failed", "overdue"), backups, strict=True))
        await world.beat(machine, TEN, backups=told)
    page = await client.get("/v1/backups/troubles?limit=1", headers=ours)
    assert [one["name"] for one in page.json()["items"]] == ["b"]
    following = await items(client, page.headers["link"].split(">")[0][1:], ours)
    assert [(one["name"], one["backups"]["warning"]) for one in following] == [("a", 1)]
    [own] = await items(client, f"/v1/sites/{ids.show('site', machines[1].site_id)}/backups", ours)
    assert own["failed_since_at"] == "2026-03-10T09:00:00Z"


@pytest.mark.parametrize("after", ["x", "0.1.site_1", "3.1.site_00000000000000000000000000", "0." + "9" * 60])
async def test_a_page_that_begins_nowhere_is_422(client: httpx.AsyncClient, ours: dict[str, str], after: str) -> None:
    answer = await client.get(f"/v1/backups/troubles?after={after}", headers=ours)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == ["/query/after"]
