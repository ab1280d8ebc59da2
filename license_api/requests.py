"""Every request gets an id: in the answer's `X-Request-Id`, in problems, in the log. And its body has an end."""

import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from license_api.problems import request_id_of, respond
from services.errors import BodyTooLarge

BODY_BYTES_MAX = 256 * 1024


class RequestIds:
    """Pure ASGI middleware; one that wraps requests in tasks would halve the throughput."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, and tell its name in the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        await self._app(scope, receive, send_named)


class BodyLimit:
    """Refuses a body that is too large, by its declared length at once, else when it has grown so long.

    FastAPI's own limit answers a declared length in plain text, in place of any problem.
    """

    def __init__(self, app: ASGIApp, bytes_max: int) -> None:
        """Stand in front of an app."""
        self._app = app
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its body as far as it is allowed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and (len(declared) > 18 or int(declared) > self._bytes_max):
            await respond(BodyTooLarge(), request_id_of(scope))(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._bytes_max:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_limited, send)
