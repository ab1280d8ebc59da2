"""Seats: the standalone Server Plus installations on a site's key. The key's row lock makes their number a limit."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.errors import Absent, Kind, Refusal
from services.keys import Key, KeyState
from services.sites.tables import Installation, SilenceTimer
from services.usage import Line, count_again, period_at, stop_counting

STANDALONE = "server_plus"
SILENT = "seat_silent"
ENDED = "seat_ended"
REJECTED = "seat_rejected"


class SeatsExhausted(Refusal):
    """No seat is left on this key for another standalone installation. Ask your MSP to raise their number."""

    kind = Kind.CONFLICT
    code = "seats_exhausted"


class RejectedTooLate(Refusal):
    """The period in which this standalone took its seat is closed; end the seat instead."""

    kind = Kind.CONFLICT
    code = "rejected_too_late"


@dataclass(frozen=True, slots=True)
class Seat:
    """A standalone installation on a key; `ended_at` is None while it holds its seat."""

    installation_id: UUID
    hostname: str
    version: str
    activated_at: datetime
    last_contact_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None


async def seats_of(db: AsyncSession, key: Key) -> list[Seat]:
    """Give the standalones that ever held a seat on a key, in the order in which they took it."""
    heard = (
        select(func.max(Line.last_contact_at))
        .where(Line.site_id == Installation.site_id, Line.installation_id == Installation.installation_id)
        .scalar_subquery()
    )
    rows = await db.execute(
        select(Installation, heard)
        .where(Installation.site_id == key.site_id, Installation.product == STANDALONE)
        .order_by(Installation.activated_at, Installation.installation_id)
    )
    return [
        Seat(one.installation_id, one.hostname, one.version, one.activated_at, contact, one.ended_at, one.end_reason)
        for one, contact in rows
    ]


async def free(db: AsyncSession, key: Key, now: datetime) -> bool:
    """Tell whether a seat is left; the caller holds the key's lock."""
    taken = select(func.count()).where(
        Installation.site_id == key.site_id,
        Installation.key_id == key.id,
        Installation.product == STANDALONE,
        Installation.ended_at.is_(None),
    )
    policy = await keys.policy_of_key(db, key, now)
    return (await db.scalar(taken) or 0) < policy.standalone_seats


async def take_again(db: AsyncSession, key: Key, installation: Installation, now: datetime) -> bool:
    """Give a standalone that was silent its seat back, if one is left; it counts again from now on."""
    if installation.end_reason != SILENT or not await free(db, key, now):
        return False
    installation.ended_at, installation.end_reason = None, None
    await count_again(db, key.site_id, installation.installation_id, now)
    keys.note(db, key, "seat_taken", actor="site", now=now, reason=str(installation.installation_id))
    return True


async def end_seat(db: AsyncSession, key: Key, installation_id: UUID, *, actor: str, now: datetime) -> None:
    """End a standalone's seat: it counts until now. Twice is once. Raises `Absent`."""
    installation = await _standalone(db, key, installation_id)
    if installation.ended_at is None or installation.end_reason == SILENT:
        await _end(db, key, installation, KeyState.REVOKED, ENDED, counts_until=now, actor=actor, now=now)


async def reject_seat(db: AsyncSession, key: Key, installation_id: UUID, *, actor: str, now: datetime) -> None:
    """Reject a standalone that the MSP does not know: it counts nothing. Twice is once.

    Raises `Absent`, and `RejectedTooLate` once the period in which it took its seat may be closed.
    """
    installation = await _standalone(db, key, installation_id)
    if installation.end_reason == REJECTED:
        return
    distributor_id = await partners.distributor_of(db, key.msp_id, now)
    policy = await partners.policy_of(db, distributor_id=distributor_id)
    period = period_at(await partners.zones_of(db, distributor_id), installation.activated_at)
    if now >= period.ends_at + policy.close_grace:
        raise RejectedTooLate
    since = installation.activated_at
    await _end(db, key, installation, KeyState.REVOKED, REJECTED, counts_until=since, actor=actor, now=now)


async def end_silent(db: AsyncSession, key: Key, installation: Installation, heard_at: datetime, now: datetime) -> None:
    """End the seat of a standalone that stayed silent: it counts until its last contact."""
    await _end(db, key, installation, KeyState.DISABLED, SILENT, counts_until=heard_at, actor="sweep", now=now)


async def _standalone(db: AsyncSession, key: Key, installation_id: UUID) -> Installation:
    installation = await db.get(Installation, (key.site_id, installation_id), populate_existing=True)
    if installation is None or installation.product != STANDALONE:
        raise Absent
    return installation


async def _end(
    db: AsyncSession,
    key: Key,
    installation: Installation,
    told: KeyState,
    reason: str,
    *,
    counts_until: datetime,
    actor: str,
    now: datetime,
) -> None:
    installation.ended_at, installation.end_reason = now, reason
    own = (Line.site_id == key.site_id, Line.installation_id == installation.installation_id)
    await db.execute(update(Line).where(*own).values(told_state=told))
    timer = await db.get(SilenceTimer, (key.site_id, installation.installation_id))
    if timer is not None:
        await db.delete(timer)
    await stop_counting(db, key.site_id, installation.installation_id, counts_until, reason)
    keys.note(db, key, reason, actor=actor, now=now, reason=str(installation.installation_id))
    await db.flush()
