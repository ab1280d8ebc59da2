"""Gathered letters: what one recipient is told of one kind within 15 minutes is one letter."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.db import take_turn
from services.delivery.outbox import Language, post
from services.delivery.tables import Letter

GATHERED_WITHIN = timedelta(minutes=15)


async def gather(
    db: AsyncSession,
    *,
    kind: str,
    recipient: str,
    language: Language,
    item: Mapping[str, Any],
    now: datetime,
    partner_id: UUID | None = None,
) -> None:
    """Add an item to the recipient's open letter of this kind, or open one; it is sent when 15 minutes are over.

    The letter's values are `{"items": [...]}`. Whoever gathers for several recipients does so in their order.
    """
    await take_turn(db, f"{kind} {recipient}")
    letter = await db.scalar(
        select(Letter)
        .where(
            Letter.kind == kind,
            Letter.recipient == recipient,
            Letter.attempts == 0,
            Letter.sent_at.is_(None),
            Letter.next_attempt_at > now,
            Letter.posted_at > now - GATHERED_WITHIN,
        )
        .order_by(Letter.posted_at.desc())
        .limit(1)
        .with_for_update()
    )
    if letter is not None:
        letter.values = {**letter.values, "items": [*letter.values["items"], dict(item)]}
        await db.flush()
        return
    occasion = f"{kind} {now.isoformat()}"
    values = {"items": [dict(item)]}
    await post(
        db,
        occasion=occasion,
        kind=kind,
        recipient=recipient,
        language=language,
        values=values,
        now=now,
        partner_id=partner_id,
    )
    opened = await db.scalar(select(Letter).where(Letter.occasion == occasion, Letter.recipient == recipient))
    if opened is not None:
        opened.next_attempt_at = now + GATHERED_WITHIN
        await db.flush()
