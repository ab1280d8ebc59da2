"""One's own account: name, language and zone, the password, the second factor's recovery codes, one's sessions."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator
from starlette.responses import Response

from license_api.console.asking import Ask, do
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import Language, Message, Name, Secret
from license_api.v1.pages import named
from services import partners
from services.partners import Right
from services.usage import UnknownZone, zone_info, zones

router = APIRouter(prefix="/account", route_class=PageRoute)
_PAGE, _HERE = "account/account.html", "/account"


def _known_zone(name: str) -> str:
    try:
        zone_info(name)
    except UnknownZone as error:
        raise ValueError from error
    return name


class Self(Message):
    """How one is called, and how pages are written; without a zone, one's distributor's."""

    name: Name
    language: Language
    zone: Annotated[Name, AfterValidator(_known_zone)] | None = None


class PasswordChange(Message):
    """The password of now, and the new one twice."""

    old: Secret
    password: Secret
    again: Secret


@router.get("")
async def show_account(visit: SignedIn) -> Response:
    """Also before there is a second factor."""
    return await _page(visit)


@router.post("")
async def change_account(visit: SignedIn) -> Response:
    """Change how one is called, and how pages are written."""
    wanted = visit.form.read(Self)
    if wanted is not None:
        change = partners.change_self(
            visit.db, visit.principal, name=wanted.name, language=wanted.language, zone=wanted.zone, now=visit.now
        )
        await visit.attempt(change)
        return visit.go(_HERE, N_("Your account is changed."))
    return await _page(visit)


@router.post("/password")
async def change_password(visit: SignedIn) -> Response:
    """All other sessions end."""
    wanted = visit.form.read(PasswordChange)
    if wanted is not None and wanted.password != wanted.again:
        visit.form.mistake("again", N_("This is not the same as above."))
    elif wanted is not None:
        await visit.made.attempts.sign_in(visit.origin.address, str(visit.principal.person()), known=True)
        changing = partners.change_password(
            visit.db, visit.principal, old=wanted.old, new=wanted.password, now=visit.now
        )
        await visit.attempt(changing)
        if visit.form.right:
            return visit.go(_HERE, N_("The password is changed. Your other sessions have ended."))
    return await _page(visit)


@router.post("/sessions/{session_id}/end")
async def end_session(session_id: str, visit: SignedIn) -> Response:
    """End one of one's own."""
    await partners.end_session(visit.db, visit.principal, named("session", session_id), visit.now)
    return visit.go(_HERE, N_("The session has ended."))


@router.post("/sessions/end")
async def end_others(visit: SignedIn) -> Response:
    """End all but the one that asks."""
    for row in await partners.sessions_of(visit.db, visit.principal, visit.now):
        if row.id != visit.principal.credential_id:
            await partners.end_session(visit.db, visit.principal, row.id, visit.now)
    return visit.go(_HERE, N_("Your other sessions have ended."))


@router.post("/recovery-codes")
async def renew_codes(visit: SignedIn) -> Response:
    """Show new recovery codes, this once; those of before are good for nothing."""
    codes = None
    if await visit.confirmed():
        me = await partners.user_of(visit.db, visit.principal, visit.principal.person(), lock=True)
        renewing = partners.renew_recovery_codes(visit.db, visit.made.desk.vault, visit.principal, me, visit.now)
        codes = await visit.attempt(renewing)
    return visit.page("account/codes.html", codes=codes)


@router.get("/recovery-codes")
async def show_codes(visit: SignedIn) -> Response:
    """Ask for new ones."""
    visit.require(Right.SITES_READ)
    return visit.page("account/codes.html", codes=None)


@router.get("/second-factor/remove")
async def ask_removal(visit: SignedIn) -> Response:
    """Ask before it is turned off."""
    visit.require(Right.SITES_READ)
    return visit.page("parts/ask.html", ask=_REMOVAL)


@router.post("/second-factor/remove")
async def remove_second_factor(visit: SignedIn) -> Response:
    """Turn it off; the vendor's people must keep theirs."""
    me = await partners.user_of(visit.db, visit.principal, visit.principal.person(), lock=True)
    removing = partners.remove_totp(visit.db, visit.principal, me, visit.now)
    return await do(visit, _REMOVAL, Right.SITES_READ, removing, N_("The second factor is off."))


_REMOVAL = Ask(
    title=N_("Turn off your second factor"),
    label=N_("Turn it off"),
    back=_HERE,
    about=N_("Your account"),
    consequences=(N_("From now on the password alone opens your account."),),
)


async def _page(visit: Signed) -> Response:
    rows = await partners.sessions_of(visit.db, visit.principal, visit.now)
    me = await partners.user_of(visit.db, visit.principal, visit.principal.person())
    return visit.page(_PAGE, sessions=rows, own_zone=me.zone, zones=[(zone, zone) for zone in zones()])
