"""The lifecycle over HTTP: what an MSP's program does to a key, and that a stranger's does not exist."""

from typing import Any

import httpx
import pytest

from services import ids
from tests.support.problems import problem
from tests.support.world import World


@pytest.fixture
async def ours(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {await world.token()}"}


async def made(client: httpx.AsyncClient, ours: dict[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = (await client.post("/v1/keys", json={"name": "Hotel Adria"}, headers=ours)).json()
    return said


async def test_a_key_is_suspended_resumed_rotated_snoozed_and_revoked(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    key = await made(client, ours)
    at = f"/v1/keys/{key['id']}"
    suspended = (await client.post(f"{at}/suspend", json={"reason": "invoice open"}, headers=ours)).json()
    assert (suspended["state"], suspended["reason"]) == ("suspended", "invoice open")
    assert (await client.post(f"{at}/resume", headers=ours)).json()["state"] == "issued"
    rotated = (await client.post(f"{at}/rotate", json={"replaces": key["code"][-5:]}, headers=ours)).json()
    assert rotated["code"] != key["code"]
    until = world.clock().replace(year=world.clock().year, microsecond=0)
    too_late = await client.post(f"{at}/snooze", json={"until": until.isoformat()}, headers=ours)
    problem(too_late, 422, "snoozed_too_long")
    revoked = (await client.post(f"{at}/revoke", json={"reason": "over"}, headers=ours)).json()
    assert revoked["state"] == "revoked"
    problem(await client.post(f"{at}/resume", headers=ours), 409, "key_revoked_for_good")
    problem(await client.post(f"{at}/release", headers=ours), 409, "nothing_to_release")


async def test_a_stranger_can_do_nothing_to_a_key(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    key = await made(client, ours)
    theirs = {"Authorization": f"Bearer {await world.token(await world.another_msp('Baltica'))}"}
    for act, body in (("suspend", {"reason": "x"}), ("resume", None), ("revoke", {"reason": "x"}), ("release", None)):
        answer = await client.post(f"/v1/keys/{key['id']}/{act}", json=body, headers=theirs)
        problem(answer, 404, "not_found")


async def test_a_site_is_offered_and_accepted(client: httpx.AsyncClient, world: World, ours: dict[str, str]) -> None:
    key = await made(client, ours)
    other = await world.another_msp("Baltica")
    theirs = {"Authorization": f"Bearer {await world.token(other)}"}
    to = {"to_msp": ids.show("msp", other.id)}
    offered = (await client.post(f"/v1/keys/{key['id']}/move", json=to, headers=ours)).json()
    [seen] = (await client.get("/v1/moves", headers=theirs)).json()["items"]
    assert seen["id"] == offered["id"]
    accepted = await client.post(f"/v1/moves/{offered['id']}/accept", headers=theirs)
    assert accepted.json()["effective_at"]
    problem(await client.delete(f"/v1/keys/{key['id']}/move", headers=ours), 409, "move_accepted")


async def test_a_site_shows_its_ladder_and_its_flags(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    machine = await world.running((1, 0, 0))
    site = (await client.get(f"/v1/sites/{ids.show('site', machine.site_id)}", headers=ours)).json()
    assert site["warn_at"] < site["final_at"] < site["disable_at"]
    assert (site["flags"], site["held"]) == ([], False)


async def test_a_key_shows_the_dated_ladder_of_its_silence_and_its_etag_outlives_a_heartbeat(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    assert (await made(client, ours))["silence"] is None
    machine = await world.running((1, 0, 0), "Officine Ferri")
    at = f"/v1/keys/{ids.show('key', (await world.key_of(machine)).id)}"
    read = await client.get(at, headers=ours)
    assert read.json()["silence"] == {
        "last_contact_at": "2026-03-10T09:00:00Z",
        "warn_at": "2026-03-11T09:00:00Z",
        "final_at": "2026-03-22T09:00:00Z",
        "disable_at": "2026-03-24T09:00:00Z",
    }
    snoozed = await client.post(f"{at}/snooze", json={"until": "2026-03-13T09:00:00Z"}, headers=ours)
    assert snoozed.json()["silence"]["warn_at"] == "2026-03-13T09:00:00Z"
    assert (await client.post(f"{at}/snooze", json={"until": None}, headers=ours)).status_code == 200
    await world.pass_time(hours=1)
    await world.beat(machine, (1, 0, 0))
    listed = (await client.get("/v1/keys", headers=ours)).json()["items"]
    assert [one["silence"] and one["silence"]["warn_at"] for one in listed] == [None, "2026-03-11T10:00:00Z"]
    headers = {**ours, "If-Match": read.headers["ETag"]}
    changed = await client.patch(at, json={"reference": "C-17"}, headers=headers)
    assert (changed.status_code, changed.json()["silence"]["warn_at"]) == (200, "2026-03-11T10:00:00Z")


async def test_a_time_has_its_offset(client: httpx.AsyncClient, ours: dict[str, str]) -> None:
    at = f"/v1/keys/{(await made(client, ours))['id']}"
    problem(
        await client.post(f"{at}/snooze", json={"until": "2026-03-11T09:00:00"}, headers=ours), 422, "request_invalid"
    )
