"""Clones: two machines that run on copies of one disk. Nobody is locked out by it; the MSP is shown both.

A line that was resumed from another one is a restored image if it alone speaks from then on. If the line that it left
is heard again, both are alive: a clone.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.keys import Key
from services.sites import flags, letters
from services.sites.tables import Installation, LineSighting
from services.usage import Line


@dataclass(frozen=True, slots=True)
class Twin:
    """One of the machines: where it was seen, under which name, and when it was heard first and last."""

    line: int
    address: str | None
    hostname: str | None
    first_contact_at: datetime
    last_contact_at: datetime


async def sighted(
    db: AsyncSession,
    site_id: UUID,
    installation_id: UUID,
    line: int,
    *,
    address: str | None,
    hostname: str | None,
    now: datetime,
) -> None:
    """Keep from where a line was heard."""
    row = {"at": now, "address": address, "hostname": hostname}
    seen = insert(LineSighting).values(site_id=site_id, installation_id=installation_id, line=line, **row)
    keys = ["site_id", "installation_id", "line"]
    await db.execute(seen.on_conflict_do_update(index_elements=keys, set_=row))


async def look(db: AsyncSession, key: Key, installation_id: UUID, line: int, now: datetime) -> bool:
    """Flag a clone if a line that was just heard is one that another was resumed from before."""
    children = await db.scalars(
        select(Line).where(Line.site_id == key.site_id, Line.installation_id == installation_id, Line.parent == line)
    )
    if not any(child.opened_at is not None and child.opened_at <= now for child in children):
        return False
    twins = await twins_of(db, key.site_id, installation_id)
    detail = "; ".join(_describe(twin) for twin in twins)
    if await flags.raise_flag(db, key.site_id, flags.CLONE, detail, now):
        await letters.tell(db, letters.CLONE, key, {"machines": detail}, now)
    return True


async def twins_of(db: AsyncSession, site_id: UUID, installation_id: UUID) -> list[Twin]:
    """Give the lines of an installation that share a past, oldest first; empty if there is but one."""
    lines = list(
        await db.scalars(
            select(Line)
            .where(Line.site_id == site_id, Line.installation_id == installation_id)
            .order_by(Line.line)
            .execution_options(populate_existing=True)
        )
    )
    parents = {line.parent for line in lines}
    forked = [line for line in lines if line.parent is not None or line.line in parents]
    rows = await db.scalars(
        select(LineSighting).where(LineSighting.site_id == site_id, LineSighting.installation_id == installation_id)
    )
    seen = {row.line: row for row in rows}
    installation = await db.get(Installation, (site_id, installation_id))
    hostname = installation.hostname if installation else None
    return [_twin(line, seen.get(line.line), hostname) for line in forked]


def _twin(line: Line, seen: LineSighting | None, hostname: str | None) -> Twin:
    return Twin(
        line=line.line,
        address=seen.address if seen else None,
        hostname=(seen.hostname if seen else None) or hostname,
        first_contact_at=line.opened_at or line.begins_at,
        last_contact_at=line.last_contact_at,
    )


def _describe(twin: Twin) -> str:
    where = f"{twin.hostname or '?'} at {twin.address or '?'}"
    return f"{where}, {twin.first_contact_at:%Y-%m-%d %H:%M} to {twin.last_contact_at:%Y-%m-%d %H:%M} UTC"
