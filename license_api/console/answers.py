"""Answers of the console: a page, a way on, a file. All carry the same strict headers."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from license_api.console import cookies
from license_api.console.navigation import menu
from license_api.console.writing import write
from license_api.problems import status_of

if TYPE_CHECKING:
    from license_api.console.visit import Visit

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
# Not `no-referrer`: browsers would then send the forms of a page without their origin.
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}
_HTTPS = {"Strict-Transport-Security": "max-age=31536000"}
_MISTAKE = 422


def page(visit: "Visit", template: str, values: dict[str, Any], status: int | None = None) -> Response:
    """Answer with a page."""
    begun: dict[str, str] = {}
    said = cookies.said(visit.request)
    text = write(
        template,
        visit,
        {
            "form": visit.form,
            "menu": menu(visit),
            "path": visit.request.url.path,
            "said": said,
            "form_token": cookies.form_token_for(visit.request, begun),
            **values,
        },
    )
    response = HTMLResponse(text, status or _status(visit), headers=_headers(visit.request))
    cookies.settle(visit.request, response, begun, heard=said is not None)
    return response


def go(request: Request, path: str, said: str | None = None) -> Response:
    """Go on to a page of the console, by GET."""
    response = RedirectResponse(path, 303, headers=_headers(request))
    if said is not None:
        cookies.say(request, response, said)
    return response


def download(visit: "Visit", name: str, content: bytes | str, media_type: str) -> Response:
    """Answer with a file to keep."""
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "")
    disposition = f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name)}"
    headers = {**_headers(visit.request), "Content-Disposition": disposition}
    return Response(content, media_type=media_type, headers=headers)


def to_json(visit: "Visit", value: Any) -> Response:
    """Answer the console's own script."""
    return Response(json.dumps(value), media_type="application/json", headers=_headers(visit.request))


def _status(visit: "Visit") -> int:
    if visit.form.refusal is not None:
        return status_of(visit.form.refusal)
    return _MISTAKE if visit.form.errors else 200


def _headers(request: Request) -> dict[str, str]:
    secure = request.app.state.service.public_url.startswith("https:")
    return {**HEADERS, **(_HTTPS if secure else {})}
