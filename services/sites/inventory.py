"""The inventory: the agents of a site as it describes them, in full or as changes. It makes no figure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Kind, Refusal, Unauthenticated
from services.signing import same
from services.sites import flags
from services.sites.bearer import Bearer
from services.sites.command_tables import InventoryAgent
from services.usage import Line

AGENTS_MAX = 20_000
_AT_ONCE = 2_000


class InventoryTooLarge(Refusal):
    """A site's inventory holds at most 20,000 agents."""

    kind = Kind.INVALID
    code = "inventory_too_large"


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent."""

    agent_id: str
    name: str
    type: str
    version: str | None = None
    last_contact_at: datetime | None = None
    last_backup_at: datetime | None = None
    last_result: str | None = None


async def take_inventory(
    db: AsyncSession, bearer: Bearer, *, full: bool, agents: Sequence[Agent], removed: Sequence[str], now: datetime
) -> int:
    """Take in an inventory, in full or as changes; gives how many agents are known then. Twice is once.

    Raises `Unauthenticated`, `InventoryTooLarge`.
    """
    lines = await _lines_of(db, bearer)
    own = (
        InventoryAgent.site_id == bearer.site_id,
        InventoryAgent.installation_id == bearer.installation_id,
    )
    gone = delete(InventoryAgent).where(*own)
    if full:
        await db.execute(gone)
    elif removed:
        await db.execute(gone.where(InventoryAgent.agent_id.in_(removed)))
    for start in range(0, len(agents), _AT_ONCE):
        await _write(db, bearer, agents[start : start + _AT_ONCE])
    found = await db.execute(select(InventoryAgent.type, func.count()).where(*own).group_by(InventoryAgent.type))
    counts = {kind: int(count) for kind, count in found}
    if sum(counts.values()) > AGENTS_MAX:
        raise InventoryTooLarge(pointer="/agents")
    await _compare(db, bearer.site_id, counts, lines, now)
    return sum(counts.values())


async def inventory_of(db: AsyncSession, site_id: UUID, *, after: str | None, limit: int) -> list[InventoryAgent]:
    """Give a page of a site's agents, in the order of their ids."""
    query = select(InventoryAgent).where(InventoryAgent.site_id == site_id).order_by(InventoryAgent.agent_id)
    return list(
        await db.scalars((query if after is None else query.where(InventoryAgent.agent_id > after)).limit(limit))
    )


async def _lines_of(db: AsyncSession, bearer: Bearer) -> list[Line]:
    rows = select(Line).where(Line.site_id == bearer.site_id, Line.installation_id == bearer.installation_id)
    lines = list(await db.scalars(rows.order_by(Line.line).with_for_update()))
    if not lines or not same(lines[0].credential_sha256, bearer.credential_sha256):
        raise Unauthenticated
    return lines


async def _write(db: AsyncSession, bearer: Bearer, agents: Sequence[Agent]) -> None:
    rows = [{"site_id": bearer.site_id, "installation_id": bearer.installation_id, **asdict(agent)} for agent in agents]
    adding = insert(InventoryAgent).values(rows)
    new = {name: adding.excluded[name] for name in asdict(agents[0]) if name != "agent_id"}
    key = ["site_id", "installation_id", "agent_id"]
    await db.execute(adding.on_conflict_do_update(index_elements=key, set_=new))


async def _compare(
    db: AsyncSession, site_id: UUID, counts: dict[str, int], lines: Sequence[Line], now: datetime
) -> None:
    """Flag a site whose inventory holds more agents of a type than it says are deployed."""
    for kind, count in sorted(counts.items()):
        deployed = max(getattr(line, kind) or 0 for line in lines)
        if count > deployed:
            detail = f"the inventory holds {count} of {kind}, deployed are {deployed}"
            await flags.raise_flag(db, site_id, flags.IMPLAUSIBLE, detail, now)
            return
