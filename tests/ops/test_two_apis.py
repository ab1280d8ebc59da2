"""Two API processes on one database: a heartbeat that reaches both at once is counted once and answered alike."""

import asyncio
import socket
import sys
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from ops.embedded.child import Child, spawn
from ops.ground import Ground
from ops.stack import environment, start_stack
from services.clock import system_clock
from services.usage.tables import UsageEntry
from tests.support.machine import Machine
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("world")
_ALIKE = ("state", "sequence", "echo", "through", "receipt")


async def test_one_heartbeat_sent_to_two_api_processes_at_once_is_counted_once_and_answered_alike(
    ground: Ground, world: World, tmp_path: Path
) -> None:
    code = (await world.key()).code
    running = start_stack(ground)
    stack = await asyncio.to_thread(running.__enter__)
    other: Child | None = None
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        settings = stack.settings.model_copy(update={"port": port})
        argv = [sys.executable, "-m", "ops.cli", "api"]
        other = spawn(argv, env=environment(settings), log=tmp_path / "api.log")
        urls = [stack.url, f"http://127.0.0.1:{port}"]
        async with httpx.AsyncClient(timeout=30) as http:
            await _answers(http, urls[1])
            machine = Machine(code)
            machine.learn((await http.post(f"{urls[0]}/v1/activations", json=machine.activation_body())).json())
            for turn in range(1, 5):
                body = machine.body(system_clock(), (turn, 0, 0))
                both = await asyncio.gather(
                    *(http.post(f"{url}/v1/heartbeats", json=body, headers=machine.headers) for url in urls)
                )
                assert [one.status_code for one in both] == [200, 200], [one.text for one in both]
                first, second = (one.json() for one in both)
                assert {name: first[name] for name in _ALIKE} == {name: second[name] for name in _ALIKE}
                machine.learn(first)
        async with world.sessions() as db:
            assert await db.scalar(select(func.count()).select_from(UsageEntry)) == 4
    finally:
        if other is not None:
            other.terminate(10)
        await asyncio.to_thread(running.__exit__, None, None, None)


async def _answers(http: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                if (await http.get(f"{url}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
