"""Distributors: appointed by the vendor, one to a territory."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import Country, DistributorIdText, Email, Instant, Language, Message, Name, Said
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, partners, usage
from services.errors import Absent, ChangedMeanwhile, Invalid
from services.partners import (
    Distributor,
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


class NewDistributor(Message):
    """A distributor; its IANA zone bounds the months of its MSPs."""

    name: Name
    zone: Annotated[Name, Field(examples=["Europe/Rome"])]
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


class DistributorShown(Said):
    """A distributor."""

    id: DistributorIdText
    name: str
    zone: str
    territory: list[str]
    language: Language
    legal_name: str | None
    address: str | None
    vat_number: str | None
    email: str | None
    created_at: Instant


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
    try:
        usage.zone_info(body.zone)
    except usage.UnknownZone as error:
        raise Invalid("There is no such zone.", pointer="/zone") from error
    row = await partners.add_distributor(db, name=body.name, zone=body.zone, now=now)
    for name, value in body.model_dump(exclude={"name", "zone"}).items():
        setattr(row, name, value)
    await db.flush()
    await partners.appointed(db, caller, row, now)
    return _distributor(row)


@router.get(
    "/v1/distributors",
    operation_id="listDistributors",
    summary="The distributors",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_distributors(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> DistributorPage:
    """An MSP sees its own, a distributor itself, the vendor all. Oldest first."""
    caller.require(Right.PARTNERS_READ)
    rows = await partners.distributors(db, caller, after=cursor("distributor", after), limit=limit)
    link_next(request, response, rows, limit, lambda row: ids.show("distributor", row.id))
    return DistributorPage(items=[_distributor(row) for row in rows])


@router.get(
    "/v1/distributors/{distributor_id}",
    operation_id="getDistributor",
    summary="One distributor",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_distributor(distributor_id: str, caller: Caller, db: Db, response: Response) -> DistributorShown:
    """With an ETag for changes."""
    caller.require(Right.PARTNERS_READ)
    shown = _distributor(await partners.one_distributor(db, caller, named("distributor", distributor_id)))
    tag(response, shown)
    return shown


@router.patch(
    "/v1/distributors/{distributor_id}",
    operation_id="changeDistributor",
    summary="Change a distributor's data",
    responses=described(Absent, ChangedMeanwhile, Invalid, NameTaken, TerritoryTaken, WrongPartner, *CALLER_REFUSALS),
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
    match(if_match, _distributor(row))
    await partners.change_distributor(db, caller, row, body.model_dump(exclude_unset=True), now)
    shown = _distributor(row)
    tag(response, shown)
    return shown


def _distributor(row: Distributor) -> DistributorShown:
    fields = {name: getattr(row, name) for name in DistributorShown.model_fields if name != "id"}
    return DistributorShown(id=ids.show("distributor", row.id), **fields)
