"""Registrations: a company's form before the door, and the Partner Team's list, with approval and rejection."""

from typing import Annotated, Literal
from uuid import UUID

from babel import Locale
from fastapi import APIRouter
from pydantic import StringConstraints
from starlette.responses import Response

from license_api.console.asking import Ask, Reason, ask
from license_api.console.language import LOCALES, N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn, Visit, Visitor
from license_api.v1.fields import Country, Email, Language, Message, Name
from license_api.v1.pages import cursor, named
from services import ids, partners
from services.partners import Applicant, PartnerKind, Registration, Right

router = APIRouter(route_class=PageRoute)
_ROWS, _HERE = 50, "/registrations"
# Where a VAT number has a form that can be checked; others write to the Partner Team.
_COUNTRIES = [
    "AT",
    "BE",
    "BG",
    "CH",
    "CY",
    "CZ",
    "DE",
    "DK",
    "EE",
    "ES",
    "FI",
    "FR",
    "GB",
    "GR",
    "HR",
    "HU",
    "IE",
    "IT",
    "LT",
    "LU",
    "LV",
    "MT",
    "NL",
    "NO",
    "PL",
    "PT",
    "RO",
    "SE",
    "SI",
    "SK",
    "SM",
]


class Application(Message):
    """What a company says of itself, and what it accepts."""

    company: Name
    country: Country
    vat_number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z .-]{2,40}$")]
    contact: Name
    email: Email
    terms: Literal["on"]
    privacy: Literal["on"]


class Approval(Message):
    """Under which distributor, if not the country's; under which name, if the company's is taken."""

    name: Name
    distributor_id: str | None = None


@router.get("/register")
async def show_form(visit: Visitor) -> Response:
    """Open as long as there are terms to accept."""
    return await _form(visit, done=False)


@router.post("/register")
async def register(visit: Visitor) -> Response:
    """A letter asks to confirm the address. The page that follows is the same whoever is registered."""
    accepted = await partners.in_force(visit.db)
    wanted = visit.form.read(Application)
    if wanted is None or not {"terms", "privacy"} <= set(accepted):
        return await _form(visit, done=False)
    applicant = Applicant(
        company=wanted.company,
        country=wanted.country,
        vat_number=wanted.vat_number,
        contact=wanted.contact,
        email=wanted.email,
        language=_language(visit),
        terms_version=accepted["terms"].version,
        privacy_version=accepted["privacy"].version,
    )
    vault, address = visit.made.desk.vault, visit.origin.address
    await visit.attempt(partners.register(visit.db, vault, applicant, address=address, now=visit.now))
    return await _form(visit, done=visit.form.right)


@router.get(_HERE)
async def list_registrations(visit: SignedIn, show: str = "waiting", after: str | None = None) -> Response:
    """Those that wait, or all."""
    _vendor(visit, Right.PARTNERS_READ)
    page = cursor("registration", after or None)
    rows = await partners.registrations(visit.db, undecided=show != "all", after=page, limit=_ROWS)
    last = ids.show("registration", rows[-1].id) if len(rows) == _ROWS else None
    return visit.page("registrations/list.html", rows=rows, show=show, after=after, last=last)


@router.get(_HERE + "/{registration_id}")
async def show_registration(registration_id: str, visit: SignedIn) -> Response:
    """One, with what there is to decide."""
    _vendor(visit, Right.PARTNERS_READ)
    return await _page(visit, await _one(visit, registration_id))


@router.post(_HERE + "/{registration_id}/approve")
async def approve(registration_id: str, visit: SignedIn) -> Response:
    """Makes the MSP and invites its contact."""
    _vendor(visit, Right.PARTNERS_WRITE)
    row, wanted = await _one(visit, registration_id), visit.form.read(Approval)
    if wanted is not None:
        under = named("distributor", wanted.distributor_id) if wanted.distributor_id else None
        approving = partners.approve(
            visit.db,
            visit.made.desk.vault,
            visit.principal,
            row.id,
            distributor_id=under,
            name=wanted.name,
            now=visit.now,
        )
        msp = await visit.attempt(approving)
        if msp is not None:
            return visit.go(f"/msps/{ids.show('msp', msp.id)}", N_("Approved: the contact is invited by letter."))
    return await _page(visit, await _one(visit, registration_id))


@router.get(_HERE + "/{registration_id}/reject")
async def ask_rejection(registration_id: str, visit: SignedIn) -> Response:
    """Ask why."""
    _vendor(visit, Right.PARTNERS_WRITE)
    return ask(visit, _rejection(await _one(visit, registration_id)))


@router.post(_HERE + "/{registration_id}/reject")
async def reject(registration_id: str, visit: SignedIn) -> Response:
    """The letter gives the reason."""
    _vendor(visit, Right.PARTNERS_WRITE)
    row, why = await _one(visit, registration_id), visit.form.read(Reason)
    if why is not None:
        await visit.attempt(partners.reject(visit.db, visit.principal, row.id, reason=why.reason, now=visit.now))
        if visit.form.right:
            return visit.go(_HERE, N_("Rejected: the letter gives the reason."))
    return ask(visit, _rejection(row))


def _vendor(visit: Signed, right: Right) -> None:
    visit.require(right)
    visit.principal.one_of(PartnerKind.VENDOR)


def _language(visit: Visit) -> Language:
    return "en" if visit.language == "en" else "it"


async def _one(visit: Signed, registration_id: str) -> Registration:
    return await partners.one_registration(visit.db, named("registration", registration_id))


async def _form(visit: Visit, *, done: bool) -> Response:
    accepted = await partners.in_force(visit.db)
    places = Locale.parse(str(LOCALES[_language(visit)])).territories
    countries = sorted(((code, places[code]) for code in _COUNTRIES), key=lambda one: one[1])
    return visit.page("registrations/form.html", done=done, accepted=accepted, countries=countries)


async def _page(visit: Signed, row: Registration) -> Response:
    distributors = await partners.distributors(visit.db, visit.principal, after=None, limit=500)
    own: UUID | None = await partners.distributor_for(visit.db, row.country)
    return visit.page("registrations/registration.html", row=row, distributors=distributors, own=own)


def _rejection(row: Registration) -> Ask:
    return Ask(
        title=N_("Reject the registration"),
        label=N_("Reject"),
        back=f"{_HERE}/{ids.show('registration', row.id)}",
        about=row.company,
        consequences=(N_("The contact is told by letter. The company can register again."),),
        reason=N_("The letter gives it word for word."),
        grave=False,
    )
