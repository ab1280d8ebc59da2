"""The door under a real uvicorn: what it serves itself, and what it hands on, is answered as the app's route does."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI

from license_api.v1 import heartbeat_door
from license_api.v1.heartbeats import answer_of
from services.keys import KeyState
from services.sites import Answer
from tests.support.machine import Body, Machine
from tests.support.server import served
from tests.support.world import World

BODY_BYTES_MAX = 256 * 1024

USUAL = Answer(
    state=KeyState.ACTIVE,
    reason=None,
    sequence=2**53 - 1,
    echo="AAAAAAAAAAAAAQAAAAAAAAABMtzjm6b6zfO6DbeBZAaAAw",
    through=0,
    receipt=bytes(range(32)),
    server_time=datetime(2026, 11, 24, 8, tzinfo=UTC),
    next_heartbeat_seconds=901,
)


@pytest.mark.parametrize(
    "answer",
    [
        USUAL,
        replace(USUAL, server_time=USUAL.server_time + timedelta(microseconds=20)),
        replace(USUAL, state=KeyState.REVOKED, reason="revoked"),
        replace(USUAL, lease="e30.e30.e30"),
        replace(USUAL, notices=[{"code": "conflict", "n": 3}]),
    ],
)
def test_an_answer_is_the_same_bytes_by_hand_and_by_the_model(answer: Answer) -> None:
    assert heartbeat_door._write(answer).decode() == answer_of(answer).model_dump_json(exclude_none=True)


class Answered(NamedTuple):
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Wire:
    """One connection, and what is written to it byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *parts: bytes | str) -> None:
        self.writer.write(b"".join(part.encode() if isinstance(part, str) else part for part in parts))

    async def answer(self) -> Answered:
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answered(int(head[0].split()[1]), headers, json.loads(body) if body else {})

    async def closed(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


@pytest.fixture
async def wire(app: FastAPI) -> AsyncIterator[Wire]:
    async with served(app) as address:
        made = Wire(*await asyncio.open_connection(*address))
        yield made
        made.writer.close()


@pytest.fixture
async def machine(world: World) -> Machine:
    made = await world.running((1, 0, 0))
    world.clock.advance(minutes=15)
    return made


def head(machine: Machine, length: int | None, *lines: str, version: str = "1.1") -> str:
    named = [
        f"POST /v1/heartbeats HTTP/{version}",
        "Host: tidemark",
        "Content-Type: application/json",
        f"Authorization: Bearer {machine.bearer}",
        *([] if length is None else [f"Content-Length: {length}"]),
        *lines,
    ]
    return "\r\n".join(named) + "\r\n\r\n"


def next_body(world: World, machine: Machine) -> bytes:
    return json.dumps(machine.body(world.clock(), (1, 0, 0))).encode()


async def test_the_door_keeps_the_connection_and_answers_one_after_the_other(
    wire: Wire, world: World, machine: Machine
) -> None:
    for sequence in (2, 3):
        body = next_body(world, machine)
        wire.send(head(machine, len(body)), body[:10])
        await asyncio.sleep(0)
        wire.send(body[10:])
        answer = await wire.answer()
        assert (answer.status, answer.body["sequence"]) == (200, sequence)
        assert {"date", "x-request-id", "content-type"} <= set(answer.headers)
        machine.learn(answer.body)
        world.clock.advance(minutes=15)


async def test_requests_that_do_not_wait_for_the_answer_are_answered_in_their_order(
    wire: Wire, world: World, machine: Machine
) -> None:
    body = next_body(world, machine)
    request = head(machine, len(body)).encode() + body
    health = b"GET /healthz HTTP/1.1\r\nHost: tidemark\r\n\r\n"
    wire.send(request, health, request)
    first, between, repeat = [await wire.answer() for _ in range(3)]
    assert (first.status, between.body, repeat.status) == (200, {"status": "ok"}, 200)
    assert (repeat.body["echo"], repeat.body["receipt"]) == (first.body["echo"], first.body["receipt"])


@pytest.mark.parametrize(
    ("lines", "version"), [(("Connection: close",), "1.1"), ((), "1.0"), (("Expect: 100-continue",), "1.1")]
)
async def test_other_manners_of_http_are_answered_too(
    wire: Wire, world: World, machine: Machine, lines: tuple[str, ...], version: str
) -> None:
    body = next_body(world, machine)
    wire.send(head(machine, len(body), *lines, version=version), body)
    answer = await wire.answer()
    if answer.status == 100:
        assert (await wire.answer()).status == 200
        return
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await wire.closed()


async def test_a_body_in_pieces_of_unknown_length_is_taken(wire: Wire, world: World, machine: Machine) -> None:
    body = next_body(world, machine)
    wire.send(head(machine, None, "Transfer-Encoding: chunked"), f"{len(body):x}\r\n", body, "\r\n0\r\n\r\n")
    assert (await wire.answer()).status == 200


async def test_what_is_refused_is_refused_in_the_same_words_as_by_the_route(
    wire: Wire, client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    stranger = replace(machine, secret="x" * 43)
    good = machine.body(world.clock(), (1, 0, 0))
    cases: list[tuple[Machine, Body, int]] = [
        (stranger, good, 401),
        (replace(machine, secret="short"), good, 401),
        (machine, good | {"sequence": 0}, 422),
        (machine, good | {"sequence": 9}, 409),
        (machine, good | {"more": 1}, 422),
        (machine, good | {"hostname": "x" * BODY_BYTES_MAX}, 413),
    ]
    for who, body, status in cases:
        by_route = await client.post("/v1/heartbeats", json=body, headers=who.headers)
        raw = json.dumps(body).encode()
        async with asyncio.timeout(10):
            wire.send(head(who, len(raw)), raw)
            by_door = await wire.answer()
        assert by_door.status == by_route.status_code == status
        differs = {"request_id": ""}
        assert by_door.body | differs == by_route.json() | differs
        for name in ("content-type", "www-authenticate", "retry-after"):
            assert by_door.headers.get(name) == by_route.headers.get(name)
        assert by_door.headers["x-request-id"] == by_door.body["request_id"]


async def test_a_caller_that_left_harms_nobody_and_is_answered_again(
    app: FastAPI, world: World, machine: Machine
) -> None:
    body = next_body(world, machine)
    async with served(app) as address:
        leaving = Wire(*await asyncio.open_connection(*address))
        leaving.send(head(machine, len(body)), body)
        leaving.writer.transport.abort()
        staying = Wire(*await asyncio.open_connection(*address))
        staying.send(head(machine, len(body)), body)
        assert (await staying.answer()).status == 200
        staying.writer.close()


async def test_who_waits_while_the_server_ends_is_answered_and_then_let_go(
    app: FastAPI, world: World, machine: Machine
) -> None:
    body = next_body(world, machine)
    async with served(app) as address:
        wire = Wire(*await asyncio.open_connection(*address))
        wire.send(head(machine, len(body)), body)
        await asyncio.sleep(0)
    assert (await wire.answer()).status == 200
    assert await wire.closed()
    wire.writer.close()
