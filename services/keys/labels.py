"""What a key was called: a report is about its period, so it has the name, reference and code of the period's end."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.ids import new_id
from services.keys.tables import Key, KeyLabel


def keep(db: AsyncSession, key: Key, now: datetime) -> None:
    """Keep what a key is called, before it is called otherwise from now on."""
    _add(db, key, key, now, now)


async def keep_until(db: AsyncSession, key: Key, until: datetime, now: datetime) -> None:
    """Keep what a key was called at an instant that may be past: it may have been called otherwise since."""
    later = (KeyLabel.site_id == key.site_id, KeyLabel.key_id == key.id, KeyLabel.until_at >= until)
    was = await db.scalar(select(KeyLabel).where(*later).order_by(KeyLabel.until_at, KeyLabel.id).limit(1))
    _add(db, key, was or key, until, now)


def _add(db: AsyncSession, key: Key, was: Key | KeyLabel, until: datetime, now: datetime) -> None:
    db.add(
        KeyLabel(
            site_id=key.site_id,
            id=new_id(now),
            key_id=key.id,
            until_at=until,
            name=was.name,
            reference=was.reference,
            code_masked=was.code_masked,
        )
    )
