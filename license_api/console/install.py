"""Puts the console into the app: its pages, its assets, and pages in place of problems where a person reads."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from license_api.console import assets
from license_api.console.failures import failure_page
from license_api.console.rooms import ROOMS
from license_api.console.route import FormStale, PageRoute

_Handler = Callable[[Request, Any], Response | Awaitable[Response]]


def install(app: FastAPI) -> None:
    """Put the console into an app that answers refusals with problems already."""
    for room in ROOMS:
        app.include_router(room, include_in_schema=False)
    app.include_router(assets.router, include_in_schema=False)
    for kind, problem in list(app.exception_handlers.items()):
        app.exception_handlers[kind] = _page_or(problem)
    app.add_exception_handler(FormStale, failure_page)


def _page_or(problem: _Handler) -> _Handler:
    """Answer as a page where a page was asked for, else as before."""

    async def answer(request: Request, error: Any) -> Response:
        if not _is_for_a_person(request, error):
            response = problem(request, error)
            return await response if isinstance(response, Awaitable) else response
        return await failure_page(request, error)

    return answer


def _is_for_a_person(request: Request, error: Exception) -> bool:
    route = request.scope.get("route")
    if route is not None:
        return isinstance(route, PageRoute)
    return isinstance(error, HTTPException) and "text/html" in request.headers.get("accept", "")
