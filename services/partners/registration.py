"""Registration: a company asks to become an MSP. Nobody can find out from the answers who is registered."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from stdnum import get_cc_module

from services import delivery
from services.errors import Absent, Invalid, Kind, Refusal
from services.ids import new_id, show
from services.partners.audit import note
from services.partners.directory import distributor_for, one_distributor
from services.partners.documents import DocumentKind, check_accepted
from services.partners.invitations import LinkInvalid, invite
from services.partners.people_tables import Registration
from services.partners.principal import VENDOR_ID, Origin, PartnerKind, Principal, Role
from services.partners.register import add_msp
from services.partners.signing_in import id_by_email
from services.partners.tables import Msp
from services.partners.users import Partner
from services.signing import Vault, digest

_UNVERIFIED = timedelta(hours=48)
PATH = "/registrations/confirm"


class NoDistributor(Refusal):
    """No distributor has this country; name one."""

    kind = Kind.CONFLICT
    code = "no_distributor"


class AlreadyDecided(Refusal):
    """This registration has been approved or rejected already."""

    kind = Kind.CONFLICT
    code = "already_decided"


@dataclass(frozen=True, slots=True)
class Applicant:
    """What a company says of itself."""

    company: str
    country: str
    vat_number: str
    contact: str
    email: str
    language: delivery.Language
    terms_version: str
    privacy_version: str


def checked_vat_number(country: str, vat_number: str) -> str:
    """Give the VAT number in its compact form; raises `Invalid`. A country without a known form takes any."""
    module = get_cc_module(country.lower(), "vat")
    if module is None:
        return vat_number.strip().upper()
    if not module.is_valid(vat_number):
        raise Invalid("This is not a VAT number of that country.", pointer="/vat_number")
    return str(module.compact(vat_number))


async def register(db: AsyncSession, vault: Vault, applicant: Applicant, *, address: str | None, now: datetime) -> None:
    """Take in a registration and post the letter that verifies the address.

    Raises `Invalid` for a wrong VAT number, or for terms or a privacy notice that are not in force. A person who
    has an account gets a letter that says so; the steps taken and the answer are the same.
    """
    vat_number = checked_vat_number(applicant.country, applicant.vat_number)
    await check_accepted(db, DocumentKind.TERMS, applicant.terms_version, "/accepted_terms")
    await check_accepted(db, DocumentKind.PRIVACY, applicant.privacy_version, "/accepted_privacy_notice")
    email = applicant.email.strip().lower()
    token = secrets.token_urlsafe(32)
    known = await id_by_email(db, email)
    row = Registration(
        id=new_id(now),
        company=applicant.company,
        country=applicant.country,
        vat_number=vat_number,
        contact=applicant.contact,
        email=email,
        language=applicant.language,
        terms_version=applicant.terms_version,
        privacy_version=applicant.privacy_version,
        token_sha256=digest(token),
        created_at=now,
        expires_at=now + _UNVERIFIED,
        address=address,
    )
    db.add(row)
    await db.flush()
    await delivery.post_to_stranger(
        db,
        occasion=f"registration {row.id}",
        kind="registration_known" if known else "registration_verify",
        recipient=email,
        language=applicant.language,
        values=delivery.link(vault, PATH, token),
        now=now,
    )


async def verify_registration(db: AsyncSession, *, token: str, origin: Origin, now: datetime) -> None:
    """Confirm the address: from now on the Partner Team sees it. Raises `LinkInvalid`; twice is once."""
    row = await db.scalar(
        select(Registration)
        .where(Registration.token_sha256 == digest(token), Registration.expires_at > now)
        .with_for_update()
    )
    if row is None:
        raise LinkInvalid
    if row.verified_at is None:
        row.verified_at = now
        await _write(db, row, "registration_received", {}, now)
        # The log has what was done before too, from now on: an unverified one nobody sees.
        for action, come_from, at in (
            ("registration.made", Origin(row.address), row.created_at),
            ("registration.verified", origin, now),
        ):
            registrant = Principal(row.id, row.id, PartnerKind.VENDOR, name="registrant", origin=come_from)
            await note(db, registrant, action, _shown(row), after={"at": at.isoformat()}, now=now)
        delivery.emit(
            db, partner_id=VENDOR_ID, kind="registration.verified", subject={"registration": _shown(row)}, now=now
        )


async def registrations(db: AsyncSession, *, undecided: bool, after: UUID | None, limit: int) -> Sequence[Registration]:
    """Give a page of the verified registrations, oldest first."""
    query = select(Registration).where(Registration.verified_at.is_not(None))
    if undecided:
        query = query.where(Registration.decided_at.is_(None))
    if after is not None:
        query = query.where(Registration.id > after)
    return (await db.scalars(query.order_by(Registration.id).limit(limit))).all()


async def names_of_registrations(db: AsyncSession, registration_ids: Collection[UUID]) -> dict[UUID, str]:
    """Give the companies of some registrations."""
    query = select(Registration.id, Registration.company).where(Registration.id.in_(registration_ids))
    return {row.id: row.company for row in await db.execute(query)}


async def one_registration(db: AsyncSession, registration_id: UUID, *, lock: bool = False) -> Registration:
    """Give a verified registration; raises `Absent`."""
    query = select(Registration).where(Registration.id == registration_id, Registration.verified_at.is_not(None))
    row = await db.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise Absent
    return row


async def approve(
    db: AsyncSession,
    vault: Vault,
    caller: Principal,
    registration_id: UUID,
    *,
    distributor_id: UUID | None,
    name: str | None,
    now: datetime,
) -> Msp:
    """Make the MSP under its country's distributor and invite the contact.

    Raises `NoDistributor`, `NameTaken`, `DistributorClosed`.
    """
    row = await _undecided(db, registration_id)
    if distributor_id is not None:
        await one_distributor(db, caller, distributor_id)
    under = distributor_id or await distributor_for(db, row.country)
    if under is None:
        raise NoDistributor(pointer="/distributor_id")
    msp = await add_msp(db, name=name or row.company, distributor_id=under, now=now)
    msp.legal_name, msp.country, msp.vat_number, msp.language = row.company, row.country, row.vat_number, row.language
    msp.technical_email = msp.billing_email = row.email
    row.decided_at, row.decision, row.msp_id = now, "approved", msp.id
    await invite(
        db,
        vault,
        Partner(PartnerKind.MSP, msp.id),
        email=row.email,
        role=Role.ADMIN,
        language=delivery.language(row.language),
        invited_by=caller.actor,
        now=now,
        kind="registration_approved",
        values={"company": row.company},
    )
    await note(
        db,
        caller,
        "registration.approved",
        _shown(row),
        after={"msp": show("msp", msp.id)},
        msp_id=msp.id,
        distributor_id=under,
        now=now,
    )
    for partner_id in (msp.id, under):
        delivery.emit(db, partner_id=partner_id, kind="msp.approved", subject={"msp": show("msp", msp.id)}, now=now)
    return msp


async def reject(db: AsyncSession, caller: Principal, registration_id: UUID, *, reason: str, now: datetime) -> None:
    """Reject a registration with a reason, which its letter gives; raises `AlreadyDecided`."""
    row = await _undecided(db, registration_id)
    row.decided_at, row.decision, row.reason = now, "rejected", reason
    await _write(db, row, "registration_rejected", {"reason": reason, "company": row.company}, now)
    await note(db, caller, "registration.rejected", _shown(row), after={"reason": reason}, now=now)


async def drop_unverified(db: AsyncSession, now: datetime) -> int:
    """Delete the registrations that nobody verified in time; gives how many."""
    stale = and_(Registration.verified_at.is_(None), Registration.expires_at <= now)
    gone = await db.execute(delete(Registration).where(stale).returning(Registration.id))
    return len(gone.all())


async def _undecided(db: AsyncSession, registration_id: UUID) -> Registration:
    row = await one_registration(db, registration_id, lock=True)
    if row.decided_at is not None:
        raise AlreadyDecided
    return row


async def _write(db: AsyncSession, row: Registration, kind: str, values: dict[str, object], now: datetime) -> None:
    await delivery.post(
        db,
        occasion=f"{kind} {row.id}",
        kind=kind,
        recipient=row.email,
        language=delivery.language(row.language),
        values=values,
        now=now,
    )


def _shown(row: Registration) -> str:
    return show("registration", row.id)
