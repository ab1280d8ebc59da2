"""The keys that sign leases, kept sealed in the database; all API processes share them."""

from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.signing import SigningKey, Vault
from services.sites.tables import LeaseKey


async def signing_key(db: AsyncSession, vault: Vault, now: datetime) -> SigningKey:
    """Give the key that signs now; the first caller of a new deployment makes it."""
    await db.execute(text("lock table lease_keys in share row exclusive mode"))
    newest = await db.scalar(select(LeaseKey).order_by(LeaseKey.created_at.desc()).limit(1))
    if newest is not None:
        return SigningKey.from_private(vault.open(newest.private_sealed, newest.kid.encode()))
    made = SigningKey.make()
    sealed = vault.seal(made.private_pem(), made.kid.encode())
    db.add(LeaseKey(kid=made.kid, private_sealed=sealed, created_at=now))
    await db.flush()
    return made


async def public_keys(db: AsyncSession, vault: Vault) -> list[dict[str, Any]]:
    """Give every key that a lease in hand may be signed by, as JWKs, newest first."""
    rows = await db.scalars(select(LeaseKey).order_by(LeaseKey.created_at.desc()))
    return [SigningKey.from_private(vault.open(row.private_sealed, row.kid.encode())).public_jwk() for row in rows]
