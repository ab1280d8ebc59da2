"""What a site told last, exactly as far as it is kept."""

import json
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db
from license_api.problems import described
from license_api.v1.fields import Instant, Said, Sha256Hex
from license_api.v1.pages import named
from license_api.v1.wire import AgentCounts, Backups
from services import keys, sites
from services.errors import Absent
from services.keys import KeyState
from services.partners import Right
from services.sites import LastTold

router = APIRouter(tags=["administration"])


class ToldShown(Said):
    """A line of an installation: its last accepted heartbeat, and what it was answered."""

    installation_id: UUID
    hostname: str
    product: str
    line: int
    sequence: int
    last_contact_at: Instant
    known_until_at: Instant | None
    deployed: AgentCounts | None
    backups: Backups | None
    through: int
    receipt: Sha256Hex
    state: KeyState
    last_entry: dict[str, Any] | None = Field(description="The last numbered entry, as it was sent.")
    last_entry_received_at: Instant | None


class LastPayload(Said):
    """Every line of the site, the one heard last first."""

    items: list[ToldShown]


@router.get(
    "/v1/sites/{site_id}/last-payload",
    operation_id="getLastPayload",
    summary="What a site told last",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_last_payload(site_id: str, caller: Caller, db: Db) -> LastPayload:
    """The site has the very bytes (`site-manager show-last-payload`); the receipt stands for both."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    return LastPayload(items=[_shown(one) for one in await sites.last_told(db, caller, key.site_id)])


def _shown(one: LastTold) -> ToldShown:
    return ToldShown(
        installation_id=one.installation_id,
        hostname=one.hostname,
        product=one.product,
        line=one.line,
        sequence=one.sequence,
        last_contact_at=one.last_contact_at,
        known_until_at=one.known_until_at,
        deployed=AgentCounts(**one.deployed._asdict()) if one.deployed else None,
        backups=Backups(**one.backups._asdict()) if one.backups else None,
        through=one.through,
        receipt=one.receipt.hex(),
        state=one.state,
        last_entry=json.loads(one.last_entry) if one.last_entry else None,
        last_entry_received_at=one.last_entry_received_at,
    )
