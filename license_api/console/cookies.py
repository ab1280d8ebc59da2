"""The console's cookies: the session, a stand-in for it before there is one, and what a page has to say after a change.

All are HttpOnly and SameSite=Lax; and Secure, under the prefix `__Host-`, wherever the portal is reached by https.
"""

import base64
import hashlib
import secrets

from fastapi import Request
from starlette.responses import Response

_SESSION, _STRANGER, _SAID = "tidemark_session", "tidemark_visit", "tidemark_said"
# The server ends a session earlier, when it is idle; this is the longest there is.
_SESSION_SECONDS = 14 * 24 * 3600
_SAID_SECONDS = 60


def session_secret(request: Request) -> str | None:
    """Give the secret of the visitor's session, if it brings one."""
    return request.cookies.get(_name(request, _SESSION))


def begin(request: Request, response: Response, secret: str) -> None:
    """Give the visitor its new session; what it had before is no longer looked at."""
    _set(request, response, _SESSION, secret, _SESSION_SECONDS)
    _drop(request, response, _STRANGER)


def end(request: Request, response: Response) -> None:
    """Take the session from the visitor."""
    _drop(request, response, _SESSION)


def form_token(request: Request) -> str | None:
    """Give the token that every form of this visitor carries: it follows from the session, or from the stand-in."""
    secret = session_secret(request) or request.cookies.get(_name(request, _STRANGER))
    return hashlib.sha256(b"form " + secret.encode()).hexdigest() if secret else None


def form_token_for(request: Request, response_cookies: dict[str, str]) -> str:
    """Give the token for a form to be shown, and begin a stand-in in `response_cookies` where there is no session."""
    token = form_token(request)
    if token is None:
        stranger = response_cookies[_STRANGER] = secrets.token_urlsafe(24)
        token = hashlib.sha256(b"form " + stranger.encode()).hexdigest()
    return token


def say(request: Request, response: Response, text: str) -> None:
    """Keep a text of the catalogue for the next page."""
    _set(request, response, _SAID, base64.urlsafe_b64encode(text.encode()).decode(), _SAID_SECONDS)


def said(request: Request) -> str | None:
    """Give what the last change left to say. Whoever shows it takes only what the catalogue has."""
    kept = request.cookies.get(_name(request, _SAID))
    if not kept:
        return None
    try:
        return base64.urlsafe_b64decode(kept.encode()).decode()
    except ValueError:
        return None


def settle(request: Request, response: Response, begun: dict[str, str], *, heard: bool) -> None:
    """Put cookies that a page began onto its answer, and drop what has been said."""
    for name, value in begun.items():
        _set(request, response, name, value, None)
    if heard:
        _drop(request, response, _SAID)


def _secure(request: Request) -> bool:
    return bool(request.app.state.service.public_url.startswith("https:"))


def _name(request: Request, name: str) -> str:
    return f"__Host-{name}" if _secure(request) else name


def _set(request: Request, response: Response, name: str, value: str, seconds: int | None) -> None:
    secure = _secure(request)
    response.set_cookie(_name(request, name), value, max_age=seconds, httponly=True, secure=secure, samesite="lax")


def _drop(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(_name(request, name), httponly=True, secure=_secure(request), samesite="lax")
