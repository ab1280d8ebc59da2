"""What is flagged about a site, the machines that seem to be one, and taking a flag down."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import Instant, Message, Note, Said
from license_api.v1.pages import named
from services import keys, sites
from services.errors import Absent, Invalid
from services.partners import IdempotencyKeyReused, Right, WrongPartner

router = APIRouter(tags=["sites"], route_class=OnceRoute)
_Flag = Literal["clone_suspected", "implausible"]


class FlagShown(Said):
    """Something about a site that changes no figure; `until_at` is null while it is up."""

    flag: _Flag
    from_at: Instant
    until_at: Instant | None
    detail: str


class MachineShown(Said):
    """One of the machines that speak with one identity. Its address is erased after twelve months."""

    installation_id: UUID
    line: int
    hostname: str | None
    address: str | None
    first_contact_at: Instant
    last_contact_at: Instant


class Flags(Said):
    """The flags of a site, newest first, and the machines that share the past of an installation."""

    items: list[FlagShown]
    machines: list[MachineShown]


class TakenDown(Message):
    """Why the flag is taken down, for the audit log."""

    reason: Note


@router.get(
    "/v1/sites/{site_id}/flags",
    operation_id="listFlags",
    summary="What is flagged about a site",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def list_flags(site_id: str, caller: Caller, db: Db) -> Flags:
    """Also those that were taken down; a restored image shows two machines and no flag."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    rows = await sites.flags.flags_of(db, key.site_id)
    twins = await sites.clones.twins_of_site(db, key.site_id)
    return Flags(
        items=[FlagShown.model_validate(row, from_attributes=True) for row in rows],
        machines=[MachineShown.model_validate(twin, from_attributes=True) for twin in twins],
    )


@router.post(
    "/v1/sites/{site_id}/flags/{flag}/dismissal",
    operation_id="takeFlagDown",
    summary="Take a flag down",
    dependencies=[Once],
    responses=described(Absent, IdempotencyKeyReused, Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def take_down(site_id: str, flag: _Flag, body: TakenDown, caller: Caller, db: Db, now: Now) -> FlagShown:
    """A suspected clone by the MSP or those above it, what is implausible by those above it. If it is seen again the
    flag goes up again.
    """
    caller.require(Right.SITES_WRITE)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    await sites.standing.lock_lines_of(db, key.site_id)
    row = await sites.flags.take_down(db, caller, key, flag, reason=body.reason, now=now)
    return FlagShown.model_validate(row, from_attributes=True)
