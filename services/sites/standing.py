"""How a site stands: what its lines are told of its key, written there by whoever changes the key.

Lock order everywhere: lines, then the key, then timers.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.keys import Key
from services.sites.tables import SilenceTimer
from services.usage import Line


async def tell(db: AsyncSession, key: Key) -> None:
    """Write the key's state into the lines of its site."""
    stale = update(Line).where(Line.site_id == key.site_id, Line.told_state != key.state)
    await db.execute(stale.values(told_state=key.state))


async def heard_again(
    db: AsyncSession, key: Key, installation_id: UUID, disable_after_seconds: int, now: datetime
) -> None:
    """Enable a key that silence had disabled, unless it is suspended or revoked. Twice is once."""
    if key.disabled_at is None or key.suspended_at is not None or key.revoked_at is not None:
        return
    keys.enable(db, key, now=now)
    await tell(db, key)
    await arm(db, key.site_id, installation_id, now + timedelta(seconds=disable_after_seconds))


async def arm(db: AsyncSession, site_id: UUID, installation_id: UUID, due_at: datetime) -> None:
    """Set when to look whether the installation has fallen silent."""
    timer = insert(SilenceTimer).values(site_id=site_id, installation_id=installation_id, due_at=due_at)
    await db.execute(
        timer.on_conflict_do_update(index_elements=["site_id", "installation_id"], set_={"due_at": due_at})
    )
