"""A route that answers with a page. Its form is read, and its token checked, before anything else is done."""

import hmac
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.datastructures import UploadFile
from starlette.responses import Response

from license_api.console.cookies import form_token

TOKEN_FIELD = "token_of_form"  # noqa: S105 - the name of a field


class FormStale(Exception):
    """The form comes from another session than yours, or from elsewhere: nothing was done."""


class PageRoute(APIRoute):
    """A route of the console; no change goes past its check."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler: the form first."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            request.state.form, request.state.files = {}, {}
            if request.method not in ("GET", "HEAD"):
                await _read_form(request)
            return await handle(request)

        return handle_page


async def _read_form(request: Request) -> None:
    """Read the form into the request's state; raises `FormStale`."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FormStale
    given = await request.form(max_fields=200)
    for name, value in given.multi_items():
        if isinstance(value, UploadFile):
            request.state.files[name] = value
        else:
            request.state.form.setdefault(name, []).append(value.replace("\x00", ""))
    token = "".join(request.state.form.pop(TOKEN_FIELD, []))
    expected = form_token(request)
    if expected is None or not hmac.compare_digest(token.encode(), expected.encode()):
        raise FormStale
