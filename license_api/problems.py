"""Refusals as RFC 9457 problems. This file alone chooses HTTP statuses."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from services.db import is_deadlock
from services.errors import BodyTooLarge, Invalid, Kind, Refusal, Unauthenticated, Unavailable

MEDIA_TYPE = "application/problem+json"
_STATUS = {
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.ABSENT: 404,
    Kind.CONFLICT: 409,
    Kind.STALE: 412,
    Kind.TOO_LARGE: 413,
    Kind.INVALID: 422,
    Kind.TOO_MANY: 429,
    Kind.UNAVAILABLE: 503,
}
_RETRY_AFTER_SECONDS = 5
# Classes of SQLSTATE: connection, resources, operator intervention, system.
_AWAY = ("08", "53", "57", "58")
_log = structlog.get_logger()


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer (RFC 6901) to the field in the body; empty: the body itself.")
    detail: str


class Problem(BaseModel):
    """An RFC 9457 problem. Programs go by `code`, which never changes; `detail` is for people."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[FieldProblem] | None = None


def status_of(refusal: Refusal | type[Refusal]) -> int:
    """Give the HTTP status of a refusal."""
    return _STATUS[refusal.kind]


def described(*refusals: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """Describe the refusals of an operation for openapi.yaml: each code under its status. Two can meet any request."""
    by_status: dict[int | str, dict[str, Any]] = {}
    every: set[type[Refusal]] = {*refusals, BodyTooLarge, Unavailable}
    for refusal in sorted(every, key=lambda one: (status_of(one), one.code)):
        status = status_of(refusal)
        examples = by_status.get(status, {}).get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        example = {"summary": _message(refusal), "value": _body(refusal(), "0190f5fe", [])}
        by_status[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {**examples, refusal.code: example},
                }
            },
        }
    return by_status


def install(app: FastAPI) -> None:
    """Answer every refusal, of ours or of the framework, as a problem."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        return respond(refusal, request_id_of(request.scope))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return respond(Invalid(), request_id_of(request.scope), _field_problems(error.errors()))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        return _framework_problem(error, request_id_of(request.scope))

    async def unavailable(request: Request, error: Exception) -> Response:
        if is_deadlock(error):
            _log.warning("deadlock", path=request.url.path)
            return respond(Unavailable(retry_after=1), request_id_of(request.scope))
        if isinstance(error, DBAPIError) and not is_outage(error):
            raise error
        _log.warning("database away", error=type(error).__name__)
        return respond(Unavailable(), request_id_of(request.scope))

    for outage in (DBAPIError, PoolTimeout, OSError, asyncio.TimeoutError):
        app.add_exception_handler(outage, unavailable)

    @app.exception_handler(Exception)
    async def failed(request: Request, _error: Exception) -> Response:
        return failure(request_id_of(request.scope))


def is_outage(error: BaseException) -> bool:
    """Tell whether an error means that the database is away, starting or ending, not that a statement was wrong."""
    if isinstance(error, PoolTimeout | OSError | asyncio.TimeoutError):
        return True
    if isinstance(error, asyncpg.InterfaceError):  # a closed connection; with ValueError: a bad argument
        return not isinstance(error, ValueError)
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] in _AWAY
    state = getattr(getattr(error, "orig", None), "sqlstate", None) if isinstance(error, DBAPIError) else None
    gone = isinstance(error, DBAPIError) and (error.connection_invalidated or state is None)
    return gone or (state is not None and state[:2] in _AWAY)


def respond(refusal: Refusal, request_id: str, errors: Sequence[dict[str, str]] = ()) -> Response:
    """Answer with a refusal."""
    headers = {}
    if refusal.kind is Kind.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.kind in (Kind.UNAVAILABLE, Kind.TOO_MANY):
        headers["Retry-After"] = str(refusal.retry_after or _RETRY_AFTER_SECONDS)
    headers |= refusal.headers
    return _respond(status_of(refusal), _body(refusal, request_id, errors), headers)


def failure(request_id: str) -> Response:
    """Answer for a fault of ours; the log says which."""
    body = _problem(500, "internal_error", "The service failed. The request was not carried out.")
    # This answer alone does not pass the middleware that would put the header on.
    return _respond(500, {**body, "request_id": request_id}, {"X-Request-Id": request_id})


def request_id_of(scope: Any) -> str:
    """Give the id that the request was given on its way in."""
    return str(scope.get("state", {}).get("request_id", ""))


def _body(refusal: Refusal, request_id: str, errors: Sequence[dict[str, str]]) -> dict[str, Any]:
    fields = list(errors)
    if refusal.pointer is not None:
        fields.append({"pointer": refusal.pointer, "detail": refusal.detail})
    problem = _problem(status_of(refusal), refusal.code, refusal.detail)
    return {**problem, "request_id": request_id, **({"errors": fields} if fields else {}), **refusal.members}


def _problem(status: int, code: str, detail: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    return {"type": f"urn:tidemark:problem:{code}", "title": title, "status": status, "code": code, "detail": detail}


def _respond(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def _message(refusal: type[Refusal]) -> str:
    return (refusal.__doc__ or "").strip().partition("\n")[0]


def _field_problems(errors: Sequence[Any]) -> list[dict[str, str]]:
    """Turn pydantic's locations into JSON pointers; what was sent is not repeated, for it may be a secret."""
    return [{"pointer": _pointer(error), "detail": str(error["msg"])} for error in errors[:20]]


def _pointer(error: Any) -> str:
    if error["type"] == "json_invalid":
        return ""
    place, *path = error["loc"]
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
    return "".join(f"/{step}" for step in (steps if place == "body" else [str(place), *steps]))


def _framework_problem(error: HTTPException, request_id: str) -> Response:
    if error.status_code == 413:
        return respond(BodyTooLarge(), request_id)
    if error.status_code == 401:
        return respond(Unauthenticated(), request_id)
    if error.status_code == 400:
        return respond(Invalid(), request_id, [{"pointer": "", "detail": "The body cannot be read as JSON."}])
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    body = {**_problem(error.status_code, code, f"{phrase}."), "request_id": request_id}
    return _respond(error.status_code, body, dict(error.headers or {}))
