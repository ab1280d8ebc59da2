"""Invitations: a letter with a link that is good once, for seven days, to one address."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.errors import Absent, Kind, Refusal
from services.ids import new_id, show
from services.partners.audit import note
from services.partners.passwords import hash_password
from services.partners.people_tables import Invitation, User
from services.partners.principal import VENDOR_ID, PartnerKind, Principal, Role
from services.partners.signing_in import user_by_email
from services.partners.users import EmailTaken, Partner, add_user
from services.signing import Vault, digest

_LASTS = timedelta(days=7)
PATH = "/invitations/accept"


class LinkInvalid(Refusal):
    """The link has been used, has expired, or never was."""

    kind = Kind.ABSENT
    code = "link_invalid"


async def invite(
    db: AsyncSession,
    vault: Vault,
    partner: Partner,
    *,
    email: str,
    role: Role,
    language: delivery.Language,
    invited_by: str,
    now: datetime,
    kind: str = "invitation",
    values: dict[str, object] | None = None,
    token: str | None = None,
) -> Invitation:
    """Invite an address to a partner and post the letter. Whether it is a person's already is not said."""
    token = token or secrets.token_urlsafe(32)
    row = Invitation(
        id=new_id(now),
        partner_kind=partner.kind,
        partner_id=partner.id,
        email=email.strip().lower(),
        role=role,
        language=language,
        token_sha256=digest(token),
        invited_by=invited_by,
        created_at=now,
        expires_at=now + _LASTS,
    )
    db.add(row)
    await db.flush()
    await delivery.post(
        db,
        occasion=f"invitation {row.id}",
        kind=kind,
        recipient=row.email,
        language=language,
        values={**delivery.link(vault, PATH, token), "role": role, **(values or {})},
        now=now,
        partner_id=partner.id,
    )
    return row


async def invite_colleague(
    db: AsyncSession,
    vault: Vault,
    caller: Principal,
    *,
    email: str,
    role: Role,
    language: delivery.Language,
    now: datetime,
) -> Invitation:
    """Invite an address to the caller's own partner."""
    partner = Partner(caller.kind, caller.partner_id)
    row = await invite(db, vault, partner, email=email, role=role, language=language, invited_by=caller.actor, now=now)
    await note(db, caller, "invitation.sent", show("invitation", row.id), after={"role": role}, now=now)
    return row


async def invite_vendor_admin(
    db: AsyncSession, vault: Vault, *, email: str, language: delivery.Language, now: datetime
) -> str:
    """Invite an admin of the vendor as the operator; gives the path of the letter's link. Raises `EmailTaken`."""
    if await user_by_email(db, email) is not None:
        raise EmailTaken(pointer="/email")
    token, operator = secrets.token_urlsafe(32), Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, name="operator")
    row = await invite(
        db,
        vault,
        Partner(PartnerKind.VENDOR, VENDOR_ID),
        email=email,
        role=Role.ADMIN,
        language=language,
        invited_by=operator.actor,
        now=now,
        token=token,
    )
    await note(db, operator, "invitation.sent", show("invitation", row.id), after={"role": Role.ADMIN}, now=now)
    return f"{PATH}?token={token}"


async def invitations_of(
    db: AsyncSession, caller: Principal, now: datetime, *, after: UUID | None, limit: int
) -> Sequence[Invitation]:
    """Give a page of the caller's open invitations."""
    query = select(Invitation).where(_own(caller), _open(now)).order_by(Invitation.id).limit(limit)
    return (await db.scalars(query if after is None else query.where(Invitation.id > after))).all()


async def withdraw_invitation(db: AsyncSession, caller: Principal, invitation_id: UUID, now: datetime) -> None:
    """Take an invitation back; raises `Absent` for one that is not open."""
    row = await db.scalar(
        select(Invitation).where(Invitation.id == invitation_id, _own(caller), _open(now)).with_for_update()
    )
    if row is None:
        raise Absent
    row.withdrawn_at = now
    await note(db, caller, "invitation.withdrawn", show("invitation", row.id), now=now)


async def accept_invitation(db: AsyncSession, *, token: str, name: str, password: str, now: datetime) -> User:
    """Become a user; raises `LinkInvalid`, `EmailTaken`, or `Invalid` for a poor password."""
    row = await db.scalar(
        select(Invitation).where(Invitation.token_sha256 == digest(token), _open(now)).with_for_update()
    )
    if row is None:
        raise LinkInvalid
    user = await add_user(
        db,
        Partner(PartnerKind(row.partner_kind), row.partner_id),
        email=row.email,
        name=name,
        role=Role(row.role),
        language=row.language,
        password_hash=await hash_password(password, email=row.email),
        now=now,
    )
    row.accepted_at = now
    caller = Principal(row.partner_id, row.id, PartnerKind(row.partner_kind), user_id=user.id)
    await note(db, caller, "user.joined", show("user", user.id), after={"role": row.role}, now=now)
    return user


def _own(caller: Principal) -> ColumnElement[bool]:
    return and_(Invitation.partner_kind == caller.kind, Invitation.partner_id == caller.partner_id)


def _open(now: datetime) -> ColumnElement[bool]:
    return and_(Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None), Invitation.expires_at > now)
