"""The whole service as processes: a site and an MSP over real HTTP, a month closed by the real worker."""

import asyncio
import signal
from datetime import timedelta

import httpx
import pytest

from ops.ground import Ground
from ops.stack import start_stack
from report_worker.main import REPORTS, Bell
from services.partners import PartnerKind
from tests.support.clock import START
from tests.support.console import COOKIE, secret_of
from tests.support.machine import Machine, change
from tests.support.people import person
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("world")


async def test_a_month_from_the_first_key_to_the_downloaded_report(ground: Ground, world: World) -> None:
    token = {"Authorization": f"Bearer {await world.token()}"}
    running = start_stack(ground, simulated_from=START)
    stack = await asyncio.to_thread(running.__enter__)
    try:
        assert stack.clock is not None
        async with httpx.AsyncClient(base_url=stack.url) as http:
            made = (await http.post("/v1/keys", json={"name": "Hotel Adria"}, headers=token)).json()
            machine = Machine(made["code"])
            machine.learn((await http.post("/v1/activations", json=machine.activation_body())).json())
            peak_at = START + timedelta(hours=1)
            stack.clock.set(START + timedelta(hours=2))
            changes = [change(1, START, (1, 140, 0)), change(2, peak_at, (1, 150, 0))]
            changes.append(change(3, START + timedelta(hours=2), (1, 149, 0)))
            body = machine.body(START + timedelta(hours=2), (1, 149, 0), changes)
            answer = await http.post("/v1/heartbeats", json=body, headers=machine.headers)
            assert (answer.status_code, answer.json()["through"]) == (200, 3)
            stack.clock.set(START + timedelta(days=23))
            async with Bell(stack.settings) as bell:
                await bell.ring(REPORTS, "close_periods")
            report = await _first_report(http, token)
            csv = await http.get(f"/v1/reports/{report}/csv", headers=token)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
    assert "Hotel Adria" in csv.text
    assert ",150,2026-03-10T10:00:00Z," in csv.text


async def test_an_open_stream_does_not_hold_up_the_end_of_its_process(ground: Ground, world: World) -> None:
    secret = await secret_of(world, await person(world, PartnerKind.MSP, world.msp.id))
    running = start_stack(ground, simulated_from=START)
    stack = await asyncio.to_thread(running.__enter__)
    try:
        async with httpx.AsyncClient(base_url=stack.url, cookies={COOKIE: secret}) as http:
            async with http.stream("GET", "/live/fleet") as answer:
                lines = answer.aiter_lines()
                assert [await anext(lines) for _ in range(3)] == ["retry: 2000", "event: changed", "data:"]
                ended = asyncio.create_task(asyncio.to_thread(stack.api.terminate, 15))
                # It ends as streams do, so the browser comes again; and nothing of "signed out" is said.
                assert not [line async for line in lines if line]
            assert await ended == -signal.SIGTERM
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _first_report(http: httpx.AsyncClient, token: dict[str, str]) -> str:
    async with asyncio.timeout(30):
        while True:
            items = (await http.get("/v1/reports", headers=token)).json()["items"]
            if items:
                return str(items[0]["id"])
            await asyncio.sleep(0.05)
