"""A credential that is changed on command: what the site offers is in force once it is used.

Until then the old one holds, so a lost answer locks nobody out.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.signing import same
from services.sites import commands
from services.sites.heartbeat import Result
from services.sites.tables import Installation
from services.usage import Line


async def offer(db: AsyncSession, site_id: UUID, installation_id: UUID, sha256: bytes, now: datetime) -> None:
    """Keep the offered credential, if it was asked for; else it is ignored."""
    if await commands.waits(db, site_id, installation_id, commands.ROTATE, now) is not None:
        own = (Installation.site_id == site_id, Installation.installation_id == installation_id)
        await db.execute(update(Installation).where(*own).values(next_credential_sha256=sha256))


async def is_next(db: AsyncSession, site_id: UUID, installation_id: UUID, sha256: bytes, now: datetime) -> bool:
    """Tell whether a credential is the one that was offered; from now on it is the installation's own."""
    own = (Installation.site_id == site_id, Installation.installation_id == installation_id)
    offered = await db.scalar(select(Installation.next_credential_sha256).where(*own))
    if offered is None or not same(offered, sha256):
        return False
    values = {"credential_sha256": sha256, "next_credential_sha256": None}
    await db.execute(update(Installation).where(*own).values(values))
    lines = (Line.site_id == site_id, Line.installation_id == installation_id)
    await db.execute(update(Line).where(*lines).values(credential_sha256=sha256))
    waiting = await commands.waits(db, site_id, installation_id, commands.ROTATE, now)
    if waiting is not None:
        result = Result(waiting, "done", "the new credential is in use")
        await commands.take_results(db, site_id, installation_id, [result], now)
    return True
