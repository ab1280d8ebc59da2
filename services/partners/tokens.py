"""API tokens: `tdm_` and 43 random characters, so that secret scanners find them; only a hash is kept."""

import base64
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import ids
from services.errors import Absent, Invalid, Unauthenticated
from services.ids import new_id
from services.partners.audit import note
from services.partners.principal import TOKEN_RIGHTS, Origin, PartnerKind, Principal, Right
from services.partners.tables import ApiToken
from services.signing import digest

PREFIX = "tdm_"
_USED_STEP = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token, with the text that is shown this once."""

    token: ApiToken
    text: str


async def issue_token(
    db: AsyncSession, *, msp_id: UUID, name: str, now: datetime, expires_at: datetime | None = None
) -> str:
    """Make a token with every scope for an MSP's program, as the operator; it is shown this once."""
    row, text = _make(PartnerKind.MSP, msp_id, name, TOKEN_RIGHTS, "operator", now, expires_at)
    db.add(row)
    await db.flush()
    return text


async def add_token(
    db: AsyncSession,
    caller: Principal,
    *,
    name: str,
    scopes: Collection[Right],
    now: datetime,
    expires_at: datetime | None,
) -> IssuedToken:
    """Make a token for a program of the caller's partner; raises `Invalid` for a scope that the caller lacks."""
    if not set(scopes) <= (TOKEN_RIGHTS & caller.rights):
        raise Invalid("A token cannot have this scope.", pointer="/scopes")
    if expires_at is not None and expires_at <= now:
        raise Invalid("The expiry is in the past.", pointer="/expires_at")
    row, text = _make(caller.kind, caller.partner_id, name, scopes, caller.actor, now, expires_at)
    db.add(row)
    await note(db, caller, "token.created", ids.show("token", row.id), after=_said(row), now=now)
    await db.flush()
    return IssuedToken(row, text)


async def tokens_of(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> list[ApiToken]:
    """Give a page of the tokens of the caller's partner, oldest first, revoked ones too."""
    query = select(ApiToken).where(_own(caller)).order_by(ApiToken.id).limit(limit)
    return list(await db.scalars(query if after is None else query.where(ApiToken.id > after)))


async def token_of(db: AsyncSession, caller: Principal, token_id: UUID) -> ApiToken:
    """Give one token and lock it; raises `Absent` also for a stranger's."""
    row = await db.scalar(select(ApiToken).where(ApiToken.id == token_id, _own(caller)).with_for_update())
    if row is None:
        raise Absent
    return row


async def revoke_token(db: AsyncSession, caller: Principal, token_id: UUID, now: datetime) -> None:
    """End a token at once. Twice is once."""
    row = await token_of(db, caller, token_id)
    if row.revoked_at is None:
        row.revoked_at = now
        await note(db, caller, "token.revoked", ids.show("token", row.id), before=_said(row), now=now)


async def rotate_token(
    db: AsyncSession, caller: Principal, token_id: UUID, *, overlap: timedelta, now: datetime
) -> IssuedToken:
    """Make a token that takes another's place; the old one goes on for the overlap. Raises `Absent` for a dead one."""
    old = await token_of(db, caller, token_id)
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Absent
    lasting = old.expires_at - old.created_at if old.expires_at else None
    scopes = [Right(scope) for scope in old.scopes]
    row, text = _make(
        caller.kind, caller.partner_id, old.name, scopes, caller.actor, now, now + lasting if lasting else None
    )
    db.add(row)
    old.expires_at = min(old.expires_at or now + overlap, now + overlap)
    await note(db, caller, "token.rotated", ids.show("token", old.id), before=_said(old), after=_said(row), now=now)
    await db.flush()
    return IssuedToken(row, text)


async def principal_of(db: AsyncSession, token: str, now: datetime, origin: Origin | None = None) -> Principal:
    """Give who a token stands for; raises `Unauthenticated`."""
    if not token.startswith(PREFIX):
        raise Unauthenticated
    alive = or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now)
    row = await db.scalar(
        select(ApiToken).where(ApiToken.token_sha256 == digest(token), ApiToken.revoked_at.is_(None), alive)
    )
    if row is None:
        raise Unauthenticated
    if row.last_used_at is None or now - row.last_used_at >= _USED_STEP:
        row.last_used_at = now
        await db.flush()
    rights = frozenset(Right(scope) for scope in row.scopes)
    return replace(
        Principal(row.partner_id, row.id, PartnerKind(row.partner_kind), rights, at=now), origin=origin or Origin()
    )


def _make(
    kind: PartnerKind,
    partner_id: UUID,
    name: str,
    scopes: Collection[Right],
    created_by: str,
    now: datetime,
    expires_at: datetime | None,
) -> tuple[ApiToken, str]:
    text = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    row = ApiToken(
        id=new_id(now),
        partner_kind=kind,
        partner_id=partner_id,
        name=name,
        hint=text[-4:],
        scopes=sorted(scopes),
        token_sha256=digest(text),
        created_at=now,
        created_by=created_by,
        expires_at=expires_at,
    )
    return row, text


def _own(caller: Principal) -> ColumnElement[bool]:
    return and_(ApiToken.partner_kind == caller.kind, ApiToken.partner_id == caller.partner_id)


def _said(row: ApiToken) -> dict[str, object]:
    return {"name": row.name, "scopes": row.scopes, "expires_at": row.expires_at and row.expires_at.isoformat()}
