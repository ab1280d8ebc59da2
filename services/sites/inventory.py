"""Inventory: the agents of an installation, by name. It goes up whole, in numbered parts, or as changes; no billing.

A revision is the site's own number for a state of its inventory. Parts may come in any order and more than once; when
the last is in, what the revision did not name is gone. Changes go from one complete revision to the next; if they do
not follow what is here, the site is told so and sends the whole.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from sqlalchemy import delete, exists, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Kind, Refusal, Unauthenticated
from services.partners import Principal
from services.signing import same
from services.sites import findings, flags
from services.sites.administration_tables import Agent, Inventory
from services.sites.bearer import Bearer
from services.sites.tables import Installation
from services.usage import Counts, Line, LineId

AGENTS_MAX = 20_000
LastBackup = Literal["ok", "warning", "failed"]
AgentType = Literal["server", "workstation", "server_plus"]

_NAME = """
insert into agents (site_id, installation_id, agent_id, revision, name, type, version, last_contact_at, last_backup_at,
    last_backup)
select $1, $2, w.agent_id, $3, w.name, w.type, w.version, w.last_contact_at, w.last_backup_at, w.last_backup
from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[], $10::text[])
    as w (agent_id, name, type, version, last_contact_at, last_backup_at, last_backup)
order by w.agent_id
on conflict (site_id, installation_id, agent_id) do update
set revision = excluded.revision, name = excluded.name, type = excluded.type, version = excluded.version,
    last_contact_at = excluded.last_contact_at, last_backup_at = excluded.last_backup_at,
    last_backup = excluded.last_backup
"""


class InventorySuperseded(Refusal):
    """A newer revision of this inventory has come, or this one in other parts; `revision` is the newest one."""

    kind = Kind.CONFLICT
    code = "inventory_superseded"


class InventoryUnknown(Refusal):
    """These changes do not follow the inventory that is here. Send the whole."""

    kind = Kind.CONFLICT
    code = "inventory_unknown"


class InventoryTooLarge(Refusal):
    """An inventory has at most 20,000 agents."""

    kind = Kind.INVALID
    code = "inventory_too_large"


class AgentNamed(NamedTuple):
    """An agent as the site names it."""

    agent_id: str
    name: str
    type: AgentType
    version: str | None
    last_contact_at: datetime | None
    last_backup_at: datetime | None
    last_backup: LastBackup | None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a whole inventory."""

    revision: int
    part: int
    parts: int
    agents: Sequence[AgentNamed]


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of an inventory since its last revision."""

    base: int
    revision: int
    agents: Sequence[AgentNamed]
    gone: Sequence[str]


async def take_part(db: AsyncSession, bearer: Bearer, part: Part, now: datetime) -> Inventory:
    """Take one part of a whole inventory in. Twice is once.

    Raises `Unauthenticated`, `InventorySuperseded`, `InventoryTooLarge`.
    """
    await _check(db, bearer)
    inventory = await _locked(db, bearer, now)
    if part.revision < inventory.revision or (part.revision == inventory.revision and part.parts != inventory.parts):
        raise InventorySuperseded(revision=inventory.revision)
    if part.revision > inventory.revision:
        inventory.revision, inventory.parts, inventory.received = part.revision, part.parts, []
        inventory.complete_at = None
    elif inventory.complete_at is not None or part.part in inventory.received:
        return inventory
    await _name(db, bearer, part.revision, part.agents)
    inventory.received = sorted({*inventory.received, part.part})
    inventory.received_at = now
    if len(inventory.received) == part.parts:
        await _forget(db, bearer, Agent.revision < part.revision)
        await _complete(db, bearer, inventory, now)
    else:
        await _count(db, bearer, part.revision)
    await db.flush()
    return inventory


async def take_changes(db: AsyncSession, bearer: Bearer, changes: Changes, now: datetime) -> Inventory:
    """Take changes in. Twice is once. Raises `Unauthenticated`, `InventoryUnknown`, `InventoryTooLarge`."""
    await _check(db, bearer)
    inventory = await _locked(db, bearer, now)
    if inventory.revision == changes.revision and inventory.complete_at is not None:
        return inventory
    if inventory.complete_at is None or inventory.revision != changes.base or changes.revision <= changes.base:
        raise InventoryUnknown(revision=inventory.revision)
    await _name(db, bearer, changes.revision, changes.agents)
    await _forget(db, bearer, Agent.agent_id.in_(changes.gone))
    inventory.revision, inventory.parts, inventory.received, inventory.received_at = changes.revision, 0, [], now
    await _complete(db, bearer, inventory, now)
    await db.flush()
    return inventory


async def agents_of(
    db: AsyncSession,
    principal: Principal,
    site_id: UUID,
    *,
    after: tuple[UUID, str] | None,
    limit: int,
    last_backup: LastBackup | None = None,
) -> Sequence[Agent]:
    """Give a page of a site's agents, in the order of their installations and ids; those with a last result alone."""
    ended = exists().where(
        Installation.site_id == Agent.site_id,
        Installation.installation_id == Agent.installation_id,
        Installation.ended_at.is_not(None),
    )
    query = select(Agent).where(Agent.site_id == site_id, partners.visible_to(principal, Agent.site_id), ~ended)
    if last_backup is not None:
        query = query.where(Agent.last_backup == last_backup)
    if after is not None:
        query = query.where(tuple_(Agent.installation_id, Agent.agent_id) > tuple_(*after))
    return (await db.scalars(query.order_by(Agent.installation_id, Agent.agent_id).limit(limit))).all()


async def inventories_of(db: AsyncSession, principal: Principal, site_id: UUID) -> Sequence[Inventory]:
    """Give how far each installation's inventory is known."""
    query = select(Inventory).where(Inventory.site_id == site_id, partners.visible_to(principal, Inventory.site_id))
    return (await db.scalars(query.order_by(Inventory.installation_id))).all()


async def unseen_agents(db: AsyncSession, site_ids: Collection[UUID], since: datetime) -> dict[UUID, int]:
    """Count the agents of some sites that had no contact since an instant; sites without any are left out."""
    found = await db.execute(
        select(Agent.site_id, func.count())
        .where(Agent.site_id.in_(site_ids), Agent.last_contact_at < since)
        .group_by(Agent.site_id)
    )
    return dict(found.all())


async def erase(db: AsyncSession, site_id: UUID) -> None:
    """Forget a site's agents. Its figures do not come from here and stay."""
    await db.execute(delete(Agent).where(Agent.site_id == site_id))
    await db.execute(delete(Inventory).where(Inventory.site_id == site_id))


async def compare(db: AsyncSession, line_id: LineId, deployed: Counts, now: datetime) -> None:
    """Flag a site whose inventory names more agents of a type than it says are deployed, now that it says so."""
    site_id, installation_id, _ = line_id
    inventory = await db.get(Inventory, (site_id, installation_id), populate_existing=True)
    if inventory is None or inventory.complete_at is None:
        return
    for name, count in deployed._asdict().items():
        agents = getattr(inventory, name)
        if agents > count:
            found = findings.Inventory(kind="inventory", type=name, agents=agents, deployed=count)
            await flags.raise_flag(db, site_id, flags.IMPLAUSIBLE, found, now)
            return


async def _check(db: AsyncSession, bearer: Bearer) -> None:
    credentials = await db.scalars(
        select(Line.credential_sha256)
        .where(Line.site_id == bearer.site_id, Line.installation_id == bearer.installation_id)
        .limit(1)
    )
    known = credentials.first()
    if known is None or not same(known, bearer.credential_sha256):
        raise Unauthenticated


async def _locked(db: AsyncSession, bearer: Bearer, now: datetime) -> Inventory:
    """Lock an installation's inventory, beginning one if there is none."""
    own = {"site_id": bearer.site_id, "installation_id": bearer.installation_id}
    nothing = {"revision": 0, "parts": 0, "received": [], "received_at": now, "complete_at": None}
    counts = {"server": 0, "workstation": 0, "server_plus": 0}
    await db.execute(insert(Inventory).values(**own, **nothing, **counts).on_conflict_do_nothing())
    found = select(Inventory).filter_by(**own).with_for_update().execution_options(populate_existing=True)
    return (await db.scalars(found)).one()


async def _name(db: AsyncSession, bearer: Bearer, revision: int, agents: Sequence[AgentNamed]) -> None:
    if agents:
        columns = map(list, zip(*agents, strict=True))
        connection = await db.connection()
        await connection.exec_driver_sql(_NAME, (bearer.site_id, bearer.installation_id, revision, *columns))


async def _forget(db: AsyncSession, bearer: Bearer, which: Any) -> None:
    own = (Agent.site_id == bearer.site_id, Agent.installation_id == bearer.installation_id)
    await db.execute(delete(Agent).where(*own, which).execution_options(synchronize_session=False))


async def _complete(db: AsyncSession, bearer: Bearer, inventory: Inventory, now: datetime) -> None:
    """The revision is whole: count it, and have the next heartbeat compare it with what is deployed then."""
    counts = await _count(db, bearer)
    inventory.complete_at = now
    for name in Counts._fields:
        setattr(inventory, name, counts.get(name, 0))
    lines = (Line.site_id == bearer.site_id, Line.installation_id == bearer.installation_id)
    await db.execute(update(Line).where(*lines).values(waiting=True).execution_options(synchronize_session=False))


async def _count(db: AsyncSession, bearer: Bearer, revision: int | None = None) -> dict[str, int]:
    """Count the agents by type, of all or of one revision; raises `InventoryTooLarge`."""
    own = (Agent.site_id == bearer.site_id, Agent.installation_id == bearer.installation_id)
    of_revision = Agent.revision == revision if revision is not None else text("true")
    rows = await db.execute(
        select(Agent.type, func.count().label("agents")).where(*own, of_revision).group_by(Agent.type)
    )
    counts = {row.type: int(row.agents) for row in rows}
    if sum(counts.values()) > AGENTS_MAX:
        raise InventoryTooLarge(pointer="/agents")
    return counts
