"""An installation's credential: told to, it offers the next one; the old one holds until that has been used."""

from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.sites import commands
from services.sites.tables import Installation
from services.usage import Line, LineId


async def offer(db: AsyncSession, line_id: LineId, offered: bytes, now: datetime) -> list[dict[str, Any]]:
    """Keep what an installation offers as its next credential; a notice says if it was not asked to."""
    site_id, installation_id, _ = line_id
    if await commands.open_rotation(db, site_id, installation_id, now) is None:
        return [{"code": "credential_ignored"}]
    own = (Line.site_id == site_id, Line.installation_id == installation_id)
    await db.execute(update(Line).where(*own).values(next_credential_sha256=offered))
    return []


async def take_over(db: AsyncSession, line_id: LineId, used: bytes, now: datetime) -> None:
    """Put the next credential in force: it has been used, so the installation has it."""
    site_id, installation_id, _ = line_id
    lines = (Line.site_id == site_id, Line.installation_id == installation_id)
    await db.execute(update(Line).where(*lines).values(credential_sha256=used, next_credential_sha256=None))
    own = (Installation.site_id == site_id, Installation.installation_id == installation_id)
    await db.execute(update(Installation).where(*own).values(credential_sha256=used))
    key = await keys.of_site_for_update(db, site_id)
    keys.note(db, key, "credential_changed", actor="site", now=now, reason=str(installation_id))
    command = await commands.open_rotation(db, site_id, installation_id, now)
    if command is not None:
        await commands.end(db, command, "done", "", now)
