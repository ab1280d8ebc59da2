"""The whole API under schemathesis for a bounded time: no 5xx, and no answer that the contract does not have.

Run by `make clients`, in an environment of its own like the generators.
"""

import asyncio
import subprocess
import venv
from contextlib import suppress
from pathlib import Path

import pytest
from redis.asyncio import Redis

from ops.ground import Ground
from ops.stack import start_stack
from services.clock import system_clock
from services.partners import PartnerKind
from tests.support.people import signed_in
from tests.support.world import World

HERE = Path(__file__).parent
CONTRACT = HERE.parents[1] / "openapi.yaml"
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_SECONDS = {PartnerKind.MSP: 30, PartnerKind.DISTRIBUTOR: 10, PartnerKind.VENDOR: 20}


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemathesis")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements-fuzz.txt"], check=True)
    return folder / "bin" / "schemathesis"


def fuzz(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


async def no_limits(redis_url: str) -> None:
    """Empty the counters over and over: Valkey may lose everything at any time, and the fuzzer is in a hurry."""
    async with Redis.from_url(redis_url) as valkey:
        while True:
            await valkey.flushall()
            await asyncio.sleep(0.5)


@pytest.mark.parametrize("kind", _SECONDS)
async def test_nothing_makes_the_api_fail_or_answer_outside_its_contract(
    ground: Ground, world: World, kind: PartnerKind, tool: Path, tmp_path: Path
) -> None:
    world.clock.now = system_clock()
    session = (await signed_in(world, kind))["Authorization"]
    await world.running((1, 2, 3))
    running = start_stack(ground)
    stack = await asyncio.to_thread(running.__enter__)
    emptied = asyncio.create_task(no_limits(ground.settings.redis_url))
    try:
        options = ["--checks", _CHECKS, "--max-time", str(_SECONDS[kind]), "--no-shrink", "--seed", "1"]
        command = [
            str(tool),
            "run",
            str(CONTRACT),
            "--url",
            stack.url,
            "--header",
            f"Authorization: {session}",
            *options,
        ]
        done = await asyncio.to_thread(fuzz, command, tmp_path)
    finally:
        emptied.cancel()
        with suppress(asyncio.CancelledError):
            await emptied
        await asyncio.to_thread(running.__exit__, None, None, None)
    failures = done.stdout.partition("= FAILURES =")[2].partition("= WARNINGS =")[0]
    assert not failures, failures
    assert "Test cases:" in done.stdout, done.stdout + done.stderr
