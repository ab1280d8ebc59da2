"""Clones: two machines that run on copies of one disk. Nobody is locked out by it; the MSP is shown both.

A line that was resumed from another one is a restored image if it alone speaks from then on. If a line of before is
heard again, both are alive: a clone.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.keys import Key
from services.sites import flags, letters
from services.sites.findings import Clone, Machine
from services.sites.tables import Installation, LineSighting
from services.usage import Line


@dataclass(frozen=True, slots=True)
class Twin:
    """One of the machines: where it was seen, under which name, and when it was heard first and last."""

    installation_id: UUID
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
    """Flag a clone if a line that was just heard had been left for another one before, which so is not alone."""
    family = await _family(db, key.site_id, installation_id, line)
    down_at = await flags.down_since(db, key.site_id, flags.CLONE)
    if down_at is None:
        alive = any(one.line > line for one in family)
    else:  # taken down once: up again only if both have spoken since
        alive = any(one.line != line and one.last_contact_at > down_at for one in family)
    if not alive:
        return False
    twins = await twins_of(db, key.site_id, installation_id)
    machines = [_machine(twin) for twin in twins]  # without addresses, which would not be erased there
    if await flags.raise_flag(db, key.site_id, flags.CLONE, Clone(kind="clone", machines=machines), now):
        shown = [{**_machine(twin), "address": twin.address} for twin in twins]
        await letters.tell(db, letters.CLONE, key, {"machines": shown}, now)
    return True


async def _family(db: AsyncSession, site_id: UUID, installation_id: UUID, line: int) -> list[Line]:
    """Give the lines that share a past with one, and it."""
    found = await db.scalars(
        select(Line)
        .where(Line.site_id == site_id, Line.installation_id == installation_id)
        .order_by(Line.line)
        .execution_options(populate_existing=True)
    )
    roots: dict[int, int] = {}
    lines = list(found)
    for one in lines:  # a parent has the lower number
        roots[one.line] = one.line if one.parent is None else roots.get(one.parent, one.parent)
    return [one for one in lines if roots[one.line] == roots[line]]


async def twins_of_site(db: AsyncSession, site_id: UUID) -> list[Twin]:
    """Give those of all installations of a site."""
    forked = select(Line.installation_id).where(Line.site_id == site_id, Line.parent.is_not(None)).distinct()
    found = []
    for installation_id in sorted(await db.scalars(forked)):
        found += await twins_of(db, site_id, installation_id)
    return found


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
    installation = await db.get_one(Installation, (site_id, installation_id))
    return [_twin(line, seen.get(line.line), installation) for line in forked]


def _twin(line: Line, seen: LineSighting | None, installation: Installation) -> Twin:
    return Twin(
        installation_id=line.installation_id,
        line=line.line,
        address=seen.address if seen else installation.address,
        hostname=(seen.hostname if seen else None) or installation.hostname,
        first_contact_at=line.opened_at or line.begins_at,
        last_contact_at=line.last_contact_at,
    )


def _machine(twin: Twin) -> Machine:
    return Machine(
        hostname=twin.hostname, first=twin.first_contact_at.isoformat(), last=twin.last_contact_at.isoformat()
    )
