"""The timeline of a key: each change of state is one row: when, from, to, why, by whom."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.delivery import KINDS, EventKind
from services.ids import new_id, show
from services.keys.states import KeyState
from services.keys.tables import Key, KeyEvent

# What happens to a key, as an event names it.
_KINDS: dict[str, EventKind] = {kind.removeprefix("key."): kind for kind in KINDS if kind.startswith("key.")}


def record(
    db: AsyncSession,
    key: Key,
    event: str,
    *,
    before: KeyState | None,
    at: datetime,
    now: datetime,
    actor: str,
    reason: str | None = None,
) -> None:
    """Add one line: what happened to the key `at` an instant, recorded `now`; its MSP is told by an event."""
    delivery.emit(db, partner_id=key.msp_id, kind=_KINDS[event], subject=subject_of(key), now=now)
    db.add(
        KeyEvent(
            site_id=key.site_id,
            id=new_id(now),
            key_id=key.id,
            at=at,
            recorded_at=now,
            event=event,
            from_state=before,
            to_state=key.state,
            reason=reason,
            actor=actor,
        )
    )


def subject_of(key: Key) -> dict[str, str]:
    """Give what an event of a key is about."""
    return {"key": show("key", key.id), "site": show("site", key.site_id)}


async def timeline(db: AsyncSession, key: Key, limit: int = 500) -> list[KeyEvent]:
    """Give the last `limit` lines of a key's timeline, oldest first."""
    latest = (
        select(KeyEvent)
        .where(KeyEvent.site_id == key.site_id, KeyEvent.key_id == key.id)
        .order_by(KeyEvent.at.desc(), KeyEvent.id.desc())
        .limit(limit)
    )
    return list(await db.scalars(latest))[::-1]
