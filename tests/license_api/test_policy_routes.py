"""Policies over HTTP: who sets what at which level, within which bounds, and that each change can be read again."""

from typing import Any

import httpx
import pytest

from services import ids
from services.partners import PartnerKind
from tests.support.people import signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World

Headers = dict[str, str]


@pytest.fixture
async def msp(world: World) -> Headers:
    return await signed_in(world, PartnerKind.MSP)


@pytest.fixture
async def distributor(world: World) -> Headers:
    return await signed_in(world, PartnerKind.DISTRIBUTOR)


@pytest.fixture
async def vendor(world: World) -> Headers:
    return await signed_in(world, PartnerKind.VENDOR)


async def test_the_nearest_level_wins_and_each_value_says_where_it_comes_from(
    client: httpx.AsyncClient, world: World, msp: Headers, distributor: Headers, vendor: Headers
) -> None:
    key = (await client.post("/v1/keys", json={"name": "Hotel Adria"}, headers=msp)).json()
    of_key, of_msp = f"/v1/keys/{key['id']}/policy", f"/v1/msps/{ids.show('msp', world.msp.id)}/policy"
    of_distributor = f"/v1/distributors/{ids.show('distributor', world.distributor.id)}/policy"
    sent: list[tuple[str, dict[str, int], Headers]] = [
        ("/v1/policies/programme", {"disable_after_seconds": 1_000_000, "heartbeat_seconds": 600}, vendor),
        (of_distributor, {"disable_after_seconds": 900_000}, distributor),
        (of_msp, {"warn_after_seconds": 7200}, msp),
        (of_key, {"standalone_seats": 9}, msp),
    ]
    for url, body, headers in sent:
        assert (await client.put(url, json=body, headers=headers)).status_code == 200
    shown = (await client.get(of_key, headers=msp)).json()
    assert {knob for knob, value in shown["own"].items() if value is not None} == {"standalone_seats"}
    assert [shown["in_force"][knob] for knob in sorted(shown["came_from"])] == [21600, 900_000, 172_800, 600, 9, 7200]
    assert [shown["came_from"][knob] for knob in sorted(shown["came_from"])] == [
        "default",
        "distributor",
        "default",
        "programme",
        "key",
        "msp",
    ]
    back = await client.put(of_key, json={}, headers=msp)
    assert (back.json()["in_force"]["standalone_seats"], back.json()["own"]["standalone_seats"]) == (5, None)
    timeline = (await client.get(f"/v1/keys/{key['id']}/timeline", headers=msp)).json()["items"]
    assert [one["event"] for one in timeline] == ["issued", "policy_changed", "policy_changed"]
    log = (await client.get("/v1/audit-log", headers=vendor)).json()["items"]
    changed = [one for one in log if one["action"] == "policy.changed"]
    assert len(changed) == 5
    assert (changed[0]["before"], changed[0]["after"]) == ({"standalone_seats": 9}, {"standalone_seats": None})


async def test_an_msp_changes_when_to_warn_and_its_seats_and_nothing_else(
    client: httpx.AsyncClient, world: World, msp: Headers, distributor: Headers
) -> None:
    at = f"/v1/msps/{ids.show('msp', world.msp.id)}/policy"
    assert (await client.put(at, json={"disable_after_seconds": 900_000}, headers=distributor)).status_code == 200
    taken = await client.put(at, json={"warn_after_seconds": 7200}, headers=msp)  # leaves out what is not its own
    problem(taken, 422, "request_invalid")
    assert pointers(taken) == ["/disable_after_seconds"]
    kept = {"warn_after_seconds": 7200, "disable_after_seconds": 900_000}
    assert (await client.put(at, json=kept, headers=msp)).status_code == 200
    nowhere = await client.put(at, json={**kept, "close_grace_seconds": 60}, headers=distributor)
    problem(nowhere, 422, "request_invalid")


async def test_a_value_lies_within_the_bounds_that_the_vendor_sets(
    client: httpx.AsyncClient, world: World, msp: Headers, vendor: Headers
) -> None:
    at = f"/v1/msps/{ids.show('msp', world.msp.id)}/policy"
    refused = await client.put(at, json={"warn_after_seconds": 1}, headers=msp)
    problem(refused, 422, "policy_out_of_bounds")
    assert pointers(refused) == ["/warn_after_seconds"]
    bounds: dict[str, Any] = (await client.get("/v1/policies/bounds", headers=msp)).json()
    bounds["warn_after_seconds"] = {"least": 1, "most": 100_000}
    problem(await client.put("/v1/policies/bounds", json=bounds, headers=vendor), 422, "request_invalid")
    bounds["warn_after_seconds"] = {"least": 60, "most": 100_000}
    assert (await client.put("/v1/policies/bounds", json=bounds, headers=vendor)).json() == bounds
    assert (await client.put(at, json={"warn_after_seconds": 60}, headers=msp)).status_code == 200


async def test_who_has_read_an_older_version_is_refused(
    client: httpx.AsyncClient, world: World, msp: Headers, vendor: Headers
) -> None:
    at = f"/v1/msps/{ids.show('msp', world.msp.id)}/policy"
    read = (await client.get(at, headers=msp)).headers["ETag"]
    first = await client.put(at, json={"warn_after_seconds": 7200}, headers={**msp, "If-Match": read})
    assert first.status_code == 200
    second = await client.put(at, json={"warn_after_seconds": 3600}, headers={**msp, "If-Match": read})
    problem(second, 412, "changed_meanwhile")
    again = {**msp, "If-Match": first.headers["ETag"]}
    assert (await client.put(at, json={"warn_after_seconds": 3600}, headers=again)).status_code == 200
    bounds = await client.get("/v1/policies/bounds", headers=vendor)
    past = {**vendor, "If-Match": '"past"'}
    problem(await client.put("/v1/policies/bounds", json=bounds.json(), headers=past), 412, "changed_meanwhile")


async def test_a_dry_run_counts_and_names_the_caller_s_own_sites_and_sets_nothing(
    client: httpx.AsyncClient, world: World
) -> None:
    other = await world.another_msp("Baltica", await world.another_distributor("Nord"))
    await world.running((1, 0, 0), "silent")
    await world.running((1, 0, 0), "Foreign", other)
    await world.pass_time(days=8)
    await world.running((1, 0, 0), "heard")
    msp, vendor = await signed_in(world), await signed_in(world, PartnerKind.VENDOR)
    trial = {"level": "programme", "values": {"disable_after_seconds": 604_800}}
    ours = (await client.post("/v1/policies/dry-run", json=trial, headers=msp)).json()
    assert (ours["sites"], ours["disabled"], ours["warned"], ours["back"]) == (2, 1, 0, 0)
    assert [(one["name"], one["effect"], one["msp"]) for one in ours["items"]] == [
        ("silent", "disabled", "Adriatica IT")
    ]
    assert ours["items"][0]["disable_at"] < said_now(world)
    all_of_them = (await client.post("/v1/policies/dry-run", json=trial, headers=vendor)).json()
    assert (all_of_them["sites"], all_of_them["disabled"]) == (3, 2)
    of_msp = {**trial, "level": "msp", "id": ids.show("msp", other.id)}
    assert (await client.post("/v1/policies/dry-run", json=of_msp, headers=vendor)).json()["disabled"] == 1
    problem(await client.post("/v1/policies/dry-run", json=of_msp, headers=msp), 404, "not_found")
    beyond = {**trial, "values": {"disable_after_seconds": 1}}
    problem(await client.post("/v1/policies/dry-run", json=beyond, headers=msp), 422, "policy_out_of_bounds")
    programme = (await client.get("/v1/policies/programme", headers=msp)).json()
    assert programme["in_force"]["disable_after_seconds"] == 1_209_600


def said_now(world: World) -> str:
    return world.clock().isoformat().replace("+00:00", "Z")
