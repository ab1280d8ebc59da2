"""What is done to a key: each change is one row of its timeline, and done twice it is done once.

The caller holds the locks of the site's lines and of the key, and tells the lines afterwards.
"""

import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Kind, Refusal
from services.ids import Entropy
from services.keys import code as key_code
from services.keys import labels
from services.keys.tables import Key, KeyName
from services.keys.timeline import record
from services.signing import Vault


class KeyRevokedForGood(Refusal):
    """The key is revoked, which is final; rotate it to give the site a new code."""

    kind = Kind.CONFLICT
    code = "key_revoked_for_good"


class KeyAlreadyRotated(Refusal):
    """The code that was to be replaced is not this key's; look at the key again."""

    kind = Kind.CONFLICT
    code = "key_already_rotated"


def suspend(db: AsyncSession, key: Key, *, reason: str, actor: str, now: datetime) -> bool:
    """Suspend a key until it is resumed; False if it is suspended already. Raises `KeyRevokedForGood`."""
    _check_not_revoked(key)
    if key.suspended_at is not None:
        return False
    before = key.state
    key.suspended_at, key.reason = now, reason
    record(db, key, "suspended", before=before, at=now, now=now, actor=actor, reason=reason)
    return True


def resume(db: AsyncSession, key: Key, *, actor: str, now: datetime) -> bool:
    """Take a suspension back; False if there is none. Raises `KeyRevokedForGood`."""
    _check_not_revoked(key)
    if key.suspended_at is None:
        return False
    before = key.state
    key.suspended_at, key.reason = None, None
    record(db, key, "resumed", before=before, at=now, now=now, actor=actor)
    return True


def revoke(db: AsyncSession, key: Key, *, reason: str, actor: str, now: datetime) -> bool:
    """Revoke a key for good; False if it is revoked already."""
    if key.revoked_at is not None:
        return False
    before = key.state
    key.revoked_at, key.reason = now, reason
    record(db, key, "revoked", before=before, at=now, now=now, actor=actor, reason=reason)
    return True


def rotate(
    db: AsyncSession,
    vault: Vault,
    key: Key,
    *,
    replaces: str,
    actor: str,
    now: datetime,
    entropy: Entropy = secrets.token_bytes,
) -> str:
    """Give the key a new code in place of the one that ends in `replaces`; also a revoked key, which lives again.

    A repeat gives the same new code. Raises `KeyAlreadyRotated` if the code it names is neither of the two.
    """
    if key.rotated_from is not None and key.rotated_from.endswith(replaces):
        return vault.open(key.code_sealed, key.id.bytes).decode()
    if not key.code_masked.endswith(replaces):
        raise KeyAlreadyRotated(pointer="/replaces")
    labels.keep(db, key, now)
    before, code = key.state, key_code.make(entropy)
    key.rotated_from, key.code_masked = key.code_masked, key_code.mask(code)
    key.code_hash, key.code_sealed = vault.finding_hash(code), vault.seal(code.encode(), key.id.bytes)
    if key.revoked_at is not None:
        key.revoked_at, key.reason, key.suspended_at = None, None, None
    record(db, key, "rotated", before=before, at=now, now=now, actor=actor)
    return code


def suspend_with_msp(db: AsyncSession, key: Key, *, reason: str, actor: str, now: datetime) -> bool:
    """Suspend a key together with its MSP; its own state stays as it is. False if it is so already."""
    if key.msp_suspended_at is not None:
        return False
    before = key.state
    key.msp_suspended_at, key.msp_reason = now, reason
    record(db, key, "msp_suspended", before=before, at=now, now=now, actor=actor, reason=reason)
    return True


def resume_with_msp(db: AsyncSession, key: Key, *, actor: str, now: datetime) -> bool:
    """Take back what the MSP's suspension did to the key; False if it did nothing."""
    if key.msp_suspended_at is None:
        return False
    before = key.state
    key.msp_suspended_at, key.msp_reason = None, None
    record(db, key, "msp_resumed", before=before, at=now, now=now, actor=actor)
    return True


def note(db: AsyncSession, key: Key, event: str, *, actor: str, now: datetime, reason: str | None = None) -> None:
    """Note in the timeline what leaves the state as it is: released, moved, snoozed, a seat taken."""
    record(db, key, event, before=key.state, at=now, now=now, actor=actor, reason=reason)


async def hand_over(db: AsyncSession, key: Key, msp_id: UUID, *, at: datetime, now: datetime) -> None:
    """Give the key to another MSP as of an instant; the name goes with it, told apart if it is taken there."""
    await db.execute(delete(KeyName).where(KeyName.msp_id == key.msp_id, KeyName.name == key.name))
    wanted = [key.name, *(f"{key.name} ({number})" for number in range(2, 1_000))]
    for name in wanted:
        taking = insert(KeyName).values(msp_id=msp_id, name=name, site_id=key.site_id)
        if (await db.execute(taking.on_conflict_do_nothing().returning(KeyName.site_id))).first() is not None:
            break
    await labels.keep_until(db, key, at, now)
    key.msp_id, key.name = msp_id, name
    # An MSP's suspension is of its own keys: the new one's holds from now on.
    key.msp_suspended_at, key.msp_reason = None, None
    record(db, key, "moved", before=key.state, at=at, now=now, actor="move")


def _check_not_revoked(key: Key) -> None:
    if key.revoked_at is not None:
        raise KeyRevokedForGood
