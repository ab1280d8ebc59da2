"""Signing in and out, a new password, an invitation, a registration's address: the pages before the door.

A password that is right but needs a code is carried to the next form sealed, and is good there for five minutes.
"""

import json
from datetime import datetime, timedelta

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from license_api.console import cookies
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn, Visit, Visitor
from license_api.v1.fields import Email, Language, Message, Name, Secret
from services import partners
from services.errors import Unauthenticated
from services.partners import CodeNeeded, CodeWrong
from services.partners import SignedIn as Begun
from services.signing import SealBroken

router = APIRouter(route_class=PageRoute)
_CARRIED = b"sign-in form"
_CARRIED_FOR = timedelta(minutes=5)
_PROGRAM_MAX = 500


class Password(Message):
    """What one signs in with."""

    email: Email
    password: Secret


class Code(Message):
    """What one signs in with beside."""

    code: Secret


class Address(Message):
    """Whose password is to be new."""

    email: Email


class NewPassword(Message):
    """The token of the letter's link, and the new password twice."""

    token: Secret
    password: Secret
    again: Secret = Field(default="")


class Acceptance(NewPassword):
    """One's own name beside."""

    name: Name


class Token(Message):
    """The token of the letter's link."""

    token: Secret


@router.get("/sign-in")
async def show_sign_in(visit: Visitor) -> Response:
    """Who is signed in already may sign in as somebody else."""
    return visit.page("signing_in/sign_in.html", next=_next(visit), carried="")


@router.post("/sign-in")
async def sign_in(visit: Visitor) -> Response:
    """First the password; then, where there is a second factor, its code."""
    given, code = _given(visit)
    if given is None or (visit.form.get("carried") and code is None):
        return visit.page("signing_in/sign_in.html", next=_next(visit), carried=visit.form.get("carried"))
    begun = await visit.attempt(_begin(visit, given, code))
    if begun is not None:
        return await _enter(visit, begun)
    if isinstance(visit.form.refusal, CodeNeeded | CodeWrong):
        if isinstance(visit.form.refusal, CodeNeeded):
            visit.form.refusal = None
        return visit.page("signing_in/code.html", next=_next(visit), carried=_carry(visit, given))
    return visit.page("signing_in/sign_in.html", next=_next(visit), carried="")


@router.post("/sign-out")
async def sign_out(visit: SignedIn) -> Response:
    """End the session."""
    await partners.end_session(visit.db, visit.principal, visit.principal.credential_id, visit.now)
    response = visit.go("/sign-in", N_("You have signed out."))
    cookies.end(visit.request, response)
    return response


@router.get("/password/forgotten")
async def show_forgotten(visit: Visitor) -> Response:
    """Ask for a letter."""
    return visit.page("signing_in/forgotten.html", done=False)


@router.post("/password/forgotten")
async def forgotten(visit: Visitor) -> Response:
    """The answer is the same whoever the address is."""
    wish = visit.form.read(Address)
    if wish is not None:
        vault = visit.made.desk.vault
        language: Language = "en" if visit.language == "en" else "it"
        asked = partners.request_password_reset(visit.db, vault, email=wish.email, language=language, now=visit.now)
        await visit.attempt(asked)
    return visit.page("signing_in/forgotten.html", done=visit.form.right)


@router.get("/password/new")
async def show_new_password(visit: Visitor, token: str = "") -> Response:
    """Where the letter's link leads."""
    return visit.page("signing_in/new_password.html", token=token)


@router.post("/password/new")
async def new_password(visit: Visitor) -> Response:
    """All sessions end; the new password opens the next."""
    wanted = _twice(visit, visit.form.read(NewPassword))
    if wanted is not None:
        await visit.made.attempts.link(visit.origin.address)
        setting = partners.set_new_password(
            visit.db, token=wanted.token, password=wanted.password, origin=visit.origin, now=visit.now
        )
        await visit.attempt(setting)
        if visit.form.right:
            return visit.go("/sign-in", N_("The new password is set. Sign in with it."))
    return visit.page("signing_in/new_password.html", token=visit.form.get("token"))


@router.get("/invitations/accept")
async def show_invitation(visit: Visitor, token: str = "") -> Response:
    """Where the letter's link leads."""
    return visit.page("signing_in/invitation.html", token=token)


@router.post("/invitations/accept")
async def accept_invitation(visit: Visitor) -> Response:
    """Become a user; signing in comes next."""
    wanted = _twice(visit, visit.form.read(Acceptance))
    if isinstance(wanted, Acceptance):
        await visit.made.attempts.link(visit.origin.address)
        accepting = partners.accept_invitation(
            visit.db, token=wanted.token, name=wanted.name, password=wanted.password, now=visit.now
        )
        await visit.attempt(accepting)
        if visit.form.right:
            return visit.go("/sign-in", N_("Welcome. Sign in with your address and the password you chose."))
    return visit.page("signing_in/invitation.html", token=visit.form.get("token"))


@router.get("/registrations/confirm")
async def show_confirmation(visit: Visitor, token: str = "") -> Response:
    """Where the letter's link leads: mail scanners follow links, so it is confirmed by a button."""
    return visit.page("signing_in/registration.html", token=token, done=False)


@router.post("/registrations/confirm")
async def confirm_registration(visit: Visitor) -> Response:
    """The address is right; the Partner Team looks at the registration."""
    wanted = visit.form.read(Token)
    if wanted is not None:
        await visit.made.attempts.link(visit.origin.address)
        await visit.attempt(
            partners.verify_registration(visit.db, token=wanted.token, origin=visit.origin, now=visit.now)
        )
    return visit.page("signing_in/registration.html", token=visit.form.get("token"), done=visit.form.right)


def _given(visit: Visit) -> tuple[Password | None, str | None]:
    """Give address and password, from the form or carried, and the code if it was asked for."""
    carried = visit.form.get("carried")
    if not carried:
        return visit.form.read(Password), None
    code = visit.form.read(Code)
    try:
        kept = json.loads(visit.made.desk.vault.open(bytes.fromhex(carried), _CARRIED))
    except (SealBroken, ValueError):
        return None, None
    if visit.now - datetime.fromisoformat(kept["at"]) > _CARRIED_FOR:
        visit.form.mistake("email", N_("That took too long. Please sign in again."))
        return None, None
    return Password(email=kept["email"], password=kept["password"]), code.code if code else None


def _carry(visit: Visit, given: Password) -> str:
    kept = json.dumps({"email": given.email, "password": given.password, "at": visit.now.isoformat()})
    return visit.made.desk.vault.seal(kept.encode(), _CARRIED).hex()


async def _begin(visit: Visit, given: Password, code: str | None) -> Begun:
    attempts, address = visit.made.attempts, visit.origin.address
    known = await partners.is_known_network(visit.db, given.email, address, visit.now)
    await attempts.sign_in(address, given.email, known=known)
    program = visit.request.headers.get("user-agent", "")[:_PROGRAM_MAX] or None
    begun = await partners.sign_in(
        visit.db,
        visit.made.desk.vault,
        email=given.email,
        password=given.password,
        code=code,
        origin=visit.origin,
        program=program,
        now=visit.now,
    )
    await attempts.signed_in(address, given.email)
    return begun


async def _enter(visit: Visit, begun: Begun) -> Response:
    """Give the new session in place of the old one, which ends."""
    await _end_old(visit.request, visit)
    response = visit.go(_next(visit) or "/")
    cookies.begin(visit.request, response, begun.secret)
    return response


async def _end_old(request: Request, visit: Visit) -> None:
    secret = cookies.session_secret(request)
    if secret is None:
        return
    try:
        old = await partners.principal_of_session(visit.db, secret, visit.now)
    except Unauthenticated:
        return
    await partners.end_session(visit.db, old, old.credential_id, visit.now)


def _next(visit: Visit) -> str:
    """Give where to go after signing in: a page of this console, or nothing."""
    wanted = visit.form.get("next") or visit.request.query_params.get("next", "")
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if ours and "\\" not in wanted else ""


def _twice(visit: Visit, wanted: NewPassword | None) -> NewPassword | None:
    if wanted is not None and wanted.password != wanted.again:
        visit.form.mistake("again", N_("This is not the same as above."))
        return None
    return wanted
