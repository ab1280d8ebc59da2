"""What went wrong, as a page in plain words: and the way to sign in, where that is all that is missing."""

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from license_api.console import answers, cookies, language
from license_api.console.form import Form
from license_api.console.route import FormStale
from license_api.console.visit import Visit, of_request
from license_api.problems import is_outage, status_of
from services.errors import Refusal, Unauthenticated
from services.partners import Origin, TotpRequired

_log = structlog.get_logger()
SIGN_IN, SECOND_FACTOR = "/sign-in", "/account/second-factor"


async def failure_page(request: Request, error: Any) -> Response:
    """Answer an error of whatever kind for a person."""
    if type(error) is Unauthenticated:
        return _to_sign_in(request)
    if isinstance(error, TotpRequired):
        return answers.go(request, SECOND_FACTOR)
    status, kind, refusal = _told(error)
    if status == 500:
        _log.error("page failed", path=request.url.path, exc_info=error)
    visit = of_request(request) or _stranger(request)
    # What its transaction held is gone; the page needs none of it.
    shown = replace(visit, form=Form({}))
    return answers.page(shown, "failure.html", {"failure": kind, "refusal": refusal}, status)


def _told(error: Exception) -> tuple[int, str, Refusal | None]:
    """Give the status of an error, and what its page says."""
    if isinstance(error, Refusal):
        return status_of(error), str(error.kind), error
    if isinstance(error, FormStale):
        return 403, "form_stale", None
    if isinstance(error, HTTPException):
        return error.status_code, "absent" if error.status_code in (404, 405) else "invalid", None
    if isinstance(error, RequestValidationError):
        return 422, "invalid", None
    if not isinstance(error, DBAPIError) or is_outage(error):
        return (503, "unavailable", None) if is_outage(error) else (500, "internal", None)
    return 500, "internal", None


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    keep = request.method == "GET" and wanted != "/"
    response = answers.go(request, f"{SIGN_IN}?next={quote(wanted, safe='')}" if keep else SIGN_IN)
    if cookies.session_secret(request) is not None:
        cookies.end(request, response)
    return response


def _stranger(request: Request) -> Visit:
    made = request.app.state.service
    spoken = language.of_browser(request.headers.get("accept-language", ""))
    return Visit(request, None, made, made.clock(), Origin(), spoken, Form({}))  # type: ignore[arg-type]
