"""Idempotency keys: the same creating request sent again gets the first one's answer, kept sealed for a day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Kind, Refusal
from services.partners.people_tables import IdempotencyKey
from services.partners.principal import Principal
from services.signing import Vault

_KEPT = timedelta(hours=24)


class IdempotencyKeyReused(Refusal):
    """This idempotency key was used for another request."""

    kind = Kind.INVALID
    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer that was given the first time."""

    status: int
    body: bytes


async def claim_idempotency_key(
    db: AsyncSession, vault: Vault, caller: Principal, key: str, request_sha256: bytes, now: datetime
) -> KeptAnswer | None:
    """Claim a key for a request: None lets it happen, and whoever comes meanwhile waits for its commit.

    Gives the answer that was kept; raises `IdempotencyKeyReused` if it was another request's.
    """
    mine = (IdempotencyKey.actor == caller.actor) & (IdempotencyKey.key == key)
    await db.execute(delete(IdempotencyKey).where(mine, IdempotencyKey.created_at <= now - _KEPT))
    claiming = insert(IdempotencyKey).values(
        actor=caller.actor, key=key, partner_id=caller.partner_id, request_sha256=request_sha256, created_at=now
    )
    claimed = await db.execute(claiming.on_conflict_do_nothing().returning(IdempotencyKey.key))
    if claimed.first() is not None:
        return None
    row = (await db.scalars(select(IdempotencyKey).where(mine))).one()
    if row.request_sha256 != request_sha256 or row.status is None:
        raise IdempotencyKeyReused
    return KeptAnswer(row.status, vault.open(row.answer_sealed or b"", _context(caller, key)))


async def keep_answer(db: AsyncSession, vault: Vault, caller: Principal, key: str, answer: KeptAnswer) -> None:
    """Keep the answer with the claim, in the transaction that did the work."""
    mine = (IdempotencyKey.actor == caller.actor) & (IdempotencyKey.key == key)
    sealed = vault.seal(answer.body, _context(caller, key))
    await db.execute(update(IdempotencyKey).where(mine).values(status=answer.status, answer_sealed=sealed))


async def drop_old_answers(db: AsyncSession, now: datetime) -> None:
    """Delete the answers that are older than a day."""
    await db.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at <= now - _KEPT))


def _context(caller: Principal, key: str) -> bytes:
    return f"{caller.actor} {key}".encode()
