"""The lean way to `POST /v1/heartbeats`: a plain ASGI callable in front of the app, for the request that is all right.

It reads with the same models, through the same intake, and answers the same bytes. Whatever it does not like (another
content type, a body that is too large or not valid, a bearer that is none) it hands on, with what it has read, to the
app's own route, which says what is wrong: so the two cannot differ in what they refuse.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from license_api import problems
from license_api.addresses import client_address
from license_api.deps import Service
from license_api.requests import BODY_BYTES_MAX
from license_api.v1.heartbeats import PATH, answer_of
from license_api.v1.wire import HeartbeatAnswer, HeartbeatRequest
from services import sites
from services.errors import Refusal, Unauthenticated, Unavailable
from services.sites import Answer, Heartbeat

_read = HeartbeatRequest.__pydantic_validator__.validate_json
_to_json = HeartbeatAnswer.__pydantic_serializer__.to_json
_USUAL = (
    b'{"state":"%b","sequence":%d,"echo":"%b","through":%d,"receipt":"%b","server_time":"%bZ",'
    b'"next_heartbeat_seconds":%d,"notices":[],"commands":[]}'
)
_log = structlog.get_logger()


class LicenseApi(FastAPI):
    """The app, with the door before its one hot route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a heartbeat at the door, and everything else as FastAPI does."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await _serve(self, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


async def _serve(app: FastAPI, scope: Scope, receive: Receive, send: Send) -> None:
    credential, length = _headers(scope)
    if credential is None or length > BODY_BYTES_MAX:
        await FastAPI.__call__(app, scope, receive, send)
        return
    messages = await _body(receive, BODY_BYTES_MAX)
    service: Service = app.state.service
    beat = _heartbeat(messages, credential, partial(_address, scope, service))
    if beat is None:
        await FastAPI.__call__(app, scope, _again(messages, receive), send)
        return
    request_id = secrets.token_hex(8)
    try:
        body = _write(await service.heartbeats.take_in(beat))
    except Exception as error:
        response = _problem(error, request_id)
        response.headers["X-Request-Id"] = request_id
        await response(scope, receive, send)
        return
    await send(_start(body, request_id))
    await send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> tuple[str | None, int]:
    """Give the credential, None unless it is a bearer's before a JSON body, and the announced length."""
    credential, length, json = None, 0, False
    for name, value in scope["headers"]:
        if name == b"authorization" and value.startswith(b"Bearer "):
            credential = value[7:].decode("latin-1")
        elif name == b"content-type":
            json = value == b"application/json"
        elif name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 10 else BODY_BYTES_MAX + 1
    return credential if json else None, length


async def _body(receive: Receive, longest: int) -> list[Message]:
    """Read the body's messages, up to the one with which it is complete, too long, or broken off."""
    message = await receive()
    messages, size = [message], len(message.get("body", b""))
    while message.get("more_body", False) and size <= longest:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
    return messages


def _heartbeat(messages: Sequence[Message], credential: str, address: Callable[[], str | None]) -> Heartbeat | None:
    """Read the request; None if anything is wrong with it."""
    last = messages[-1]
    if last["type"] != "http.request" or last.get("more_body", False):
        return None
    body = last["body"] if len(messages) == 1 else b"".join(message.get("body", b"") for message in messages)
    try:
        request: HeartbeatRequest = _read(body)
        return request.heartbeat(sites.read_bearer(credential), address)
    except (ValidationError, Unauthenticated):
        return None


def _address(scope: Scope, service: Service) -> str | None:
    return client_address(HTTPConnection(scope), service.trusted_proxies)


def _again(messages: Sequence[Message], receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Give what has been read once more, and then what comes."""
    waiting = list(messages)

    async def replay() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return replay


def _write(answer: Answer) -> bytes:
    """Write an answer as the app's route would; the usual one, with nothing special to say, by hand."""
    if answer.reason or answer.lease or answer.notices or answer.commands:
        return _to_json(answer_of(answer), exclude_none=True)
    return _USUAL % (
        answer.state.encode(),
        answer.sequence,
        answer.echo.encode(),
        answer.through,
        answer.receipt.hex().encode(),
        answer.server_time.isoformat()[:-6].encode(),
        answer.next_heartbeat_seconds,
    )


def _start(body: bytes, request_id: str) -> dict[str, Any]:
    headers = [
        (b"content-length", b"%d" % len(body)),
        (b"content-type", b"application/json"),
        (b"x-request-id", request_id.encode()),
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _problem(error: Exception, request_id: str) -> Response:
    if isinstance(error, Refusal):
        return problems.respond(error, request_id)
    if problems.is_outage(error):
        return problems.respond(Unavailable(), request_id)
    _log.error("heartbeat failed", request_id=request_id, exc_info=error)
    return problems.failure(request_id)
