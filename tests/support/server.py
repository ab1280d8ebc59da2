"""The app behind a real uvicorn, as `tidemark api` serves it, in the suite's own loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from license_api.v1 import heartbeat_door


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[tuple[str, int]]:
    """Serve a started app on a free port of this machine; gives host and port."""
    config = uvicorn.Config(
        app, http=heartbeat_door.before(app), port=0, lifespan="off", log_level="error", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    yield "127.0.0.1", int(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    await serving
