"""The people of a partner: listed, given roles, and taken off. A partner keeps an admin as long as it has people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.db import take_turn
from services.errors import Absent, Kind, Refusal
from services.ids import new_id, show
from services.partners.audit import note
from services.partners.passwords import hash_password, right_password
from services.partners.people_tables import User
from services.partners.principal import PartnerKind, Principal, Role
from services.partners.signing_in import SignInFailed, end_sessions

Language = str


class LastAdmin(Refusal):
    """The last admin cannot leave or step down; make another one first."""

    kind = Kind.CONFLICT
    code = "last_admin"


class EmailTaken(Refusal):
    """The address is another person's already."""

    kind = Kind.CONFLICT
    code = "email_taken"


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner by kind and id."""

    kind: PartnerKind
    id: UUID


async def add_user(
    db: AsyncSession,
    partner: Partner,
    *,
    email: str,
    name: str,
    role: Role,
    language: Language,
    password_hash: str | None,
    now: datetime,
) -> User:
    """Add a person; raises `EmailTaken`."""
    email = email.strip().lower()
    await take_turn(db, f"email {email}")
    taken = await db.scalar(select(User.id).where(User.email == email, User.removed_at.is_(None)))
    if taken is not None:
        raise EmailTaken(pointer="/email")
    user = User(
        id=new_id(now),
        partner_kind=partner.kind,
        partner_id=partner.id,
        email=email,
        name=name,
        language=language,
        role=role,
        password_hash=password_hash,
        created_at=now,
    )
    db.add(user)
    await db.flush()
    return user


async def users_of(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> Sequence[User]:
    """Give a page of the people of the caller's partner."""
    query = select(User).where(_of(Partner(caller.kind, caller.partner_id))).order_by(User.id).limit(limit)
    return (await db.scalars(query if after is None else query.where(User.id > after))).all()


async def user_of(db: AsyncSession, caller: Principal, user_id: UUID, *, lock: bool = False) -> User:
    """Give one of the caller's own people; raises `Absent` also for a stranger's."""
    query = select(User).where(User.id == user_id, _of(Partner(caller.kind, caller.partner_id)))
    user = await db.scalar(query.with_for_update() if lock else query)
    if user is None:
        raise Absent
    return user


async def people_of(db: AsyncSession, partner: Partner) -> Sequence[User]:
    """Give all people of a partner, admins first."""
    return (await db.scalars(select(User).where(_of(partner)).order_by(User.role, User.id))).all()


async def change_user(
    db: AsyncSession, caller: Principal, user: User, *, role: Role, name: str, language: Language, now: datetime
) -> None:
    """Change a person's role, name or language; raises `LastAdmin`."""
    before = _said(user)
    if user.role == Role.ADMIN and role is not Role.ADMIN:
        await _keep_an_admin(db, user)
    user.role, user.name, user.language = role, name, language
    await note(db, caller, "user.changed", show("user", user.id), before=before, after=_said(user), now=now)
    await db.flush()


async def remove_user(db: AsyncSession, caller: Principal, user: User, now: datetime) -> None:
    """Take a person off: sessions end, and name and address go; raises `LastAdmin`."""
    if user.role == Role.ADMIN:
        await _keep_an_admin(db, user)
    await note(db, caller, "user.removed", show("user", user.id), before={"role": user.role}, now=now)
    await strike_off(db, user, now)


async def strike_off(db: AsyncSession, user: User, now: datetime) -> None:
    """Take a person off without asking whether an admin is left."""
    user.removed_at, user.email, user.name = now, "", ""
    user.password_hash = user.totp_sealed = user.totp_confirmed_at = None
    await end_sessions(db, user.id, now)
    await db.flush()


async def change_password(db: AsyncSession, caller: Principal, *, old: str, new: str, now: datetime) -> None:
    """Change one's own password; every other session ends. Raises `SignInFailed`, `Invalid`."""
    user = await db.get_one(User, caller.person())
    if not await right_password(old, user.password_hash):
        raise SignInFailed(pointer="/old")
    user.password_hash = await hash_password(new, email=user.email)
    await end_sessions(db, user.id, now, keep=caller.credential_id)
    await note(db, caller, "user.password_changed", show("user", user.id), now=now)


async def change_self(
    db: AsyncSession, caller: Principal, *, name: str, language: Language, zone: str | None, now: datetime
) -> None:
    """Change how one is called oneself, and in which language and zone one reads."""
    user = await db.get_one(User, caller.person())
    before = {**_said(user), "zone": user.zone}
    user.name, user.language, user.zone = name, language, zone
    after = {**_said(user), "zone": zone}
    await note(db, caller, "user.changed", show("user", user.id), before=before, after=after, now=now)
    await db.flush()


async def _keep_an_admin(db: AsyncSession, leaving: User) -> None:
    """Raise `LastAdmin` if no other is left; the partner's admins are locked, so that two cannot leave at once."""
    partner = Partner(PartnerKind(leaving.partner_kind), leaving.partner_id)
    # Rows alone would let two admins each lock themselves first; a lock on the partner's name comes before them.
    await take_turn(db, f"admins {partner.id}")
    admins = await db.scalars(select(User.id).where(_of(partner), User.role == Role.ADMIN))
    if not set(admins) - {leaving.id}:
        raise LastAdmin


def _of(partner: Partner) -> ColumnElement[bool]:
    return and_(User.partner_kind == partner.kind, User.partner_id == partner.id, User.removed_at.is_(None))


def _said(user: User) -> dict[str, object]:
    return {"role": user.role, "name": user.name, "language": user.language}
