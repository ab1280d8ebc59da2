"""API tokens: made by an admin, for programs."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import Instant, InstantText, Message, Name, Said, TokenIdText
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, partners
from services.errors import Absent, Invalid
from services.partners import ApiToken, FreshSignInNeeded, IdempotencyKeyReused, IssuedToken, Right

router = APIRouter(tags=["tokens"], route_class=OnceRoute)


class NewToken(Message):
    """A token for one program: what it may do, and until when (no date: until it is revoked)."""

    name: Name
    scopes: Annotated[list[Right], Field(min_length=1, max_length=20)]
    expires_at: InstantText | None = None


class Rotation(Message):
    """How long the old token goes on beside the new one."""

    overlap_hours: Annotated[int, Field(strict=True, ge=0, le=24 * 30)] = 24


class TokenShown(Said):
    """A token; of its text only the end is known."""

    id: TokenIdText
    name: str
    hint: str = Field(description="The token's last four characters.")
    scopes: list[Right]
    created_at: Instant
    created_by: str
    expires_at: Instant | None
    last_used_at: Instant | None = Field(description="To within five minutes.")
    revoked_at: Instant | None


class TokenIssued(TokenShown):
    """A new token; its text is given this once."""

    token: str


class TokenPage(Said):
    """A page of tokens."""

    items: list[TokenShown]


@router.post(
    "/v1/tokens",
    operation_id="createToken",
    summary="Make a token for a program",
    status_code=201,
    dependencies=[Once],
    responses=described(FreshSignInNeeded, IdempotencyKeyReused, Invalid, *CALLER_REFUSALS),
)
async def create_token(body: NewToken, caller: Caller, db: Db, now: Now) -> TokenIssued:
    """It begins with `tdm_`, so that secret scanners find it where it should not be."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    expires_at = datetime.fromisoformat(body.expires_at) if body.expires_at else None
    issued = await partners.add_token(db, caller, name=body.name, scopes=body.scopes, now=now, expires_at=expires_at)
    return _issued(issued)


@router.get(
    "/v1/tokens",
    operation_id="listTokens",
    summary="The tokens of your partner",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_tokens(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> TokenPage:
    """Oldest first, revoked ones too."""
    caller.require(Right.PEOPLE_READ)
    rows = await partners.tokens_of(db, caller, after=cursor("token", after), limit=limit)
    link_next(request, response, rows, limit, lambda token: ids.show("token", token.id))
    return TokenPage(items=[TokenShown(**_token(row)) for row in rows])


@router.delete(
    "/v1/tokens/{token_id}",
    operation_id="revokeToken",
    summary="Revoke a token at once",
    status_code=204,
    responses=described(Absent, FreshSignInNeeded, *CALLER_REFUSALS),
)
async def revoke_token(token_id: str, caller: Caller, db: Db, now: Now) -> None:
    """It stays in the list, with the date."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    await partners.revoke_token(db, caller, named("token", token_id), now)


@router.post(
    "/v1/tokens/{token_id}/rotation",
    operation_id="rotateToken",
    summary="Make a token in another's place",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, FreshSignInNeeded, IdempotencyKeyReused, Invalid, *CALLER_REFUSALS),
)
async def rotate_token(token_id: str, body: Rotation, caller: Caller, db: Db, now: Now) -> TokenIssued:
    """Both are good for the overlap, so that a program can change over without a gap."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    overlap = timedelta(hours=body.overlap_hours)
    return _issued(await partners.rotate_token(db, caller, named("token", token_id), overlap=overlap, now=now))


def _issued(issued: IssuedToken) -> TokenIssued:
    return TokenIssued(**_token(issued.token), token=issued.text)


def _token(row: ApiToken) -> dict[str, Any]:
    return {
        "id": ids.show("token", row.id),
        "name": row.name,
        "hint": row.hint,
        "scopes": row.scopes,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
        "revoked_at": row.revoked_at,
    }
