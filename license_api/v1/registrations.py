"""Registrations: made by anybody, confirmed by letter, decided by the vendor's Partner Team."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints

from license_api.deps import CALLER_REFUSALS, Caller, Db, From, Now, Public, TheService
from license_api.once import Once, OnceRoute
from license_api.problems import described
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
    RegistrationIdText,
    Said,
    Secret,
    Version,
)
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, partners
from services.errors import Absent, Invalid, TooManyAttempts, TooManyRequests
from services.partners import (
    AlreadyDecided,
    Applicant,
    DistributorClosed,
    IdempotencyKeyReused,
    LinkInvalid,
    NameTaken,
    NoDistributor,
    PartnerKind,
    Principal,
    Registration,
    Right,
    WrongPartner,
)

router = APIRouter(tags=["registrations"], route_class=OnceRoute)


class NewRegistration(Message):
    """A company, its contact, and the versions of terms and privacy notice that were accepted: those in force."""

    company: Name
    country: Country
    vat_number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z .-]{2,40}$")]
    contact: Name
    email: Email
    language: Language = "it"
    accepted_terms: Version
    accepted_privacy_notice: Version


class RegistrationTaken(Said):
    """The same whoever asks: what happens next is in a letter to the address."""

    next: Literal["confirm_email"] = "confirm_email"


class LinkToken(Message):
    """The token of the letter's link."""

    token: Secret


class RegistrationShown(Said):
    """A registration whose address is confirmed."""

    id: RegistrationIdText
    company: str
    country: str
    vat_number: str
    contact: str
    email: str
    language: Language
    terms_version: str
    privacy_version: str
    created_at: Instant
    verified_at: Instant | None
    decided_at: Instant | None
    decision: Literal["approved", "rejected"] | None
    reason: str | None
    msp_id: MspIdText | None


class RegistrationPage(Said):
    """A page of registrations."""

    items: list[RegistrationShown]


class Approval(Message):
    """Under which distributor, if not the country's; under which name, if the company's is taken."""

    distributor_id: DistributorIdText | None = None
    name: Name | None = None


class Rejection(Message):
    """Why; the letter says it."""

    reason: Note


@router.post(
    "/v1/registrations",
    operation_id="register",
    summary="Ask to become an MSP",
    status_code=202,
    dependencies=[Public],
    responses=described(Invalid, TooManyRequests),
)
async def register(body: NewRegistration, db: Db, now: Now, made: TheService, come_from: From) -> RegistrationTaken:
    """A letter asks to confirm the address within 48 hours. The answer does not tell who is registered.

    `GET /v1/documents` gives the terms and the privacy notice that are in force; others are refused.
    """
    applicant = Applicant(
        company=body.company,
        country=body.country,
        vat_number=body.vat_number,
        contact=body.contact,
        email=body.email,
        language=body.language,
        terms_version=body.accepted_terms,
        privacy_version=body.accepted_privacy_notice,
    )
    await partners.register(db, made.desk.vault, applicant, address=come_from.address, now=now)
    return RegistrationTaken()


@router.post(
    "/v1/registrations/verification",
    operation_id="verifyRegistration",
    summary="Confirm the address by the letter's link",
    status_code=204,
    dependencies=[Public],
    responses=described(Invalid, LinkInvalid, TooManyAttempts, TooManyRequests),
)
async def verify_registration(body: LinkToken, db: Db, now: Now, made: TheService, come_from: From) -> None:
    """By POST only: mail scanners follow links."""
    await made.attempts.link(come_from.address)
    await partners.verify_registration(db, token=body.token, origin=come_from, now=now)


@router.get(
    "/v1/registrations",
    operation_id="listRegistrations",
    summary="The registrations (vendor)",
    responses=described(Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def list_registrations(
    caller: Caller,
    db: Db,
    request: Request,
    response: Response,
    undecided: Annotated[bool, Query(description="Only those that wait for a decision.")] = False,
    limit: Limit = 50,
    after: After = None,
) -> RegistrationPage:
    """Oldest first; unconfirmed ones are not there."""
    _vendor(caller, Right.PARTNERS_READ)
    page = cursor("registration", after)
    rows = await partners.registrations(db, undecided=undecided, after=page, limit=limit)
    link_next(request, response, rows, limit, lambda row: ids.show("registration", row.id))
    return RegistrationPage(items=[_registration(row) for row in rows])


@router.get(
    "/v1/registrations/{registration_id}",
    operation_id="getRegistration",
    summary="One registration (vendor)",
    responses=described(Absent, WrongPartner, *CALLER_REFUSALS),
)
async def get_registration(registration_id: str, caller: Caller, db: Db) -> RegistrationShown:
    """As it stands."""
    _vendor(caller, Right.PARTNERS_READ)
    return _registration(await partners.one_registration(db, named("registration", registration_id)))


@router.post(
    "/v1/registrations/{registration_id}/approval",
    operation_id="approveRegistration",
    summary="Approve a registration (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(
        Absent,
        AlreadyDecided,
        IdempotencyKeyReused,
        Invalid,
        NameTaken,
        DistributorClosed,
        NoDistributor,
        WrongPartner,
        *CALLER_REFUSALS,
    ),
)
async def approve_registration(
    registration_id: str, body: Approval, caller: Caller, db: Db, now: Now, made: TheService
) -> RegistrationShown:
    """Makes the MSP and invites its contact as admin."""
    _vendor(caller, Right.PARTNERS_WRITE)
    wanted = named("registration", registration_id)
    under = named("distributor", body.distributor_id) if body.distributor_id else None
    await partners.approve(db, made.desk.vault, caller, wanted, distributor_id=under, name=body.name, now=now)
    return _registration(await partners.one_registration(db, wanted))


@router.post(
    "/v1/registrations/{registration_id}/rejection",
    operation_id="rejectRegistration",
    summary="Reject a registration (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, AlreadyDecided, IdempotencyKeyReused, Invalid, WrongPartner, *CALLER_REFUSALS),
)
async def reject_registration(
    registration_id: str, body: Rejection, caller: Caller, db: Db, now: Now
) -> RegistrationShown:
    """The letter gives the reason."""
    _vendor(caller, Right.PARTNERS_WRITE)
    wanted = named("registration", registration_id)
    await partners.reject(db, caller, wanted, reason=body.reason, now=now)
    return _registration(await partners.one_registration(db, wanted))


def _vendor(caller: Principal, right: Right) -> None:
    caller.require(right)
    caller.one_of(PartnerKind.VENDOR)


def _registration(row: Registration) -> RegistrationShown:
    return RegistrationShown(
        id=ids.show("registration", row.id),
        company=row.company,
        country=row.country,
        vat_number=row.vat_number,
        contact=row.contact,
        email=row.email,
        language="en" if row.language == "en" else "it",
        terms_version=row.terms_version,
        privacy_version=row.privacy_version,
        created_at=row.created_at,
        verified_at=row.verified_at,
        decided_at=row.decided_at,
        decision=row.decision,  # type: ignore[arg-type]
        reason=row.reason,
        msp_id=ids.show("msp", row.msp_id) if row.msp_id else None,
    )
