"""The outbox: a letter or an event is a row, written in the transaction that causes it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.db import take_turn
from services.delivery.kinds import EventKind
from services.delivery.tables import Event, Letter
from services.ids import new_id
from services.signing import Vault

Language = Literal["it", "en"]
LINK_CONTEXT = b"letter link"
_STRANGERS_LETTERS = 3
_STRANGERS_DAY = timedelta(hours=24)
_TO_STRANGERS = ("registration_verify", "registration_known", "password_reset", "password_reset_unknown")


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


async def post_to_stranger(
    db: AsyncSession,
    *,
    occasion: str,
    kind: str,
    recipient: str,
    language: Language,
    values: Mapping[str, Any],
    now: datetime,
) -> None:
    """Post a letter to an address that whoever asks may have made up: three a day go there, the rest nowhere."""
    await take_turn(db, f"stranger {recipient}")
    lately = select(func.count()).where(
        Letter.recipient == recipient, Letter.kind.in_(_TO_STRANGERS), Letter.posted_at > now - _STRANGERS_DAY
    )
    if (await db.scalar(lately) or 0) < _STRANGERS_LETTERS:
        await post(db, occasion=occasion, kind=kind, recipient=recipient, language=language, values=values, now=now)


def emit(db: AsyncSession, *, partner_id: UUID, kind: EventKind, subject: Mapping[str, Any], now: datetime) -> None:
    """Record an event for a partner: what happened, and the shown ids of what it is about."""
    db.add(Event(id=new_id(now), partner_id=partner_id, kind=kind, subject=dict(subject), at=now, told=False))


def link(vault: Vault, path: str, token: str) -> dict[str, str]:
    """Give the values of a letter's link to a page; its token is kept sealed until the letter is written."""
    return {"link_path": path, "link_sealed": vault.seal(token.encode(), LINK_CONTEXT).hex()}


def language(text: str) -> Language:
    """Read a stored language."""
    return "en" if text == "en" else "it"


async def latest_events(db: AsyncSession, partner_id: UUID, *, since: datetime, limit: int) -> list[Event]:
    """Give a partner's events since an instant, newest first."""
    query = select(Event).where(Event.partner_id == partner_id, Event.at >= since)
    return list(await db.scalars(query.order_by(Event.id.desc()).limit(limit)))
