"""Addresses of machines: kept for twelve months, to tell two machines of one identity apart, and erased then.

They stand at activations, at sightings of lines and in letters that show both machines of a clone; events hold none.
"""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.sites import letters
from services.sites.tables import Installation, LineSighting

KEPT = timedelta(days=366)


async def erase_old(db: AsyncSession, now: datetime) -> None:
    """Erase the addresses that are older."""
    past = now - KEPT
    activated = update(Installation).where(Installation.address.is_not(None), Installation.activated_at <= past)
    await db.execute(activated.values(address=None))
    await delivery.empty_letters(db, letters.CLONE, past)
    sighted = update(LineSighting).where(LineSighting.address.is_not(None), LineSighting.at <= past)
    await db.execute(sighted.values(address=None))
