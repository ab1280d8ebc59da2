"""Addresses of machines: kept for twelve months, to tell two machines of one identity apart, and erased then."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from services.sites.tables import Installation, LineSighting

KEPT = timedelta(days=366)


async def erase_old(db: AsyncSession, now: datetime) -> None:
    """Erase the addresses that are older."""
    past = now - KEPT
    activated = update(Installation).where(Installation.address.is_not(None), Installation.activated_at <= past)
    await db.execute(activated.values(address=None))
    sighted = update(LineSighting).where(LineSighting.address.is_not(None), LineSighting.at <= past)
    await db.execute(sighted.values(address=None))
