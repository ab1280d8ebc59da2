"""The API under measurement, and in the same process what it is measured against.

`/bench/fastapi`: a FastAPI route with the same body model that does nothing. `/bench/bare`: a bare ASGI callable that
validates the same body and does nothing. `/bench/textbook`: the textbook way, see `bench.textbook`.
"""

from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from bench import textbook
from license_api.app import create_app
from license_api.v1 import heartbeat_door
from license_api.v1.wire import HeartbeatRequest
from services.settings import Settings

_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
_BODY = {"type": "http.response.body", "body": b"{}"}
_validate = HeartbeatRequest.__pydantic_validator__.validate_json

nothing = FastAPI()


@nothing.post("/bench/fastapi")
async def do_nothing(body: HeartbeatRequest) -> dict[str, str]:
    """Read the same body, and do nothing."""
    return {}


async def bare(_scope: Scope, receive: Receive, send: Send) -> None:
    """Read the same body without a framework, and do nothing."""
    _validate((await receive())["body"])
    await send(_START)
    await send(_BODY)


def make(api: FastAPI, settings: Settings) -> Any:
    """Put the yardsticks beside the app."""
    others = {"/bench/fastapi": nothing, "/bench/bare": bare, **textbook.routes(settings.database_url)}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await others.get(scope.get("path", ""), api)(scope, receive, send)

    return app


if __name__ == "__main__":
    settings = Settings.load()
    app = create_app(settings)
    uvicorn.run(
        make(app, settings),
        http=heartbeat_door.before(app),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
