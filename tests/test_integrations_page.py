"""docs/integrations.md, run as it stands: its commands in one shell, against the service as processes.

The service's clock goes in the last month until the page comes to the month's end; then it shows the present, since
the public library refuses a webhook whose timestamp is old.
"""

import asyncio
import os
import re
import shutil
import socket
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from ops.embedded.child import Child, spawn
from ops.ground import Ground
from ops.stack import Stack, start_stack
from report_worker.main import REPORTS, Bell
from services.clock import system_clock
from tests.support.world import World

PAGE = Path(__file__).parents[1] / "docs" / "integrations.md"
MONTH_ENDS = "<!-- the month ends -->"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_WAIT = "touch month-ends; until test -e month-ended; do sleep 0.1; done\n"
_PATIENCE_SECONDS = 90

pytestmark = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")),
    reason="there is no curl or no jq here; .ci/run installs them",
)


def script(text: str) -> str:
    """The page's shell commands, with a wait where the month ends."""
    before, after = text.split(MONTH_ENDS)
    parts = ["".join(body for kind, body in _BLOCK.findall(part) if kind == "sh") for part in (before, after)]
    return "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + _WAIT.join(parts) + "touch done\n"


def write_files(text: str, folder: Path) -> None:
    """The page's files: a block of Python begins with its file's name."""
    for kind, body in _BLOCK.findall(text):
        if kind == "python":
            (folder / body.removeprefix("# ").split(":", 1)[0]).write_text(body)


async def come(file: Path, shell: Child, stack: Stack, behind: timedelta) -> bool:
    """Wait for a file that the shell makes, while the service's clock goes on; False if it does not come."""
    assert stack.clock is not None
    for _ in range(_PATIENCE_SECONDS * 10):
        if file.exists() or not shell.alive:  # noqa: ASYNC240 - a look at a local disk
            break
        stack.clock.set(system_clock() - behind)
        await asyncio.sleep(0.1)
    return file.exists()  # noqa: ASYNC240


async def test_an_integrator_goes_from_a_token_to_a_verified_report(
    ground: Ground, world: World, tmp_path: Path
) -> None:
    last_month = (system_clock().replace(day=1) - timedelta(days=5)).replace(hour=9)
    world.clock.now = last_month
    text = PAGE.read_text()
    write_files(text, tmp_path)
    running = start_stack(ground, simulated_from=last_month)
    stack = await asyncio.to_thread(running.__enter__)
    try:
        said = await follow(script(text), stack, await prepared(world), tmp_path, system_clock() - last_month)
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
    assert (tmp_path / "done").exists(), said
    assert "report.json: OK" in said


async def prepared(world: World) -> str:
    """A token of an MSP whose distributor was there when last month began."""
    async with world.sessions.begin() as db:
        distributor = await db.get_one(type(world.distributor), world.distributor.id)
        distributor.created_at = world.clock()
    return await world.token()


async def follow(commands: str, stack: Stack, token: str, folder: Path, behind: timedelta) -> str:
    """Run the commands, and let the month end when they come so far; gives what was printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # noqa: TID251
    environment = {"PATH": tools, "HOME": str(folder), "TIDEMARK": stack.url, "TOKEN": token, "PORT": str(port)}
    (folder / "page.sh").write_text(commands)
    log = folder / "log"
    shell = spawn(["bash", "-c", f"cd {folder} && exec bash page.sh"], env=environment, log=log)
    try:
        if await come(folder / "month-ends", shell, stack, behind):
            stack.clock.set(system_clock())  # type: ignore[union-attr]
            async with Bell(stack.settings) as bell:
                await bell.ring(REPORTS, "close_periods")
            (folder / "month-ended").touch()
            await come(folder / "done", shell, stack, timedelta())
    finally:
        shell.kill()
    return log.read_text()
