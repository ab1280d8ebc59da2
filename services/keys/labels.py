"""What a key was called: a report is about its period, so it has the name, reference and code of the period's end."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services.ids import new_id
from services.keys.tables import Key, KeyLabel


def keep(db: AsyncSession, key: Key, until: datetime, now: datetime) -> None:
    """Keep what a key is called now, before it is called otherwise from an instant on."""
    db.add(
        KeyLabel(
            site_id=key.site_id,
            id=new_id(now),
            key_id=key.id,
            until_at=until,
            name=key.name,
            reference=key.reference,
            code_masked=key.code_masked,
        )
    )
