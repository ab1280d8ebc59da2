"""`POST /v1/heartbeats` through the app: the answers of the wire, and every kind of bad input."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, text

from license_api.deps import Service
from services.usage import Line
from services.usage.tables import UsageConflict, UsageEntry
from tests.support.clock import START
from tests.support.machine import Body, Machine, change, instant, lost
from tests.support.problems import pointers, problem
from tests.support.world import World

URL = "/v1/heartbeats"
HUGE = 10**40


async def stored(world: World) -> list[Any]:
    async with world.sessions() as db:
        lines = await db.execute(select(Line.through, Line.sequence, Line.receipt, Line.last_contact_at))
        entries = await db.scalar(select(func.count()).select_from(UsageEntry))
        conflicts = await db.scalar(select(func.count()).select_from(UsageConflict))
        return [*map(tuple, lines), entries, conflicts]


@pytest.fixture
async def machine(world: World) -> Machine:
    return await world.running((12, 140, 1))


async def test_a_heartbeat_is_answered_with_all_that_the_protocol_names(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    world.clock.advance(days=1)
    answer = await client.post(URL, json=machine.body(world.clock(), (12, 141, 1)), headers=machine.headers)
    assert answer.status_code == 200
    said = answer.json()
    assert set(said) == {
        "state", "sequence", "echo", "through", "receipt", "server_time", "next_heartbeat_seconds", "lease",
        "notices", "commands",
    }  # fmt: skip
    assert (said["state"], said["sequence"], said["through"]) == ("active", 2, 2)
    assert said["server_time"] == "2026-03-11T09:00:00Z"
    assert len(said["receipt"]) == 64
    assert answer.headers["x-request-id"]


async def test_an_answer_is_durable_when_it_arrives_and_its_repeat_is_alike(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    body = machine.body(world.clock.advance(minutes=15), (12, 141, 1))
    first = (await client.post(URL, json=body, headers=machine.headers)).json()
    before = await stored(world)
    again = (await client.post(URL, json=body, headers=machine.headers)).json()
    assert {name: again[name] for name in ("sequence", "echo", "through", "receipt")} == {
        name: first[name] for name in ("sequence", "echo", "through", "receipt")
    }
    assert before == await stored(world)


async def test_a_suspended_site_is_answered_200_with_the_reason(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    await world.mark_key(machine, suspended_at=world.clock(), reason="invoice open")
    answer = await client.post(URL, json=machine.body(world.clock(), (12, 141, 1)), headers=machine.headers)
    assert (answer.status_code, answer.json()["state"]) == (200, "suspended")
    assert answer.json()["reason"] == "invoice open"
    assert "lease" not in answer.json()


async def test_a_full_request_is_taken(client: httpx.AsyncClient, world: World, machine: Machine) -> None:
    now = world.clock.advance(hours=2)
    active = {"server": 1, "workstation": 2, "server_plus": 0}
    body = machine.body(
        now,
        (1, 2, 3),
        [change(2, now, (1, 2, 3), active=active)],
        active=active,
        more=False,
        standalones={"n": 3, "at": instant(now), "seen": [str(machine.installation_id)]},
        lost=[lost(4, now, now)],
        backups={"ok": 150, "warning": 2, "failed": 1, "overdue": 0},
        results=[{"command": "cmd_1", "outcome": "done", "text": "renamed"}],
        next_credential_sha256="0" * 64,
    )
    answer = await client.post(URL, json=body, headers=machine.headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["through"] == 4


# --- refusals of the protocol ----------------------------------------------------------------------------------


async def test_a_gap_is_409_with_through_and_receipt(client: httpx.AsyncClient, world: World, machine: Machine) -> None:
    before = await stored(world)
    body = machine.body(world.clock(), (1, 0, 0), [change(3, world.clock(), (1, 0, 0))])
    answer = await client.post(URL, json=body, headers=machine.headers)
    said = problem(answer, 409, "changes_missing")
    assert (said["through"], said["receipt"]) == (1, machine.receipt)
    assert await stored(world) == before


async def test_a_broken_line_is_409_with_through_and_receipt_and_no_echo(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    body = machine.body(world.clock(), (1, 0, 0), echo="AAAA")
    said = problem(await client.post(URL, json=body, headers=machine.headers), 409, "line_broken")
    assert (said["through"], said["receipt"]) == (1, machine.receipt)
    assert "echo" not in said


async def test_one_that_comes_far_too_early_is_429_with_retry_after_and_harmless_to_liveness(
    client: httpx.AsyncClient, app: FastAPI, world: World
) -> None:
    service: Service = app.state.service
    machine = await world.running((1, 0, 0))
    service.desk.pace.early_allowed = 0
    early = await client.post(URL, json=machine.body(world.clock(), (2, 0, 0)), headers=machine.headers)
    problem(early, 429, "too_early")
    assert 450 < int(early.headers["retry-after"]) <= 1350
    await world.pass_time(minutes=15)
    again = machine.body(world.clock(), (2, 0, 0))
    answer = await client.post(URL, json=again, headers=machine.headers)
    assert (answer.status_code, answer.json()["sequence"]) == (200, 2)
    repeat = await client.post(URL, json=again, headers=machine.headers)
    assert (repeat.status_code, repeat.json()["echo"]) == (200, answer.json()["echo"])


async def test_another_deployed_than_the_last_change_is_422_at_deployed(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    body = machine.body(world.clock(), (9, 9, 9), [change(2, world.clock(), (1, 0, 0))])
    answer = await client.post(URL, json=body, headers=machine.headers)
    problem(answer, 422, "deployed_mismatch")
    assert pointers(answer) == ["/deployed"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer x",
        "Basic eDp5",
        "bearer {site}.{installation}.{wrong}",
        "Bearer {site}.{installation}.{wrong}",
        "Bearer {site}.{unknown}.{secret}",
        "Bearer {unknown_site}.{installation}.{secret}",
        "Bearer {site}.{installation}.{secret}x",
        "Bearer tdm_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
)
async def test_a_wrong_or_missing_credential_is_401_and_nothing_is_stored(
    client: httpx.AsyncClient, world: World, machine: Machine, authorization: str | None
) -> None:
    site, installation, secret = machine.bearer.split(".")
    parts = {
        "site": site,
        "installation": installation,
        "secret": secret,
        "wrong": "x" * 43,
        "unknown": "0192f0c1-2222-7333-8444-555566667777",
        "unknown_site": "site_" + "0" * 26,
    }
    headers = {"Authorization": authorization.format(**parts)} if authorization else {}
    before = await stored(world)
    answer = await client.post(URL, json=machine.body(world.clock(), (9, 9, 9)), headers=headers)
    problem(answer, 401, "credential_invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert secret not in answer.text
    assert await stored(world) == before


# --- bad input -------------------------------------------------------------------------------------------------


def with_count(value: Any) -> Callable[[Body], None]:
    def spoil(body: Body) -> None:
        body["deployed"]["workstation"] = value

    return spoil


def with_field(name: str, value: Any) -> Callable[[Body], None]:
    def spoil(body: Body) -> None:
        body[name] = value

    return spoil


def with_change(**fields: Any) -> Callable[[Body], None]:
    def spoil(body: Body) -> None:
        body["changes"] = [change(2, START, (12, 140, 1)) | fields]

    return spoil


def without(name: str) -> Callable[[Body], None]:
    def spoil(body: Body) -> None:
        del body[name]

    return spoil


def many_changes(count: int) -> Callable[[Body], None]:
    def spoil(body: Body) -> None:
        body["changes"] = [change(2 + n, START, (12, 140, 1)) for n in range(count)]

    return spoil


BAD = {
    "true for a count": (with_count(True), "/deployed/workstation"),
    "a string for a count": (with_count("5"), "/deployed/workstation"),
    "a fraction for a count": (with_count(5.5), "/deployed/workstation"),
    "a whole float for a count": (with_count(5.0), "/deployed/workstation"),
    "null for a count": (with_count(None), "/deployed/workstation"),
    "a negative count": (with_count(-1), "/deployed/workstation"),
    "a count beyond a million": (with_count(1_000_001), "/deployed/workstation"),
    "a huge count": (with_count(HUGE), "/deployed/workstation"),
    "a count that is no number": (with_count(float("nan")), "/deployed/workstation"),
    "an infinite count": (with_count(float("inf")), "/deployed/workstation"),
    "an unknown field": (with_field("surprise", 1), "/surprise"),
    "an unknown field with a slash": (with_field("a/b~c", 1), "/a~1b~0c"),
    "an unknown field of a change": (with_change(surprise=1), "/changes/0/surprise"),
    "a missing field": (without("nonce"), "/nonce"),
    "a sequence of 0": (with_field("sequence", 0), "/sequence"),
    "a huge sequence": (with_field("sequence", 2**63), "/sequence"),
    "true for a sequence": (with_field("sequence", True), "/sequence"),
    "a string for a flag": (with_field("more", "true"), "/more"),
    "1 for a flag": (with_field("resume", 1), "/resume"),
    "a short nonce": (with_field("nonce", "AAAA"), "/nonce"),
    "an endless echo": (with_field("echo", "A" * 201), "/echo"),
    "a time without its zone": (with_field("sent_at", "2026-03-10T09:00:00"), "/sent_at"),
    "a time of another zone": (with_field("sent_at", "2026-03-10T09:00:00+01:00"), "/sent_at"),
    "a day that does not exist": (with_field("sent_at", "2026-02-30T09:00:00Z"), "/sent_at"),
    "an hour 24": (with_field("sent_at", "2026-03-10T24:00:00Z"), "/sent_at"),
    "a second 60": (with_field("sent_at", "2026-03-10T09:00:60Z"), "/sent_at"),
    "the year 0000": (with_field("sent_at", "0000-03-10T09:00:00Z"), "/sent_at"),
    "the year 0001": (with_field("sent_at", "0001-01-01T00:00:00Z"), "/sent_at"),
    "the year 9999": (with_field("sent_at", "9999-12-31T23:59:59Z"), "/sent_at"),
    "digits of another script": (with_field("sent_at", "٢٠٢٦-03-10T09:00:00Z"), "/sent_at"),
    "a number for a time": (with_field("sent_at", 1_773_133_200), "/sent_at"),
    "a change of the year 1970": (with_change(at="1970-01-01T00:00:00Z"), "/changes/0/at"),
    "a change with the number 0": (with_change(n=0), "/changes/0/n"),
    "a change with a huge number": (with_change(n=2**53), "/changes/0/n"),
    "a huge integer in a change": (with_change(server=HUGE), "/changes/0/server"),
    "more than 1,000 changes": (many_changes(1_001), "/changes"),
    "changes that are no list": (with_field("changes", {"n": 1}), "/changes"),
    "an object for the body's number": (with_field("deployed", 5), "/deployed"),
    "text with a NUL": (
        with_field("results", [{"command": "c", "outcome": "done", "text": "a\0b"}]),
        "/results/0/text",
    ),
    "an unknown outcome": (with_field("results", [{"command": "c", "outcome": "exploded"}]), "/results/0/outcome"),
    "an installation that is no UUID": (
        with_field("standalones", {"n": 2, "at": "2026-03-10T09:00:00Z", "seen": ["x"]}),
        "/standalones/seen/0",
    ),
    "a lone surrogate in text": (
        with_field("results", [{"command": "\ud800", "outcome": "done"}]),
        "/results/0/command",
    ),
    "an echo that is no text": (with_field("echo", ["A"]), "/echo"),
    "a digest in capitals": (with_field("next_credential_sha256", "A" * 64), "/next_credential_sha256"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_422_with_a_pointer_and_nothing_is_stored(
    client: httpx.AsyncClient, world: World, machine: Machine, name: str
) -> None:
    spoil, pointer = BAD[name]
    before = await stored(world)
    body = machine.body(world.clock(), (12, 140, 1))
    spoil(body)
    headers = machine.headers | {"Content-Type": "application/json"}
    answer = await client.post(URL, content=json.dumps(body), headers=headers)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == [pointer]
    assert await stored(world) == before
    await accepted_after(client, world, machine)


async def accepted_after(client: httpx.AsyncClient, world: World, machine: Machine) -> None:
    """Nothing was spent: the next request with the same sequence is taken."""
    answer = await client.post(URL, json=machine.body(world.clock(), (12, 140, 1)), headers=machine.headers)
    assert answer.status_code == 200, answer.text


async def test_two_entries_with_one_number_are_refused(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    twice = [change(2, world.clock(), (12, 140, 1))] * 2
    answer = await client.post(URL, json=machine.body(world.clock(), (12, 140, 1), twice), headers=machine.headers)
    problem(answer, 422, "request_invalid")
    assert "number" in answer.text


async def test_more_than_1000_entries_of_all_kinds_together_are_refused(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    now = world.clock()
    changes = [change(2 + n, now, (12, 140, 1)) for n in range(999)]
    gaps = [lost(1001 + n, now, now) for n in range(2)]
    body = machine.body(now, (12, 140, 1), changes, lost=gaps)
    problem(await client.post(URL, json=body, headers=machine.headers), 422, "request_invalid")


async def test_1000_changes_are_taken(client: httpx.AsyncClient, world: World, machine: Machine) -> None:
    changes = [change(2 + n, world.clock(), (n, 140, 1)) for n in range(1_000)]
    answer = await client.post(URL, json=machine.body(world.clock(), (999, 140, 1), changes), headers=machine.headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["through"] == 1_001


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"\x00",
        b'{"sequence": 1,}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"9" * 5_000,
        b'{"sequence": ' + b"9" * 5_000 + b"}",
        b'{"\\ud800": 1}',
    ],
    ids=lambda content: repr(content[:16]),
)
async def test_what_is_no_message_is_422_and_never_a_failure(
    client: httpx.AsyncClient, world: World, machine: Machine, content: bytes
) -> None:
    before = await stored(world)
    headers = machine.headers | {"Content-Type": "application/json"}
    answer = await client.post(URL, content=content, headers=headers)
    problem(answer, 422, "request_invalid")
    assert answer.json()["errors"]
    assert await stored(world) == before


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_over_256_kib_is_413_whether_its_length_is_declared_or_not(
    client: httpx.AsyncClient, world: World, machine: Machine, declared: bool
) -> None:
    body = json.dumps(machine.body(world.clock(), (1, 1, 1), padding="x" * 256 * 1024)).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 4096):
            yield body[start : start + 4096]

    before = await stored(world)
    headers = machine.headers | {"Content-Type": "application/json"}
    answer = await client.post(URL, content=body if declared else chunks(), headers=headers)
    problem(answer, 413, "body_too_large")
    assert await stored(world) == before


async def test_a_problem_never_repeats_a_secret_that_was_sent_in_the_wrong_place(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    body = machine.body(world.clock(), (1, 1, 1), nonce=machine.secret, secret=machine.secret)
    answer = await client.post(URL, json=body, headers=machine.headers)
    problem(answer, 422, "request_invalid")
    assert machine.secret not in answer.text


# --- many at once ------------------------------------------------------------------------------------------------


async def test_fifty_installations_at_once_are_all_answered_and_share_their_commits(
    client: httpx.AsyncClient, world: World
) -> None:
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(50)]
    world.clock.advance(minutes=15)
    answers = await asyncio.gather(
        *(
            client.post(URL, json=machine.body(world.clock(), (n, 7, 0)), headers=machine.headers)
            for n, machine in enumerate(machines)
        )
    )
    assert [answer.status_code for answer in answers] == [200] * 50
    async with world.sessions() as db:
        rows = await db.execute(select(Line.site_id, Line.server))
        commits = await db.scalar(text("select count(distinct cast(xmin as text)) from lines"))
    assert {row.site_id: row.server for row in rows} == {m.site_id: n for n, m in enumerate(machines)}
    assert commits is not None
    assert commits < 25


async def test_two_at_once_of_one_installation_are_taken_one_after_the_other(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    now = world.clock.advance(minutes=15)
    one, other = machine.body(now, (5, 0, 0)), machine.body(now, (6, 0, 0))
    answers = await asyncio.gather(*(client.post(URL, json=body, headers=machine.headers) for body in (one, other)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(UsageEntry)) == 2


async def test_one_of_a_batch_that_is_refused_leaves_the_others_alone(client: httpx.AsyncClient, world: World) -> None:
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(6)]
    bodies = [machine.body(world.clock(), (2, 0, 0)) for machine in machines]
    bodies[3]["echo"] = "AAAA"
    answers = await asyncio.gather(
        *(client.post(URL, json=b, headers=m.headers) for m, b in zip(machines, bodies, strict=True))
    )
    assert [answer.status_code for answer in answers] == [200, 200, 200, 409, 200, 200]
