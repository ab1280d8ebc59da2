"""What does not count: stretches in which an installation's reports are kept as evidence and make no figure."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.usage.tables import UncountedStretch


async def stop_counting(db: AsyncSession, site_id: UUID, installation_id: UUID, at: datetime, why: str) -> None:
    """Count nothing of the installation from an instant on; the earlier of two such instants holds."""
    if await db.scalar(select(exists().where(_open(site_id, installation_id)))):
        # What had ended and begins no sooner lies in the open one from now on.
        await db.execute(delete(UncountedStretch).where(_ended_since(site_id, installation_id, at)))
        earlier = func.least(UncountedStretch.from_at, at)
        await db.execute(update(UncountedStretch).where(_open(site_id, installation_id)).values(from_at=earlier))
        return
    row = {"site_id": site_id, "installation_id": installation_id, "from_at": at, "until_at": None, "why": why}
    stretch = insert(UncountedStretch).values(row)
    key = ["site_id", "installation_id", "from_at"]
    await db.execute(stretch.on_conflict_do_update(index_elements=key, set_={"until_at": None, "why": why}))


async def count_again(db: AsyncSession, site_id: UUID, installation_id: UUID, at: datetime) -> None:
    """Count the installation again from an instant on."""
    until = func.greatest(UncountedStretch.from_at, at)
    await db.execute(update(UncountedStretch).where(_open(site_id, installation_id)).values(until_at=until))


def _ended_since(site_id: UUID, installation_id: UUID, at: datetime) -> ColumnElement[bool]:
    return and_(
        UncountedStretch.site_id == site_id,
        UncountedStretch.installation_id == installation_id,
        UncountedStretch.until_at.is_not(None),
        UncountedStretch.from_at >= at,
    )


def _open(site_id: UUID, installation_id: UUID) -> ColumnElement[bool]:
    return and_(
        UncountedStretch.site_id == site_id,
        UncountedStretch.installation_id == installation_id,
        UncountedStretch.until_at.is_(None),
    )
