"""The second factor: set up with an authenticator, by its QR code or its secret, and proved by a first code."""

import segno
from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.signing_in import Code
from license_api.console.visit import Signed, SignedIn
from services import partners
from services.partners import User

router = APIRouter(prefix="/account/second-factor", route_class=PageRoute)
_PAGE = "second_factor/set_up.html"


@router.get("")
async def show_set_up(visit: SignedIn) -> Response:
    """Where the vendor's people are led until they have one."""
    return visit.page(_PAGE, secret=None, picture=None, codes=None)


@router.post("/begin")
async def begin(visit: SignedIn) -> Response:
    """Show a new secret, this once. It counts when a code of it has been confirmed."""
    if not visit.principal.fresh:
        return _again(visit)
    begun = await visit.attempt(partners.begin_totp(visit.db, visit.made.desk.vault, await _me(visit)))
    secret, picture = (begun[0], _picture(begun[1])) if begun else (None, None)
    return visit.page(_PAGE, secret=secret, picture=picture, codes=None)


@router.post("")
async def confirm(visit: SignedIn) -> Response:
    """Turn it on, and show the recovery codes, this once."""
    if not visit.principal.fresh:
        return _again(visit)
    given, codes = visit.form.read(Code), None
    if given is not None:
        await visit.made.attempts.confirm(str(visit.principal.credential_id))
        vault, me = visit.made.desk.vault, await _me(visit)
        codes = await visit.attempt(partners.confirm_totp(visit.db, vault, visit.principal, me, given.code, visit.now))
    return visit.page(_PAGE, secret=None, picture=None, codes=codes)


async def _me(visit: Signed) -> User:
    return await partners.user_of(visit.db, visit.principal, visit.principal.person(), lock=True)


def _again(visit: Signed) -> Response:
    return visit.go("/sign-in", N_("Please sign in again: it was too long ago for this."))


def _picture(uri: str) -> str:
    return str(segno.make(uri, error="m").svg_inline(omitsize=True, border=3, dark="#000", light="#fff"))
