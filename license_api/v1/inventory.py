"""The inventory: agents by name. A site sends it whole in numbered parts, or its changes; its partners read it."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field, StringConstraints, model_validator

from license_api.deps import CALLER_REFUSALS, Caller, Db, From, Now, SiteBearer, TheService
from license_api.problems import described
from license_api.v1.fields import PRINTABLE, Instant, InstantText, Message, Name, Number, Said
from license_api.v1.pages import Limit, link_next, named
from services import keys, partners, sites
from services.errors import Absent, BodyTooLarge, Invalid, TooManyAttempts, TooManyRequests, Unauthenticated
from services.partners import FreshSignInNeeded, Right, WrongPartner
from services.sites import Agent, AgentNamed, AgentType, Inventory, LastBackup

router = APIRouter(tags=["administration"])
AGENTS_MAX = 1_000
PARTS_MAX = 1_000
AgentId = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
Version = Annotated[str, StringConstraints(max_length=50, pattern=r"^[!-~]+$")]


class AgentEntry(Message):
    """One agent; `id` is the site's own."""

    id: AgentId
    name: Name
    type: AgentType
    version: Version | None = None
    last_contact_at: InstantText | None = None
    last_backup_at: InstantText | None = None
    last_backup: LastBackup | None = None

    def named(self) -> AgentNamed:
        """Give it as the domain has it."""
        contact, backup = _instant(self.last_contact_at), _instant(self.last_backup_at)
        return AgentNamed(self.id, self.name, self.type, self.version, contact, backup, self.last_backup)


class _Agents(Message):
    agents: list[AgentEntry] = Field(max_length=AGENTS_MAX)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({agent.id for agent in self.agents}) != len(self.agents):
            raise ValueError("each agent is named once")
        return self


class InventoryPart(_Agents):
    """One part of a whole inventory. What no part of the revision names is gone when the last part is in."""

    revision: Number
    part: Annotated[int, Field(strict=True, ge=1, le=PARTS_MAX)]
    parts: Annotated[int, Field(strict=True, ge=1, le=PARTS_MAX)]

    @model_validator(mode="after")
    def _part_is_of_parts(self) -> Self:
        if self.part > self.parts:
            raise ValueError("there are not so many parts")
        return self


class InventoryChanges(_Agents):
    """What became of the inventory between two revisions."""

    base: Number
    revision: Number
    gone: list[AgentId] = Field(default=[], max_length=AGENTS_MAX)


class InventoryState(Said):
    """How far the inventory is known here; whole once `complete_at` says since when."""

    installation_id: UUID
    revision: int
    parts: int
    received: list[int]
    complete_at: Instant | None
    server: int
    workstation: int
    server_plus: int


class Inventories(Said):
    """The inventories of a site's installations."""

    items: list[InventoryState]


class AgentShown(Said):
    """One agent of a site."""

    installation_id: UUID
    id: str
    name: str
    type: AgentType
    version: str | None
    last_contact_at: Instant | None
    last_backup_at: Instant | None
    last_backup: LastBackup | None


class AgentPage(Said):
    """A page of agents."""

    items: list[AgentShown]


async def _counted(bearer: SiteBearer, come_from: From, made: TheService) -> AsyncIterator[None]:
    """Count the request of an installation, and a wrong credential by its network."""
    await made.attempts.request(str(bearer.installation_id))
    try:
        yield
    except Unauthenticated:
        await made.attempts.wrong_token(come_from.address)
        raise


_OF_SITES = (
    BodyTooLarge,
    Invalid,
    TooManyAttempts,
    TooManyRequests,
    Unauthenticated,
    sites.inventory.InventoryTooLarge,
)
_Counted = Depends(_counted, scope="function")


@router.put(
    "/v1/inventory",
    operation_id="sendInventory",
    summary="Send the whole inventory, part by part",
    dependencies=[_Counted],
    responses=described(sites.inventory.InventorySuperseded, *_OF_SITES),
)
async def send_inventory(body: InventoryPart, bearer: SiteBearer, db: Db, now: Now) -> InventoryState:
    """In any order, and again if no answer came. Begin a new revision to begin anew."""
    part = sites.inventory.Part(body.revision, body.part, body.parts, [one.named() for one in body.agents])
    return _state(await sites.inventory.take_part(db, bearer, part, now))


@router.patch(
    "/v1/inventory",
    operation_id="changeInventory",
    summary="Send what changed in the inventory",
    dependencies=[_Counted],
    responses=described(sites.inventory.InventoryUnknown, *_OF_SITES),
)
async def change_inventory(body: InventoryChanges, bearer: SiteBearer, db: Db, now: Now) -> InventoryState:
    """From the revision `base`, which is whole here, to the next; 409 asks for the whole."""
    agents = [one.named() for one in body.agents]
    changes = sites.inventory.Changes(body.base, body.revision, agents, body.gone)
    return _state(await sites.inventory.take_changes(db, bearer, changes, now))


@router.get(
    "/v1/sites/{site_id}/agents",
    operation_id="listAgents",
    summary="The agents of a site",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def list_agents(
    site_id: str,
    caller: Caller,
    db: Db,
    request: Request,
    response: Response,
    last_backup: Annotated[LastBackup | None, Query(description="Only those whose last backup ended so.")] = None,
    limit: Limit = 50,
    after: Annotated[
        str | None, Query(pattern=PRINTABLE, max_length=140, description="As the Link header has it.")
    ] = None,
) -> AgentPage:
    """As the site named them last, in the order of their ids."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    page = _read_place(after)
    rows = await sites.inventory.agents_of(db, caller, key.site_id, after=page, limit=limit, last_backup=last_backup)
    link_next(request, response, rows, limit, lambda agent: f"{agent.installation_id}.{agent.agent_id}")
    return AgentPage(items=[_agent(row) for row in rows])


@router.get(
    "/v1/sites/{site_id}/inventory",
    operation_id="getInventory",
    summary="How far a site's inventory is known",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_inventory(site_id: str, caller: Caller, db: Db) -> Inventories:
    """By installation, with the agents counted by type."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    return Inventories(items=[_state(one) for one in await sites.inventory.inventories_of(db, caller, key.site_id)])


@router.delete(
    "/v1/sites/{site_id}/inventory",
    operation_id="eraseInventory",
    summary="Erase a site's inventory",
    status_code=204,
    responses=described(Absent, FreshSignInNeeded, WrongPartner, *CALLER_REFUSALS),
)
async def erase_inventory(site_id: str, caller: Caller, db: Db, now: Now) -> None:
    """The names of a customer's machines. Figures and reports do not come from here, and stay."""
    caller.require(Right.KEYS_ADMIN, grave=True)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    if key.msp_id != caller.msp_id:
        raise Absent
    await sites.inventory.erase(db, key.site_id)
    await partners.note(db, caller, "inventory.erased", site_id, now=now)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _read_place(after: str | None) -> tuple[UUID, str] | None:
    if after is None:
        return None
    installation, _, agent_id = after.partition(".")
    try:
        return UUID(installation), agent_id
    except ValueError:
        raise Invalid(pointer="/query/after") from None


def _state(inventory: Inventory) -> InventoryState:
    names: Sequence[str] = list(InventoryState.model_fields)
    return InventoryState(**{name: getattr(inventory, name) for name in names})


def _agent(row: Agent) -> AgentShown:
    names = (name for name in AgentShown.model_fields if name != "id")
    return AgentShown(id=row.agent_id, **{name: getattr(row, name) for name in names})
