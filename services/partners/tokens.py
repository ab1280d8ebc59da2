"""API tokens: `tdm_` and 43 random characters, so that secret scanners find them; only a hash is kept."""

import base64
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Unauthenticated
from services.ids import new_id
from services.partners.scope import Principal
from services.partners.tables import ApiToken
from services.signing import digest

_PREFIX = "tdm_"


async def issue_token(
    db: AsyncSession, *, msp_id: UUID, name: str, now: datetime, expires_at: datetime | None = None
) -> str:
    """Make a token for an MSP's program; it is shown this once."""
    token = _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    db.add(
        ApiToken(
            id=new_id(now),
            msp_id=msp_id,
            name=name,
            token_sha256=digest(token),
            created_at=now,
            expires_at=expires_at,
        )
    )
    await db.flush()
    return token


async def principal_of(db: AsyncSession, token: str, now: datetime) -> Principal:
    """Give who a token stands for; raises `Unauthenticated`."""
    if not token.startswith(_PREFIX):
        raise Unauthenticated
    alive = or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now)
    row = await db.scalar(select(ApiToken).where(ApiToken.token_sha256 == digest(token), alive))
    if row is None:
        raise Unauthenticated
    return Principal(row.msp_id, row.id)
