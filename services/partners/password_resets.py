"""A new password by letter. The answer is the same, and made by the same steps, whoever the address is."""

import secrets
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.ids import new_id, show
from services.partners.audit import note
from services.partners.invitations import LinkInvalid
from services.partners.passwords import hash_password
from services.partners.people_tables import PasswordReset, User
from services.partners.principal import Origin, PartnerKind, Principal
from services.partners.signing_in import end_sessions, id_by_email, know_network
from services.signing import Vault, digest

_LASTS = timedelta(hours=1)
PATH = "/password/new"


async def request_password_reset(
    db: AsyncSession, vault: Vault, *, email: str, language: delivery.Language, now: datetime
) -> None:
    """Post a letter with a link to a person, or one that says there is nobody; at most three a day to an address."""
    email = email.strip().lower()
    user_id = await id_by_email(db, email)
    token = secrets.token_urlsafe(32)
    row = PasswordReset(
        id=new_id(now),
        user_id=user_id,
        token_sha256=digest(token),
        created_at=now,
        expires_at=now + _LASTS,
    )
    db.add(row)
    await db.flush()
    await delivery.post_to_stranger(
        db,
        occasion=f"reset {row.id}",
        kind="password_reset" if user_id else "password_reset_unknown",
        recipient=email,
        language=language,
        values=delivery.link(vault, PATH, token),
        now=now,
    )


async def set_new_password(db: AsyncSession, *, token: str, password: str, origin: Origin, now: datetime) -> None:
    """Set a new password by the letter's link; all sessions end. Raises `LinkInvalid`, `Invalid`."""
    row = await db.scalar(
        select(PasswordReset)
        .where(
            PasswordReset.token_sha256 == digest(token),
            PasswordReset.user_id.is_not(None),
            PasswordReset.used_at.is_(None),
            PasswordReset.expires_at > now,
        )
        .with_for_update()
    )
    user = await db.get(User, row.user_id) if row else None
    if row is None or user is None or user.removed_at is not None:
        raise LinkInvalid
    user.password_hash = await hash_password(password, email=user.email)
    row.used_at = now
    await end_sessions(db, user.id, now)
    await know_network(db, user.id, origin.address, now)
    caller = Principal(user.partner_id, row.id, PartnerKind(user.partner_kind), user_id=user.id, origin=origin)
    await note(db, caller, "user.password_reset", show("user", user.id), now=now)
