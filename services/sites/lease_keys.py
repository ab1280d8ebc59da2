"""The keys that sign leases, kept sealed in the database; all API processes share them.

A new key is published before it signs, for as long as caches may keep the document of keys; an old one stays published
until no lease that it signed can hold any more.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.signing import SigningKey, Vault
from services.sites.lease import expires_at
from services.sites.tables import LeaseKey
from services.usage import Line

CACHED_SECONDS = 3600


async def signing_key(db: AsyncSession, vault: Vault, now: datetime) -> SigningKey:
    """Give the key that signs now; the first caller of a new deployment makes it."""
    row = await _signs(db, now)
    if row is None:
        await db.execute(text("lock table lease_keys in share row exclusive mode"))
        row = await _signs(db, now) or await _make(db, vault, now, signs_from_at=now)
    return SigningKey.from_private(vault.open(row.private_sealed, row.kid.encode()))


async def rotate_signing_key(db: AsyncSession, vault: Vault, now: datetime) -> LeaseKey:
    """Make a new key, which signs as soon as every cache knows it; the others retire when their leases have ended."""
    await db.execute(text("lock table lease_keys in share row exclusive mode"))
    signs_from_at = now + timedelta(seconds=CACHED_SECONDS)
    retires_at = signs_from_at + await _longest_lease(db, now)
    old = update(LeaseKey).where(LeaseKey.retires_at.is_(None))
    await db.execute(old.values(retires_at=retires_at))
    return await _make(db, vault, now, signs_from_at=signs_from_at)


async def public_keys(db: AsyncSession, vault: Vault, now: datetime) -> list[dict[str, Any]]:
    """Give every key that a lease in hand may be signed by, as JWKs, newest first."""
    alive = or_(LeaseKey.retires_at.is_(None), LeaseKey.retires_at > now)
    rows = await db.scalars(select(LeaseKey).where(alive).order_by(LeaseKey.created_at.desc(), LeaseKey.kid))
    return [SigningKey.from_private(vault.open(row.private_sealed, row.kid.encode())).public_jwk() for row in rows]


async def _signs(db: AsyncSession, now: datetime) -> LeaseKey | None:
    begun = func.coalesce(LeaseKey.signs_from_at, LeaseKey.created_at)
    newest = select(LeaseKey).where(begun <= now).order_by(begun.desc(), LeaseKey.kid)
    return await db.scalar(newest.limit(1))


async def _make(db: AsyncSession, vault: Vault, now: datetime, *, signs_from_at: datetime) -> LeaseKey:
    made = SigningKey.make()
    sealed = vault.seal(made.private_pem(), made.kid.encode())
    row = LeaseKey(kid=made.kid, private_sealed=sealed, created_at=now, signs_from_at=signs_from_at, retires_at=None)
    db.add(row)
    await db.flush()
    return row


async def _longest_lease(db: AsyncSession, now: datetime) -> timedelta:
    """Give how long a lease in hand may hold: also one that was given under a longer policy than today's."""
    most = await partners.bounds(db)
    row = (await db.execute(select(func.max(Line.heartbeat_seconds), func.max(Line.disable_after_seconds)))).one()
    heartbeat = max(row[0] or 0, most["heartbeat_seconds"].most)
    disable_after = max(row[1] or 0, most["disable_after_seconds"].most)
    return expires_at(now, heartbeat, disable_after) - now
