"""API tokens of one's partner: made for a program and shown once, rotated without a gap, revoked at once."""

from datetime import date as Date
from datetime import datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from license_api.console.asking import Ask, ask, do
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import Message, Name
from license_api.v1.pages import cursor, named
from services import ids, partners
from services.partners import TOKEN_RIGHTS, ApiToken, Right

router = APIRouter(prefix="/tokens", route_class=PageRoute)
_ROWS, _HERE = 50, "/tokens"
_OVERLAPS = ("0", "1", "24", "168", "720")


class NewToken(Message):
    """A token for one program: what it may do, and until which day (none: until it is revoked)."""

    name: Name
    scopes: Annotated[list[Right], Field(min_length=1)]
    expires_on: Date | None = None


class Rotation(Message):
    """How long the old token goes on beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=24 * 30)]


@router.get("")
async def list_tokens(visit: SignedIn, after: str | None = None) -> Response:
    """All of them, revoked ones too."""
    visit.require(Right.PEOPLE_READ)
    rows = await partners.tokens_of(visit.db, visit.principal, after=cursor("token", after or None), limit=_ROWS)
    last = ids.show("token", rows[-1].id) if len(rows) == _ROWS else None
    return visit.page("tokens/list.html", rows=rows, after=after, last=last)


@router.get("/new")
async def show_new(visit: SignedIn) -> Response:
    """Ask what it may do."""
    visit.require(Right.PEOPLE_ADMIN)
    return visit.page("tokens/new.html", scopes=_scopes(visit))


@router.post("")
async def create_token(visit: SignedIn) -> Response:
    """Make it, and show its text, this once."""
    visit.require(Right.PEOPLE_ADMIN)
    wanted = visit.form.read(NewToken, scopes=visit.form.every("scopes"))
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        expires_at = _end_of(wanted.expires_on, visit.zone) if wanted.expires_on else None
        adding = partners.add_token(
            visit.db, visit.principal, name=wanted.name, scopes=wanted.scopes, now=visit.now, expires_at=expires_at
        )
        issued = await visit.attempt(adding)
        if issued is not None:
            return visit.page("tokens/shown.html", token=issued.token, text=issued.text, until=None)
    return visit.page("tokens/new.html", scopes=_scopes(visit))


@router.get("/{token_id}/rotate")
async def ask_rotation(token_id: str, visit: SignedIn) -> Response:
    """Ask how long both are good."""
    visit.require(Right.PEOPLE_ADMIN)
    return visit.page("tokens/rotate.html", token=await _one(visit, token_id), overlaps=_OVERLAPS)


@router.post("/{token_id}/rotate")
async def rotate_token(token_id: str, visit: SignedIn) -> Response:
    """Make a token in another's place, and show its text, this once."""
    visit.require(Right.PEOPLE_ADMIN)
    old, wanted = await _one(visit, token_id), visit.form.read(Rotation)
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        overlap = timedelta(hours=wanted.overlap_hours)
        rotating = partners.rotate_token(visit.db, visit.principal, old.id, overlap=overlap, now=visit.now)
        issued = await visit.attempt(rotating)
        if issued is not None:
            return visit.page("tokens/shown.html", token=issued.token, text=issued.text, until=old.expires_at)
    return visit.page("tokens/rotate.html", token=old, overlaps=_OVERLAPS)


@router.get("/{token_id}/revoke")
async def ask_revocation(token_id: str, visit: SignedIn) -> Response:
    """Say what stops."""
    visit.require(Right.PEOPLE_ADMIN)
    return ask(visit, _revocation(await _one(visit, token_id)))


@router.post("/{token_id}/revoke")
async def revoke_token(token_id: str, visit: SignedIn) -> Response:
    """At once; it stays in the list."""
    visit.require(Right.PEOPLE_ADMIN)
    row = await _one(visit, token_id)
    revoking = partners.revoke_token(visit.db, visit.principal, row.id, visit.now)
    return await do(visit, _revocation(row), Right.PEOPLE_ADMIN, revoking, N_("The token is revoked."))


async def _one(visit: Signed, token_id: str) -> ApiToken:
    return await partners.token_of(visit.db, visit.principal, named("token", token_id))


def _revocation(row: ApiToken) -> Ask:
    return Ask(
        title=N_("Revoke the token"),
        label=N_("Revoke the token"),
        back=_HERE,
        about=row.name,
        consequences=(
            N_("Programs that use it are refused from now on."),
            N_("This cannot be taken back; a new token can be made at any time."),
        ),
    )


def _scopes(visit: Signed) -> list[Right]:
    return sorted(TOKEN_RIGHTS & visit.rights)


def _end_of(day: Date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), zone)
