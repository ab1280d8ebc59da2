"""Flags: what partners should know of a site beside its figures, which no flag changes."""

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.keys import Key
from services.partners import Principal
from services.sites.tables import SiteFlag

Flag = Literal["clone_suspected", "implausible"]
CLONE: Flag = "clone_suspected"
IMPLAUSIBLE: Flag = "implausible"


class Flagged(NamedTuple):
    """A site with a flag up, and whose it is."""

    site_id: UUID
    name: str
    msp_id: UUID
    from_at: datetime
    detail: str


async def flagged(db: AsyncSession, principal: Principal, flag: Flag, *, limit: int) -> list[Flagged]:
    """Give the sites that the principal sees with a flag up, the latest first."""
    up = (SiteFlag.flag == flag, SiteFlag.until_at.is_(None), partners.visible_to(principal, SiteFlag.site_id))
    query = select(SiteFlag.site_id, Key.name, Key.msp_id, SiteFlag.from_at, SiteFlag.detail)
    query = query.join(Key, Key.site_id == SiteFlag.site_id).where(*up).order_by(SiteFlag.from_at.desc()).limit(limit)
    return [Flagged(*row) for row in await db.execute(query)]


async def flags_of(db: AsyncSession, principal: Principal, site_id: UUID) -> list[SiteFlag]:
    """Give the flags of a site that are up."""
    own = (SiteFlag.site_id == site_id, partners.visible_to(principal, SiteFlag.site_id), SiteFlag.until_at.is_(None))
    return list(await db.scalars(select(SiteFlag).where(*own).order_by(SiteFlag.flag)))


async def raise_flag(db: AsyncSession, site_id: UUID, flag: Flag, detail: str, now: datetime) -> bool:
    """Raise a flag; False if it is up already, whose detail is then the new one. The caller holds the site's lines."""
    row = await _up(db, site_id, flag)
    if row is not None:
        row.detail = detail
        return False
    db.add(SiteFlag(site_id=site_id, flag=flag, from_at=now, until_at=None, detail=detail))
    await db.flush()
    return True


async def _up(db: AsyncSession, site_id: UUID, flag: Flag) -> SiteFlag | None:
    return await db.scalar(
        select(SiteFlag).where(SiteFlag.site_id == site_id, SiteFlag.flag == flag, SiteFlag.until_at.is_(None))
    )
