"""Flags: what partners should know of a site beside its figures, which no flag changes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.sites.tables import SiteFlag

Flag = Literal["clone_suspected", "implausible"]
CLONE: Flag = "clone_suspected"
IMPLAUSIBLE: Flag = "implausible"


async def raise_flag(db: AsyncSession, site_id: UUID, flag: Flag, detail: str, now: datetime) -> bool:
    """Raise a flag; False if it is up already, whose detail is then the new one. The caller holds the site's lines."""
    row = await _up(db, site_id, flag)
    if row is not None:
        row.detail = detail
        return False
    db.add(SiteFlag(site_id=site_id, flag=flag, from_at=now, until_at=None, detail=detail))
    await db.flush()
    return True


async def flags_in(db: AsyncSession, site_id: UUID, *, start: datetime, end: datetime, by: datetime) -> list[SiteFlag]:
    """Give the flags that were up in `[start, end)`, as raised by an instant."""
    rows = await db.scalars(
        select(SiteFlag)
        .where(
            SiteFlag.site_id == site_id,
            SiteFlag.from_at < end,
            SiteFlag.from_at <= by,
            or_(SiteFlag.until_at.is_(None), SiteFlag.until_at > start),
        )
        .order_by(SiteFlag.from_at, SiteFlag.flag)
    )
    return list(rows)


async def _up(db: AsyncSession, site_id: UUID, flag: Flag) -> SiteFlag | None:
    return await db.scalar(
        select(SiteFlag).where(SiteFlag.site_id == site_id, SiteFlag.flag == flag, SiteFlag.until_at.is_(None))
    )
