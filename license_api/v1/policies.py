"""Policies of the programme, of a distributor, of an MSP and of a key; the vendor's bounds; and the dry run."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import Instant, Message, Said, SiteIdText
from license_api.v1.pages import named
from services import ids, partners, sites
from services.errors import Absent, ChangedMeanwhile, Invalid
from services.partners import (
    PROGRAMME_ID,
    Bound,
    FreshSignInNeeded,
    Level,
    PolicyOutOfBounds,
    Principal,
    Right,
    Trial,
    WrongPartner,
)
from services.sites import PolicySource, PolicyView

router = APIRouter(tags=["policies"])
_READ = (Absent, *CALLER_REFUSALS)
_CHANGE = (Absent, ChangedMeanwhile, Invalid, PolicyOutOfBounds, WrongPartner, *CALLER_REFUSALS)
_Own = Annotated[int | None, Field(ge=0, le=2**31 - 1)]


class PolicyValues(Message):
    """A level's own values, lengths in seconds; null, or left out, leaves those of the level above in force."""

    heartbeat_seconds: _Own = None
    warn_after_seconds: _Own = None
    final_before_seconds: _Own = None
    disable_after_seconds: _Own = None
    close_grace_seconds: _Own = None
    standalone_seats: _Own = None


class PolicyInForce(Said):
    """The values in force."""

    heartbeat_seconds: int
    warn_after_seconds: int
    final_before_seconds: int
    disable_after_seconds: int
    close_grace_seconds: int
    standalone_seats: int


class Sources(Said):
    """The level from which each value comes."""

    heartbeat_seconds: PolicySource
    warn_after_seconds: PolicySource
    final_before_seconds: PolicySource
    disable_after_seconds: PolicySource
    close_grace_seconds: PolicySource
    standalone_seats: PolicySource


class PolicyShown(Said):
    """What a level has set itself, what is in force there, and where each value comes from."""

    own: PolicyValues
    in_force: PolicyInForce
    came_from: Sources


class BoundSaid(Message):
    """The least and the most that is allowed."""

    least: Annotated[int, Field(ge=0, le=2**31 - 1)]
    most: Annotated[int, Field(ge=0, le=2**31 - 1)]


class PolicyBounds(Message):
    """The vendor's bounds."""

    heartbeat_seconds: BoundSaid
    warn_after_seconds: BoundSaid
    final_before_seconds: BoundSaid
    disable_after_seconds: BoundSaid
    close_grace_seconds: BoundSaid
    standalone_seats: BoundSaid


class PolicyTrial(Message):
    """A level, by the id of the distributor, MSP or key, and the values that it would have."""

    level: Level
    id: Annotated[str | None, Field(max_length=64)] = None
    values: PolicyValues


class ForeseenShown(Said):
    """A site for which something would change, and its dates under the values that are tried."""

    site_id: SiteIdText
    name: str
    msp: str
    effect: Literal["warned", "final_warning", "disabled", "back"]
    last_contact_at: Instant
    warn_at: Instant
    final_at: Instant
    disable_at: Instant


class DryRunShown(Said):
    """What silence would do at once: how many sites of how many, and the first 500 of them."""

    sites: int
    warned: int
    final_warning: int
    disabled: int
    back: int
    items: list[ForeseenShown]


@router.get(
    "/v1/policies/programme",
    operation_id="getProgrammePolicy",
    summary="The programme's policy",
    responses=described(*_READ),
)
async def get_programme(caller: Caller, db: Db, now: Now, response: Response) -> PolicyShown:
    """With an ETag for changes."""
    caller.require(Right.PARTNERS_READ)
    return await _get(db, caller, "programme", PROGRAMME_ID, now, response)


@router.put(
    "/v1/policies/programme",
    operation_id="setProgrammePolicy",
    summary="Set the programme's policy (vendor)",
    responses=described(FreshSignInNeeded, *_CHANGE),
)
async def put_programme(
    body: PolicyValues, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> PolicyShown:
    """It reaches every site for which nothing nearer is set, within minutes."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    return await _put(db, caller, "programme", PROGRAMME_ID, body, now, response, if_match)


@router.get(
    "/v1/policies/bounds",
    operation_id="getPolicyBounds",
    summary="The vendor's bounds",
    responses=described(*CALLER_REFUSALS),
)
async def get_bounds(caller: Caller, db: Db, response: Response) -> PolicyBounds:
    """What may be set, with an ETag for changes."""
    caller.require(Right.PARTNERS_READ)
    shown = await _bounds(db)
    tag(response, shown)
    return shown


@router.put(
    "/v1/policies/bounds",
    operation_id="setPolicyBounds",
    summary="Set the bounds (vendor)",
    responses=described(ChangedMeanwhile, FreshSignInNeeded, Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def put_bounds(
    body: PolicyBounds, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> PolicyBounds:
    """What was set outside of them comes to the nearer bound."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    await sites.lock_policies(db)
    match(if_match, await _bounds(db))
    wanted = {knob: Bound(**bound) for knob, bound in body.model_dump().items()}
    await sites.change_bounds(db, caller, wanted, now)
    tag(response, body)
    return body


@router.post(
    "/v1/policies/dry-run",
    operation_id="tryPolicy",
    summary="What a policy would do to the present fleet",
    responses=described(Absent, Invalid, PolicyOutOfBounds, *CALLER_REFUSALS),
)
async def try_policy(body: PolicyTrial, caller: Caller, db: Db, now: Now) -> DryRunShown:
    """Nothing is set and nobody is told. Of the sites that you see."""
    caller.require(Right.SITES_READ)
    subject_id = PROGRAMME_ID if body.level == "programme" else named(body.level, body.id or "")
    await sites.policy_view(db, caller, body.level, subject_id, now)
    values = body.values.model_dump()
    partners.check_values(values, await partners.bounds(db))
    return _foreseen(await sites.dry_run(db, caller, now, Trial(body.level, subject_id, values)))


@router.get(
    "/v1/distributors/{distributor_id}/policy",
    operation_id="getDistributorPolicy",
    summary="A distributor's policy",
    responses=described(*_READ),
)
async def get_distributor(distributor_id: str, caller: Caller, db: Db, now: Now, response: Response) -> PolicyShown:
    """With an ETag for changes."""
    caller.require(Right.PARTNERS_READ)
    return await _get(db, caller, "distributor", named("distributor", distributor_id), now, response)


@router.put(
    "/v1/distributors/{distributor_id}/policy",
    operation_id="setDistributorPolicy",
    summary="Set a distributor's policy",
    responses=described(*_CHANGE),
)
async def put_distributor(
    distributor_id: str,
    body: PolicyValues,
    caller: Caller,
    db: Db,
    now: Now,
    response: Response,
    if_match: IfMatch = None,
) -> PolicyShown:
    """By itself or the vendor. It reaches the sites of its MSPs within minutes."""
    caller.require(Right.PARTNERS_WRITE)
    wanted = named("distributor", distributor_id)
    return await _put(db, caller, "distributor", wanted, body, now, response, if_match)


@router.get(
    "/v1/msps/{msp_id}/policy",
    operation_id="getMspPolicy",
    summary="An MSP's policy",
    responses=described(*_READ),
)
async def get_msp(msp_id: str, caller: Caller, db: Db, now: Now, response: Response) -> PolicyShown:
    """With an ETag for changes."""
    caller.require(Right.PARTNERS_READ)
    return await _get(db, caller, "msp", named("msp", msp_id), now, response)


@router.put(
    "/v1/msps/{msp_id}/policy",
    operation_id="setMspPolicy",
    summary="Set an MSP's policy",
    responses=described(*_CHANGE),
)
async def put_msp(
    msp_id: str, body: PolicyValues, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> PolicyShown:
    """The MSP itself sets when to warn and how many standalones a key may have; all else is its distributor's."""
    caller.require(Right.PARTNERS_WRITE)
    return await _put(db, caller, "msp", named("msp", msp_id), body, now, response, if_match)


@router.get(
    "/v1/keys/{key_id}/policy",
    operation_id="getKeyPolicy",
    summary="A key's policy",
    responses=described(*_READ),
)
async def get_key(key_id: str, caller: Caller, db: Db, now: Now, response: Response) -> PolicyShown:
    """With an ETag for changes."""
    caller.require(Right.KEYS_READ)
    return await _get(db, caller, "key", named("key", key_id), now, response)


@router.put(
    "/v1/keys/{key_id}/policy",
    operation_id="setKeyPolicy",
    summary="Set a key's policy",
    responses=described(*_CHANGE),
)
async def put_key(
    key_id: str, body: PolicyValues, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> PolicyShown:
    """The MSP sets when to warn and how many standalones may activate. The site is told with its next heartbeat."""
    caller.require(Right.KEYS_WRITE)
    return await _put(db, caller, "key", named("key", key_id), body, now, response, if_match)


async def _get(db: Db, caller: Principal, level: Level, subject_id: UUID, now: Now, response: Response) -> PolicyShown:
    shown = _shown(await sites.policy_view(db, caller, level, subject_id, now))
    tag(response, shown)
    return shown


async def _put(
    db: Db,
    caller: Principal,
    level: Level,
    subject_id: UUID,
    body: PolicyValues,
    now: Now,
    response: Response,
    if_match: str | None,
) -> PolicyShown:
    await sites.lock_policies(db)
    match(if_match, _shown(await sites.policy_view(db, caller, level, subject_id, now)))
    shown = _shown(await sites.change_policy(db, caller, level, subject_id, body.model_dump(), now))
    tag(response, shown)
    return shown


async def _bounds(db: Db) -> PolicyBounds:
    bounds = await partners.bounds(db)
    return PolicyBounds.model_validate({knob: bound._asdict() for knob, bound in bounds.items()})


def _shown(view: PolicyView) -> PolicyShown:
    return PolicyShown.model_validate(view, from_attributes=True)


def _foreseen(found: sites.DryRun) -> DryRunShown:
    items = [
        ForeseenShown(
            site_id=ids.show("site", one.site_id),
            name=one.name,
            msp=one.msp,
            effect=one.effect.value,
            last_contact_at=one.last_contact_at,
            **one.dates._asdict(),
        )
        for one in found.foreseen
    ]
    return DryRunShown(sites=found.sites, items=items, **{effect: found.effects[effect] for effect in sites.Effect})
