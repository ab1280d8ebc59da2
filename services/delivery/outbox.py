"""The outbox: a letter or an event is a row, written in the transaction that causes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.delivery.tables import Event, Letter
from services.ids import new_id

Language = Literal["it", "en"]


async def post(
    db: AsyncSession,
    *,
    occasion: str,
    kind: str,
    recipient: str,
    language: Language,
    values: Mapping[str, Any],
    now: datetime,
    partner_id: UUID | None = None,
) -> None:
    """Post a letter. The same occasion and recipient twice is one letter, so whoever posts may do so again."""
    letter = {
        "id": new_id(now),
        "occasion": occasion,
        "kind": kind,
        "recipient": recipient,
        "language": language,
        "values": dict(values),
        "partner_id": partner_id,
        "posted_at": now,
        "next_attempt_at": now,
        "attempts": 0,
    }
    await db.execute(insert(Letter).values(letter).on_conflict_do_nothing())


def emit(db: AsyncSession, *, partner_id: UUID, kind: str, subject: Mapping[str, Any], now: datetime) -> None:
    """Record an event for a partner: a kind like `key.disabled`, and the shown ids of what it is about."""
    db.add(Event(id=new_id(now), partner_id=partner_id, kind=kind, subject=dict(subject), at=now))
