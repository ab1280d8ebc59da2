"""The lean way to `POST /v1/heartbeats`: served where uvicorn reads requests, with no task or scope for each.

It reads with the same models, through the same intake, and answers the same bytes as the app's route. Whatever it does
not like (another content type, no length, a body that is too large or not valid, a bearer that is none, a request that
does not wait for the answer before) it hands on, with what it has read, to the app, whose route says what is wrong: so
the two cannot differ in what they refuse. A server that does not know the door serves all by that route.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from random import getrandbits
from typing import Any

import structlog
from fastapi import FastAPI
from pydantic import ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from license_api import problems
from license_api.addresses import client_address
from license_api.deps import Service
from license_api.requests import BODY_BYTES_MAX
from license_api.shared_commits import Outcome
from license_api.v1.heartbeats import PATH, answer_of
from license_api.v1.wire import HeartbeatAnswer, HeartbeatRequest
from services import sites
from services.errors import Refusal, Unauthenticated, Unavailable
from services.sites import Answer, Heartbeat

_URL = PATH.encode()
_LENGTH_DIGITS = len(str(BODY_BYTES_MAX))
_read = HeartbeatRequest.__pydantic_validator__.validate_json
_to_json = HeartbeatAnswer.__pydantic_serializer__.to_json
_USUAL = (
    b'{"state":"%b","sequence":%d,"echo":"%b","through":%d,"receipt":"%b","server_time":"%b",'
    b'"next_heartbeat_seconds":%d,"notices":[],"commands":[]}'
)
_log = structlog.get_logger()


def before(app: FastAPI) -> Any:
    """Give uvicorn's `http`: its protocol, with the door before the app."""
    return partial(_Connection, api=app)


class _Connection(HttpToolsProtocol):
    """uvicorn's protocol of one connection. It calls the `on_…` methods as it reads."""

    def __init__(self, *arguments: Any, api: FastAPI, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._api = api
        self._credential: str | None = None
        self._body = b""

    def shutdown(self) -> None:
        """End with the process: a stream would hold it up until it is killed."""
        super().shutdown()
        self._api.state.live.end()

    def on_message_begin(self) -> None:
        # The scope is for the app, and made when a request turns out to be for it.
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        self._credential = self._credential_at_the_door()
        if self._credential is None:
            self._make_scope()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._credential is None:
            super().on_body(body)
        else:
            self._body += body

    def on_message_complete(self) -> None:
        if self._credential is None:
            super().on_message_complete()
            return
        credential, body = self._credential, self._body
        self._credential, self._body = None, b""
        service: Service = self._api.state.service
        caller = {"type": "http", "client": self.client, "headers": self.headers}
        beat = _heartbeat(body, credential, partial(_address, caller, service))
        if beat is None:
            self._hand_on(body)
            return
        self.cycle = exchange = _Exchange(self)  # type: ignore[assignment]
        service.heartbeats.take(beat, exchange.settle)

    def _make_scope(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers

    def _hand_on(self, body: bytes) -> None:
        self._make_scope()
        super().on_headers_complete()
        super().on_body(body)
        super().on_message_complete()

    def _credential_at_the_door(self) -> str | None:
        """Give the bearer's credential, None if the request is not for the door."""
        if self.url != _URL or self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.expect_100_continue or self.parser.should_upgrade() or self.root_path:
            return None
        return _credential(self.headers)


class _Exchange:
    """A request at the door and its answer; to uvicorn, what a cycle of the app is."""

    __slots__ = ("_connection", "disconnected", "keep_alive", "response_complete")
    message_event = asyncio.Event()
    """Set by uvicorn; nobody waits for it."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.keep_alive = connection.parser.should_keep_alive()
        self.response_complete = False
        self.disconnected = False

    def settle(self, outcome: Outcome) -> None:
        """Answer."""
        self.response_complete = True
        connection = self._connection
        if self.disconnected or connection.transport.is_closing():
            return
        common = [b"%b: %b\r\n" % header for header in connection.server_state.default_headers]
        if not self.keep_alive:
            common.append(b"connection: close\r\n")
        connection.transport.write(_response(outcome, b"".join(common)))
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()


def _credential(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Give the credential, None unless it is a bearer's before a JSON body of a length that is allowed."""
    credential, json, length = None, False, False
    for name, value in headers:
        if name == b"authorization" and value.startswith(b"Bearer "):
            credential = value[7:].decode("latin-1")
        elif name == b"content-type":
            json = value == b"application/json"
        elif name == b"content-length":
            length = len(value) <= _LENGTH_DIGITS and value.isdigit() and int(value) <= BODY_BYTES_MAX
    return credential if json and length else None


def _heartbeat(body: bytes, credential: str, address: Callable[[], str | None]) -> Heartbeat | None:
    """Read the request; None if anything is wrong with it."""
    try:
        request: HeartbeatRequest = _read(body)
        return request.heartbeat(sites.read_bearer(credential), address)
    except (ValidationError, Unauthenticated):
        return None


def _address(caller: Any, service: Service) -> str | None:
    return client_address(HTTPConnection(caller), service.trusted_proxies)


def _response(outcome: Outcome, common: bytes) -> bytes:
    request_id = f"{getrandbits(64):016x}"
    if isinstance(outcome, Exception):
        problem = _problem(outcome, request_id)
        problem.headers["X-Request-Id"] = request_id
        headers = b"".join(b"%b: %b\r\n" % header for header in problem.raw_headers)
        return b"".join((STATUS_LINE[problem.status_code], common, headers, b"\r\n", problem.body))
    body = _write(outcome)
    return (
        b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\ncontent-type: application/json\r\nx-request-id: %b\r\n\r\n%b"
        % (common, len(body), request_id.encode(), body)
    )


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
        _instant(answer.server_time),
        answer.next_heartbeat_seconds,
    )


@lru_cache(maxsize=4)  # all of a batch have the same
def _instant(at: datetime) -> bytes:
    return at.isoformat().replace("+00:00", "Z").encode()


def _problem(error: Exception, request_id: str) -> Response:
    if isinstance(error, Refusal):
        return problems.respond(error, request_id)
    if problems.is_outage(error):
        return problems.respond(Unavailable(), request_id)
    _log.error("heartbeat failed", request_id=request_id, exc_info=error)
    return problems.failure(request_id)
