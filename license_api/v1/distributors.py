"""Distributors: appointed by the vendor, one to a territory."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import Country, DistributorIdText, Email, Instant, Language, Message, Name, Note, Said
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, partners, usage
from services.errors import Absent, ChangedMeanwhile, Invalid
from services.partners import (
    Distributor,
    DistributorClosed,
    FreshSignInNeeded,
    IdempotencyKeyReused,
    NameTaken,
    PartnerKind,
    Right,
    TerritoryTaken,
    WrongPartner,
)

router = APIRouter(tags=["distributors"], route_class=OnceRoute)
_Territory = Annotated[list[Country], Field(max_length=100, description="ISO 3166 codes of countries.")]


_Zone = Annotated[Name, Field(examples=["Europe/Rome"])]


class NewDistributor(Message):
    """A distributor; its IANA zone bounds the months of its MSPs."""

    name: Name
    zone: _Zone
    territory: _Territory = Field(default=[])
    language: Language = "it"
    legal_name: Name | None = None
    address: Name | None = None
    vat_number: Name | None = None
    email: Email | None = None


class DistributorChange(Message):
    """What to change; what is left out stays. Name and territory are the vendor's to change."""

    name: Name | None = None
    territory: _Territory | None = None
    language: Language | None = None
    legal_name: Name | None = None
    address: Name | None = None
    vat_number: Name | None = None
    email: Email | None = None


class ZoneChoice(Message):
    """The IANA zone of the months to come."""

    zone: _Zone


class DistributorClosing(Message):
    """Who takes the MSPs of a distributor that closes, and why it does."""

    to: DistributorIdText
    reason: Note


class DistributorShown(Said):
    """A distributor. Its months are of `zone`; of `next_zone` from `zone_changes_at` on, if that is set."""

    id: DistributorIdText
    name: str
    zone: str
    next_zone: str | None
    zone_changes_at: Instant | None
    territory: list[str]
    language: Language
    legal_name: str | None
    address: str | None
    vat_number: str | None
    email: str | None
    created_at: Instant
    closed_at: Instant | None


class DistributorPage(Said):
    """A page of distributors."""

    items: list[DistributorShown]


@router.post(
    "/v1/distributors",
    operation_id="appointDistributor",
    summary="Appoint a distributor (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(
        FreshSignInNeeded, IdempotencyKeyReused, Invalid, NameTaken, TerritoryTaken, WrongPartner, *CALLER_REFUSALS
    ),
)
async def appoint_distributor(body: NewDistributor, caller: Caller, db: Db, now: Now) -> DistributorShown:
    """Its first period is this calendar month in its zone."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    caller.one_of(PartnerKind.VENDOR)
    _check_zone(body.zone)
    row = await partners.add_distributor(db, name=body.name, zone=body.zone, now=now)
    for name, value in body.model_dump(exclude={"name", "zone"}).items():
        setattr(row, name, value)
    await db.flush()
    await partners.appointed(db, caller, row, now)
    return await _shown(db, row, now)


@router.get(
    "/v1/distributors",
    operation_id="listDistributors",
    summary="The distributors",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_distributors(
    caller: Caller, db: Db, now: Now, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> DistributorPage:
    """An MSP sees its own, a distributor itself, the vendor all. Oldest first."""
    caller.require(Right.PARTNERS_READ)
    rows = await partners.distributors(db, caller, after=cursor("distributor", after), limit=limit)
    link_next(request, response, rows, limit, lambda row: ids.show("distributor", row.id))
    zones = await partners.zones_of_each(db, rows)
    return DistributorPage(items=[_distributor(row, zones[row.id], now) for row in rows])


@router.get(
    "/v1/distributors/{distributor_id}",
    operation_id="getDistributor",
    summary="One distributor",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_distributor(
    distributor_id: str, caller: Caller, db: Db, now: Now, response: Response
) -> DistributorShown:
    """With an ETag for changes."""
    caller.require(Right.PARTNERS_READ)
    shown = await _shown(db, await partners.one_distributor(db, caller, named("distributor", distributor_id)), now)
    tag(response, shown)
    return shown


@router.patch(
    "/v1/distributors/{distributor_id}",
    operation_id="changeDistributor",
    summary="Change a distributor's data",
    responses=described(
        Absent, ChangedMeanwhile, DistributorClosed, Invalid, NameTaken, TerritoryTaken, WrongPartner, *CALLER_REFUSALS
    ),
)
async def change_distributor(
    distributor_id: str,
    body: DistributorChange,
    caller: Caller,
    db: Db,
    now: Now,
    response: Response,
    if_match: IfMatch = None,
) -> DistributorShown:
    """By the vendor or the distributor itself."""
    caller.require(Right.PARTNERS_WRITE)
    caller.one_of(PartnerKind.VENDOR, PartnerKind.DISTRIBUTOR)
    row = await partners.one_distributor(db, caller, named("distributor", distributor_id), lock=True)
    match(if_match, await _shown(db, row, now))
    await partners.change_distributor(db, caller, row, body.model_dump(exclude_unset=True), now)
    shown = await _shown(db, row, now)
    tag(response, shown)
    return shown


@router.put(
    "/v1/distributors/{distributor_id}/zone",
    operation_id="changeDistributorZone",
    summary="Let a distributor's months be another zone's (vendor)",
    responses=described(Absent, DistributorClosed, FreshSignInNeeded, Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def change_zone(distributor_id: str, body: ZoneChoice, caller: Caller, db: Db, now: Now) -> DistributorShown:
    """From the end of the month that runs: that one keeps its zone. The present zone takes a change back."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    caller.one_of(PartnerKind.VENDOR)
    _check_zone(body.zone)
    row = await partners.one_distributor(db, caller, named("distributor", distributor_id), lock=True)
    await partners.change_zone(db, caller, row, zone=body.zone, at=await _month_end(db, row, now), now=now)
    return await _shown(db, row, now)


@router.post(
    "/v1/distributors/{distributor_id}/closing",
    operation_id="closeDistributor",
    summary="Close a distributor (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(
        Absent, DistributorClosed, FreshSignInNeeded, IdempotencyKeyReused, Invalid, WrongPartner, *CALLER_REFUSALS
    ),
)
async def close_distributor(
    distributor_id: str, body: DistributorClosing, caller: Caller, db: Db, now: Now
) -> DistributorShown:
    """Its MSPs move together to another one, as its month ends. What it issued stays readable."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    caller.one_of(PartnerKind.VENDOR)
    row = await partners.one_distributor(db, caller, named("distributor", distributor_id))
    at = await _month_end(db, row, now)
    to_id = named("distributor", body.to)
    await partners.close_distributor(db, caller, row.id, to_id=to_id, reason=body.reason, at=at, now=now)
    return await _shown(db, row, now)


def _check_zone(zone: str) -> None:
    try:
        usage.zone_info(zone)
    except usage.UnknownZone as error:
        raise Invalid("There is no such zone.", pointer="/zone") from error


async def _month_end(db: Db, row: Distributor, now: datetime) -> datetime:
    return usage.period_at(await partners.zones_of(db, row.id), now).ends_at


async def _shown(db: Db, row: Distributor, now: datetime) -> DistributorShown:
    return _distributor(row, await partners.zones_of(db, row.id), now)


def _distributor(row: Distributor, zones: partners.Zones, now: datetime) -> DistributorShown:
    present, last = partners.zone_at(zones, now), zones[-1]
    ahead = last if last[0] > now and len(zones) > 1 else None
    own = {"id", "zone", "next_zone", "zone_changes_at"}
    return DistributorShown(
        id=ids.show("distributor", row.id),
        zone=present,
        next_zone=ahead[1] if ahead else None,
        zone_changes_at=ahead[0] if ahead else None,
        **{name: getattr(row, name) for name in DistributorShown.model_fields if name not in own},
    )
