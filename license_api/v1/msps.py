"""MSPs as they see themselves, and as their distributor and the vendor see them."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import StringConstraints

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import (
    Country,
    DistributorIdText,
    Email,
    Instant,
    Language,
    Message,
    MspIdText,
    Name,
    Note,
    ReplacementIdText,
    Said,
)
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, partners, sites, usage
from services.errors import Absent, ChangedMeanwhile, Invalid
from services.partners import (
    AdminReplacement,
    AlreadyMoving,
    DistributorClosed,
    FreshSignInNeeded,
    IdempotencyKeyReused,
    Msp,
    NameTaken,
    PartnerKind,
    Right,
    WrongPartner,
)

router = APIRouter(tags=["msps"], route_class=OnceRoute)


class MspShown(Said):
    """A reseller. Its distributor invoices by what stands here."""

    id: MspIdText
    name: str
    language: Language
    legal_name: str | None
    address: str | None
    country: str | None
    vat_number: str | None
    tax_code: str | None
    sdi_code: str | None
    pec: str | None
    customer_code: str | None
    technical_email: str | None
    billing_email: str | None
    created_at: Instant
    approved_at: Instant | None
    suspended_at: Instant | None
    suspended_reason: str | None
    closed_at: Instant | None


class MspPage(Said):
    """A page of MSPs."""

    items: list[MspShown]


class MspChange(Message):
    """What to change; what is left out stays.

    Name, country and VAT number are the vendor's to change, the customer code the distributor's.
    """

    name: Name | None = None
    language: Language | None = None
    legal_name: Name | None = None
    address: Name | None = None
    country: Country | None = None
    vat_number: Name | None = None
    tax_code: Name | None = None
    sdi_code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{6,7}$")] | None = None
    pec: Email | None = None
    customer_code: Name | None = None
    technical_email: Email | None = None
    billing_email: Email | None = None


class Closing(Message):
    """Why the MSP is closed."""

    reason: Note


class Suspension(Message):
    """The reason, which the MSP's sites are told and the timelines of its keys keep."""

    reason: Name


class MspMove(Message):
    """The distributor that the MSP moves to, at the end of its present period."""

    distributor_id: DistributorIdText


class Moving(Said):
    """When the MSP moves."""

    distributor_id: DistributorIdText
    at: Instant


class NewReplacement(Message):
    """Who becomes admin of an MSP that lost its own, and why."""

    email: Email
    language: Language = "it"
    reason: Note


class ReplacementShown(Said):
    """A new admin for an MSP: announced to its people, and invited a day later."""

    id: ReplacementIdText
    email: str
    reason: str
    requested_by: str
    requested_at: Instant
    due_at: Instant
    done_at: Instant | None
    withdrawn_at: Instant | None


class ReplacementList(Said):
    """The replacements of an MSP's admin, newest first."""

    items: list[ReplacementShown]


@router.get("/v1/msps", operation_id="listMsps", summary="The MSPs", responses=described(Invalid, *CALLER_REFUSALS))
async def list_msps(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> MspPage:
    """An MSP sees itself, a distributor those it has or had, the vendor all. Oldest first."""
    caller.require(Right.PARTNERS_READ)
    rows = await partners.msps(db, caller, after=cursor("msp", after), limit=limit)
    link_next(request, response, rows, limit, lambda msp: ids.show("msp", msp.id))
    return MspPage(items=[_msp(msp) for msp in rows])


@router.get(
    "/v1/msps/{msp_id}", operation_id="getMsp", summary="One MSP", responses=described(Absent, *CALLER_REFUSALS)
)
async def get_msp(msp_id: str, caller: Caller, db: Db, response: Response) -> MspShown:
    """With an ETag for changes."""
    caller.require(Right.PARTNERS_READ)
    shown = _msp(await partners.one_msp(db, caller, named("msp", msp_id)))
    tag(response, shown)
    return shown


@router.patch(
    "/v1/msps/{msp_id}",
    operation_id="changeMsp",
    summary="Change an MSP's data",
    responses=described(Absent, ChangedMeanwhile, Invalid, NameTaken, *CALLER_REFUSALS),
)
async def change_msp(
    msp_id: str, body: MspChange, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> MspShown:
    """A field that is not yours to change is refused."""
    caller.require(Right.PARTNERS_WRITE)
    msp = await partners.one_msp(db, caller, named("msp", msp_id), lock=True)
    match(if_match, _msp(msp))
    await partners.change_msp(db, caller, msp, body.model_dump(exclude_unset=True), now)
    shown = _msp(msp)
    tag(response, shown)
    return shown


@router.post(
    "/v1/msps/{msp_id}/closing",
    operation_id="closeMsp",
    summary="Close an MSP (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, FreshSignInNeeded, IdempotencyKeyReused, Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def close_msp(msp_id: str, body: Closing, caller: Caller, db: Db, now: Now) -> MspShown:
    """It makes no more keys, and none of its keys activates. Its reports stay readable."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    return _msp(await partners.close_msp(db, caller, named("msp", msp_id), reason=body.reason, now=now))


@router.post(
    "/v1/msps/{msp_id}/suspend",
    operation_id="suspendMsp",
    summary="Suspend an MSP with all its keys (distributor, vendor)",
    dependencies=[Once],
    responses=described(Absent, IdempotencyKeyReused, WrongPartner, *CALLER_REFUSALS),
)
async def suspend_msp(msp_id: str, body: Suspension, caller: Caller, db: Db, now: Now) -> MspShown:
    """No new keys, no new agents; backups go on until the leases in hand end; restores never stop. Twice is once."""
    caller.require(Right.KEYS_WRITE)
    return _msp(await sites.suspend_msp(db, caller, named("msp", msp_id), reason=body.reason, now=now))


@router.post(
    "/v1/msps/{msp_id}/resume",
    operation_id="resumeMsp",
    summary="Take an MSP's suspension back (distributor, vendor)",
    dependencies=[Once],
    responses=described(Absent, IdempotencyKeyReused, WrongPartner, *CALLER_REFUSALS),
)
async def resume_msp(msp_id: str, caller: Caller, db: Db, now: Now) -> MspShown:
    """Its sites are told with their next heartbeats; keys that were suspended of themselves stay so. Twice is once."""
    caller.require(Right.KEYS_WRITE)
    return _msp(await sites.resume_msp(db, caller, named("msp", msp_id), now=now))


@router.post(
    "/v1/msps/{msp_id}/move",
    operation_id="moveMsp",
    summary="Move an MSP to another distributor (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(
        Absent,
        AlreadyMoving,
        DistributorClosed,
        FreshSignInNeeded,
        IdempotencyKeyReused,
        Invalid,
        WrongPartner,
        *CALLER_REFUSALS,
    ),
)
async def move_msp(msp_id: str, body: MspMove, caller: Caller, db: Db, now: Now) -> Moving:
    """At the end of the period that runs at its present distributor."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    caller.one_of(PartnerKind.VENDOR)
    msp = await partners.one_msp(db, caller, named("msp", msp_id))
    at = usage.period_at(await partners.zones_of(db, await partners.distributor_of(db, msp.id, now)), now).ends_at
    await partners.move_msp(
        db, caller, msp.id, distributor_id=named("distributor", body.distributor_id), at=at, now=now
    )
    return Moving(distributor_id=body.distributor_id, at=at)


@router.post(
    "/v1/msps/{msp_id}/admin-replacements",
    operation_id="replaceAdmin",
    summary="Give an MSP that lost its admins a new one (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, FreshSignInNeeded, IdempotencyKeyReused, Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def replace_admin(msp_id: str, body: NewReplacement, caller: Caller, db: Db, now: Now) -> ReplacementShown:
    """Its people are told by letter, and have 24 hours to object."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    caller.one_of(PartnerKind.VENDOR)
    row = await partners.request_replacement(
        db,
        caller,
        named("msp", msp_id),
        email=body.email,
        language=body.language,
        reason=body.reason,
        now=now,
    )
    return _replacement(row)


@router.get(
    "/v1/msps/{msp_id}/admin-replacements",
    operation_id="listAdminReplacements",
    summary="The replacements of an MSP's admin",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def list_admin_replacements(msp_id: str, caller: Caller, db: Db) -> ReplacementList:
    """Newest first."""
    caller.require(Right.PEOPLE_READ)
    msp = await partners.one_msp(db, caller, named("msp", msp_id))
    return ReplacementList(items=[_replacement(row) for row in await partners.replacements_of(db, msp.id)])


@router.delete(
    "/v1/msps/{msp_id}/admin-replacements/{replacement_id}",
    operation_id="withdrawAdminReplacement",
    summary="Take a replacement back (vendor)",
    status_code=204,
    responses=described(Absent, FreshSignInNeeded, WrongPartner, *CALLER_REFUSALS),
)
async def withdraw_admin_replacement(msp_id: str, replacement_id: str, caller: Caller, db: Db, now: Now) -> None:
    """As long as it has not happened."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    caller.one_of(PartnerKind.VENDOR)
    wanted = named("replacement", replacement_id)
    await partners.withdraw_replacement(db, caller, named("msp", msp_id), wanted, now)


def _msp(msp: Msp) -> MspShown:
    fields = {name: getattr(msp, name) for name in MspShown.model_fields if name != "id"}
    return MspShown(id=ids.show("msp", msp.id), **fields)


def _replacement(row: AdminReplacement) -> ReplacementShown:
    fields = {name: getattr(row, name) for name in ReplacementShown.model_fields if name != "id"}
    return ReplacementShown(id=ids.show("replacement", row.id), **fields)
