"""Signing in: a password, a second factor, and a session. Nobody's address is answered like a wrong password."""

import base64
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent, Kind, Refusal, Unauthenticated
from services.ids import new_id, show
from services.partners.audit import note
from services.partners.passwords import right_password
from services.partners.people_tables import KnownNetwork, User, UserSession
from services.partners.principal import Origin, PartnerKind, Principal, Role, rights_of
from services.partners.second_factor import check_second_factor
from services.signing import Vault, digest

PREFIX = "tds_"
_IDLE = timedelta(hours=12)
_LONGEST = timedelta(days=14)
_FRESH = timedelta(minutes=10)
_SEEN_STEP = timedelta(minutes=5)
_KNOWN = timedelta(days=90)


class SignInFailed(Refusal):
    """The address or the password is wrong."""

    kind = Kind.UNAUTHENTICATED
    code = "sign_in_failed"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session, with the secret that stands for it, given this once."""

    session: UserSession
    user: User
    secret: str


async def sign_in(
    db: AsyncSession,
    vault: Vault,
    *,
    email: str,
    password: str,
    code: str | None,
    origin: Origin,
    program: str | None,
    now: datetime,
) -> SignedIn:
    """Begin a session; raises `SignInFailed`, `CodeNeeded`, `CodeWrong`."""
    user = await user_by_email(db, email)
    if not await right_password(password, user.password_hash if user else None) or user is None:
        raise SignInFailed
    # Locked only now: a stranger who tries passwords must not hold up the owner.
    await db.refresh(user, with_for_update=True)
    await check_second_factor(db, vault, user, code, now)
    return await begin_session(db, user, origin=origin, program=program, now=now)


async def begin_session(
    db: AsyncSession, user: User, *, origin: Origin, program: str | None, now: datetime
) -> SignedIn:
    """Begin a session of a person who has proved who it is, and know its network from now on."""
    secret = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    session = UserSession(
        id=new_id(now),
        user_id=user.id,
        secret_sha256=digest(secret),
        created_at=now,
        confirmed_at=now,
        last_seen_at=now,
        address=origin.address,
        program=program,
    )
    db.add(session)
    await know_network(db, user.id, origin.address, now)
    await note(db, replace(_principal(user, session, now), origin=origin), "user.signed_in", _shown(user), now=now)
    await db.flush()
    return SignedIn(session, user, secret)


async def confirm_session(
    db: AsyncSession, vault: Vault, caller: Principal, *, password: str, code: str | None, now: datetime
) -> None:
    """Make the session fresh for grave acts; raises `SignInFailed`, `CodeNeeded`, `CodeWrong`."""
    user = await db.get_one(User, caller.person(), with_for_update=True)
    if not await right_password(password, user.password_hash):
        raise SignInFailed
    await check_second_factor(db, vault, user, code, now)
    await db.execute(update(UserSession).where(UserSession.id == caller.credential_id).values(confirmed_at=now))


async def principal_of_session(
    db: AsyncSession, secret: str, now: datetime, origin: Origin | None = None, *, seen: bool = True
) -> Principal:
    """Give who a session stands for; raises `Unauthenticated`. Not `seen`, it comes no later to its idle end."""
    query = select(UserSession, User).join(User, User.id == UserSession.user_id)
    found = (await db.execute(query.where(UserSession.secret_sha256 == digest(secret)))).first()
    if found is None or not _alive(*found, now):
        raise Unauthenticated
    session, user = found
    if seen and now - session.last_seen_at >= _SEEN_STEP:
        session.last_seen_at = now
        await db.flush()
    return replace(_principal(user, session, now), origin=origin or Origin())


async def sessions_of(db: AsyncSession, caller: Principal, now: datetime) -> Sequence[UserSession]:
    """Give the caller's own living sessions, newest first."""
    query = select(UserSession).where(
        UserSession.user_id == caller.person(),
        UserSession.ended_at.is_(None),
        UserSession.last_seen_at > now - _IDLE,
        UserSession.created_at > now - _LONGEST,
    )
    return (await db.scalars(query.order_by(UserSession.id.desc()))).all()


async def end_session(db: AsyncSession, caller: Principal, session_id: UUID, now: datetime) -> None:
    """End one of the caller's own sessions; raises `Absent`. Twice is once."""
    session = await db.scalar(
        select(UserSession).where(UserSession.id == session_id, UserSession.user_id == caller.person())
    )
    if session is None:
        raise Absent
    session.ended_at = session.ended_at or now


async def end_sessions(db: AsyncSession, user_id: UUID, now: datetime, *, keep: UUID | None = None) -> None:
    """End all sessions of a person, but for one."""
    ending = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    await db.execute((ending if keep is None else ending.where(UserSession.id != keep)).values(ended_at=now))


async def user_by_email(db: AsyncSession, email: str) -> User | None:
    """Find the person of an address."""
    return await db.scalar(select(User).where(User.email == email.strip().lower(), User.removed_at.is_(None)))


async def id_by_email(db: AsyncSession, email: str) -> UUID | None:
    """Tell whose address it is: one row whether or not, where reading the person would be more work for somebody's."""
    owner = select(User.id).where(User.email == email.strip().lower(), User.removed_at.is_(None)).scalar_subquery()
    return await db.scalar(select(owner))


def network_of(address: str | None) -> str | None:
    """Give what an address is counted by: itself, or its /64 of IPv6."""
    if address is None:
        return None
    try:
        given = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = given.ipv4_mapped if isinstance(given, ipaddress.IPv6Address) else None
    if mapped is not None:
        return str(mapped)
    return str(ipaddress.ip_network((given, 64), strict=False)) if given.version == 6 else str(given)


async def know_network(db: AsyncSession, user_id: UUID, address: str | None, now: datetime) -> None:
    """Remember that the person came in from here."""
    network = network_of(address)
    if network is not None:
        known = insert(KnownNetwork).values(user_id=user_id, network=network, last_at=now)
        await db.execute(known.on_conflict_do_update(index_elements=["user_id", "network"], set_={"last_at": now}))


async def is_known_network(db: AsyncSession, email: str, address: str | None, now: datetime) -> bool:
    """Tell whether the person of this address has come in from this network lately."""
    found = await db.scalar(
        select(KnownNetwork.user_id)
        .join(User, User.id == KnownNetwork.user_id)
        .where(
            User.email == email.strip().lower(),
            User.removed_at.is_(None),
            KnownNetwork.network == network_of(address),
            KnownNetwork.last_at > now - _KNOWN,
        )
    )
    return found is not None


def _alive(session: UserSession, user: User, now: datetime) -> bool:
    ended = session.ended_at is not None or user.removed_at is not None
    return not ended and now - session.last_seen_at < _IDLE and now - session.created_at < _LONGEST


def _principal(user: User, session: UserSession, now: datetime) -> Principal:
    return Principal(
        user.partner_id,
        session.id,
        PartnerKind(user.partner_kind),
        rights_of(Role(user.role)),
        user_id=user.id,
        fresh=now - session.confirmed_at < _FRESH,
        must_enrol=user.partner_kind == PartnerKind.VENDOR and user.totp_confirmed_at is None,
        at=now,
    )


def _shown(user: User) -> str:
    return show("user", user.id)
