"""The whole service as child processes: a real API under uvicorn, a real worker under arq, on a ground.

They end with the process that started them, whichever way it ends.
"""

import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from ops.embedded.child import Child, spawn
from ops.ground import Ground
from services.clock import SharedClock
from services.settings import Settings

_START_SECONDS = 30
_GRACE_SECONDS = 10


class StartFailed(RuntimeError):
    """A process of the stack did not come up."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The running service."""

    url: str
    settings: Settings
    api: Child
    worker: Child
    clock: SharedClock | None
    # Start another in place of one that has ended; the API's waits until it answers.
    start_api: Callable[[], Child]
    start_worker: Callable[[], Child]


@contextmanager
def start_stack(ground: Ground, *, port: int = 0, simulated_from: datetime | None = None) -> Iterator[Stack]:
    """Start API and worker on a port (0: any free one), with a simulated clock if an instant is given."""
    with tempfile.TemporaryDirectory(prefix="tidemark-stack-") as name:
        folder = Path(name)
        clock = SharedClock.create(folder / "clock", simulated_from) if simulated_from else None
        port = port or _free_port()
        local = {"host": "127.0.0.1", "port": port, "public_url": f"http://127.0.0.1:{port}"}
        # Where nothing else is said, this machine is all there is: letters into a maildir, webhooks to it too.
        own = {
            "mail_folder": ground.settings.mail_folder or str(folder / "mail"),
            "webhooks_to_private_addresses": True,
        }
        settings = ground.settings.model_copy(update={**local, **own})
        hidden = ["--clock", str(folder / "clock"), "--poll-seconds", "0.02"] if clock else []
        url = f"http://127.0.0.1:{settings.port}"
        children: list[Child] = []

        def start_worker() -> Child:
            children.append(_start("worker", settings, hidden, folder))
            return children[-1]

        def start_api() -> Child:
            api = _start("api", settings, hidden[:2], folder)
            children.append(api)
            wait_until_ready(url, api, folder / "api.log")
            return api

        try:
            worker = start_worker()
            yield Stack(url, settings, start_api(), worker, clock, start_api, start_worker)
        finally:
            for child in children:
                child.terminate(_GRACE_SECONDS)


def environment(settings: Settings) -> dict[str, str]:
    """Give the variables that make a process read these settings."""
    return {
        "TIDEMARK_DATABASE_URL": settings.database_url,
        "TIDEMARK_REDIS_URL": settings.redis_url,
        "TIDEMARK_MASTER_SECRET": settings.master_secret.get_secret_value(),
        "TIDEMARK_HOST": settings.host,
        "TIDEMARK_PORT": str(settings.port),
        "TIDEMARK_LOG_LEVEL": settings.log_level,
        "TIDEMARK_PUBLIC_URL": settings.public_url,
        "TIDEMARK_MAIL_FOLDER": settings.mail_folder,
        "TIDEMARK_WEBHOOKS_TO_PRIVATE_ADDRESSES": str(settings.webhooks_to_private_addresses),
    }


def _start(part: str, settings: Settings, hidden: list[str], folder: Path) -> Child:
    argv = [sys.executable, "-m", "ops.cli", part, *hidden]
    return spawn(argv, env=environment(settings), log=folder / f"{part}.log")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(url: str, api: Child, log: Path) -> None:
    """Wait until an API answers; raises `StartFailed` with the end of its log."""
    deadline = time.monotonic() + _START_SECONDS
    with httpx.Client(base_url=url, timeout=2) as http:  # one: to make a client takes longer than to ask
        while time.monotonic() < deadline and api.alive:
            with suppress(httpx.TransportError):
                if http.get("/readyz").status_code == httpx.codes.OK:
                    return
            time.sleep(0.05)
    raise StartFailed(f"the API did not come up:\n{log.read_text()[-2000:]}")
