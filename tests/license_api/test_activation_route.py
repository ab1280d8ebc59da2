"""`POST /v1/activations` through the app: every code, bad input, guessing, and the race for one key."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jws
from joserfc.jwk import OKPKey
from sqlalchemy import func, select, update

from license_api.attempts import Attempts
from ops.ground import Ground
from services import ids, sites
from services.partners import Msp
from services.sites.tables import Installation
from services.usage import Line, first_receipt
from tests.support.machine import Machine
from tests.support.problems import pointers, problem
from tests.support.world import World

URL = "/v1/activations"
UNKNOWN = "00000-00000-00000-0000V-V6KVH"


async def installations(world: World) -> int:
    async with world.sessions() as db:
        lines = await db.scalar(select(func.count()).select_from(Line))
        return int(await db.scalar(select(func.count()).select_from(Installation)) or 0) + (lines or 0)


async def test_an_activation_is_answered_201_with_all_that_the_protocol_names(
    client: httpx.AsyncClient, world: World
) -> None:
    issued = await world.key()
    machine = Machine(issued.code)
    answer = await client.post(URL, json=machine.activation_body(timezone="Europe/Rome", name="Adria"))
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["site_id"], said["key_id"]) == (ids.show("site", issued.key.site_id), ids.show("key", issued.key.id))
    assert (said["state"], said["through"], said["server_time"]) == ("active", 0, "2026-03-10T09:00:00Z")
    assert said["receipt"] == first_receipt(str(machine.installation_id)).hex()
    assert said["policy"] == {
        "heartbeat_seconds": 900,
        "warn_after_seconds": 86_400,
        "disable_after_seconds": 1_209_600,
    }
    machine.learn(said)
    first = await client.post("/v1/heartbeats", json=machine.body(world.clock(), (1, 0, 0)), headers=machine.headers)
    assert (first.status_code, first.json()["sequence"], first.json()["through"]) == (200, 1, 1)


async def test_a_lease_can_be_checked_with_the_published_keys(client: httpx.AsyncClient, world: World) -> None:
    said = (await client.post(URL, json=Machine((await world.key()).code).activation_body())).json()
    published = await client.get("/.well-known/jwks.json")
    assert published.headers["cache-control"] == "public, max-age=3600"
    [key] = published.json()["keys"]
    opened = jws.deserialize_compact(said["lease"], OKPKey.import_key(key), algorithms=["Ed25519"])
    assert opened.headers()["kid"] == key["kid"]
    assert json.loads(opened.payload)["sub"] == said["installation_id"]


async def test_the_published_keys_are_cached_and_asked_for_by_their_etag_until_they_rotate(
    client: httpx.AsyncClient, world: World
) -> None:
    url = "/.well-known/jwks.json"
    first = await client.get(url)
    assert first.headers["cache-control"] == "public, max-age=3600"
    known = {"If-None-Match": first.headers["etag"]}
    again = await client.get(url, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["cache-control"]) == (
        first.headers["etag"],
        first.headers["cache-control"],
    )
    async with world.sessions.begin() as db:
        await sites.rotate_signing_key(db, world.desk.vault, world.clock())
    rotated = await client.get(url, headers=known)
    assert (rotated.status_code, len(rotated.json()["keys"])) == (200, 2)


async def test_a_repeat_is_200_and_has_no_echo_after_the_first_heartbeat(
    client: httpx.AsyncClient, world: World
) -> None:
    machine = await world.activated()
    again = await client.post(URL, json=machine.activation_body())
    assert (again.status_code, again.json()["echo"]) == (200, machine.echo)
    await world.beat(machine, (1, 0, 0))
    later = await client.post(URL, json=machine.activation_body())
    assert later.status_code == 200
    assert "echo" not in later.json()
    assert (later.json()["through"], later.json()["receipt"]) == (1, machine.receipt)


async def test_another_installation_on_a_bound_key_is_409(client: httpx.AsyncClient, world: World) -> None:
    machine = await world.activated()
    answer = await client.post(URL, json=Machine(machine.license_key).activation_body())
    problem(answer, 409, "key_already_bound")


async def test_the_same_installation_with_another_credential_is_409(client: httpx.AsyncClient, world: World) -> None:
    machine = await world.activated()
    body = machine.activation_body(credential_sha256="0" * 64)
    problem(await client.post(URL, json=body), 409, "credential_mismatch")


async def test_an_unknown_key_is_404_a_mistyped_one_422_an_old_version_422(
    client: httpx.AsyncClient, world: World
) -> None:
    code = (await world.key()).code
    problem(await client.post(URL, json=Machine(UNKNOWN).activation_body()), 404, "key_unknown")
    problem(await client.post(URL, json=Machine(UNKNOWN[:-1] + "J").activation_body()), 422, "key_malformed")
    answer = await client.post(URL, json=Machine(code, version="6.5").activation_body())
    problem(answer, 422, "version_unsupported")
    assert pointers(answer) == ["/version"]
    assert await installations(world) == 0


@pytest.mark.parametrize(
    ("instants", "code"), [(["suspended_at"], "key_suspended"), (["suspended_at", "revoked_at"], "key_revoked")]
)
async def test_a_suspended_or_revoked_key_is_403(
    client: httpx.AsyncClient, world: World, instants: list[str], code: str
) -> None:
    issued = await world.key()
    machine = Machine(issued.code, site_id=issued.key.site_id)
    await world.mark_key(machine, **dict.fromkeys(instants, world.clock()))
    problem(await client.post(URL, json=machine.activation_body()), 403, code)


async def test_a_key_of_an_msp_that_is_not_approved_is_403(client: httpx.AsyncClient, world: World) -> None:
    code = (await world.key()).code
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(approved_at=None))
    problem(await client.post(URL, json=Machine(code).activation_body()), 403, "msp_not_approved")


async def test_a_standalone_beyond_the_seats_is_409(client: httpx.AsyncClient, world: World) -> None:
    await world.policy(standalone_seats=1)
    code = (await world.key()).code
    answers = [await client.post(URL, json=Machine(code).activation_body(product="server_plus")) for _ in range(2)]
    assert answers[0].status_code == 201
    problem(answers[1], 409, "seats_exhausted")


async def test_an_installation_that_holds_another_key_is_bound_to_both(client: httpx.AsyncClient, world: World) -> None:
    machine = await world.activated()
    second = machine.image()
    second.license_key = (await world.key("Officine Ferri")).code
    answer = await client.post(URL, json=second.activation_body())
    assert (answer.status_code, answer.json()["installation_id"]) == (201, str(machine.installation_id))
    assert answer.json()["site_id"] != ids.show("site", machine.site_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("license_key", 5),
        ("license_key", ""),
        ("license_key", "A" * 65),
        ("installation_id", "x"),
        ("credential_sha256", "AA"),
        ("credential_sha256", "G" * 64),
        ("public_key", "x" * 44),
        ("product", "router"),
        ("version", "7\n"),
        ("version", "v7"),
        ("hostname", ""),
        ("hostname", "a\0b"),
        ("hostname", "a\nb"),
        ("hostname", "x" * 201),
        ("hostname", None),
        ("name", "x\x7f"),
        ("console_url", "javascript:alert(1)"),
        ("surprise", True),
    ],
)
async def test_bad_input_is_422_with_a_pointer_and_binds_nothing(
    client: httpx.AsyncClient, world: World, field: str, value: Any
) -> None:
    body = Machine((await world.key()).code).activation_body() | {field: value}
    answer = await client.post(URL, json=body)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == [f"/{field}"]
    assert await installations(world) == 0


async def test_a_key_is_read_as_it_was_typed(client: httpx.AsyncClient, world: World) -> None:
    code = (await world.key()).code
    typed = f" {code.lower().replace('-', ' ')}"
    assert (await client.post(URL, json=Machine(typed).activation_body())).status_code == 201


async def test_a_key_with_a_nul_is_malformed_and_is_not_repeated(client: httpx.AsyncClient, world: World) -> None:
    code = (await world.key()).code
    answer = await client.post(URL, json=Machine(code + "\0").activation_body())
    problem(answer, 422, "key_malformed")
    assert code not in answer.text


async def test_of_five_activations_at_once_for_one_key_exactly_one_is_201(
    client: httpx.AsyncClient, world: World
) -> None:
    code = (await world.key()).code
    bodies = [Machine(code).activation_body() for _ in range(5)]
    answers = await asyncio.gather(*(client.post(URL, json=body) for body in bodies))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 4}
    assert {answer.json().get("code") for answer in answers} == {None, "key_already_bound"}


async def test_the_eleventh_unknown_key_from_one_address_is_429_and_a_good_key_never_is(
    client: httpx.AsyncClient, app: FastAPI, world: World
) -> None:
    good = Machine((await world.key()).code)
    guess = Machine(UNKNOWN).activation_body()
    for _ in range(10):
        problem(await client.post(URL, json=guess), 404, "key_unknown")
    slowed = await client.post(URL, json=guess)
    problem(slowed, 429, "too_many_attempts")
    assert int(slowed.headers["retry-after"]) > 0
    assert (await client.post(URL, json=good.activation_body())).status_code == 201
    elsewhere = httpx.ASGITransport(app, client=("10.99.0.1", 1))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://tidemark.test") as other:
        problem(await other.post(URL, json=guess), 404, "key_unknown")


async def test_wrong_keys_are_counted_in_valkey_for_all_processes(ground: Ground) -> None:
    one, other = (Attempts(ground.settings.redis_url) for _ in range(2))
    for _ in range(5):
        await one.unknown_key("10.98.0.1")
        await other.unknown_key("10.98.0.1")
    with pytest.raises(Exception, match="Too many"):
        await one.unknown_key("10.98.0.1")


async def test_without_valkey_wrong_keys_are_counted_in_the_process() -> None:
    away = Attempts("unix:///nowhere/valkey.sock?db=0")
    for _ in range(10):
        await away.unknown_key("10.97.0.1")
    with pytest.raises(Exception, match="Too many"):
        await away.unknown_key("10.97.0.1")
