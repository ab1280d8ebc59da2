"""Admission: what an MSP says to an installation that was refused on one of its keys, with one click."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.errors import Absent
from services.keys import Key
from services.sites import orders, policies, seats, standing
from services.sites.administration_tables import RefusedActivation
from services.sites.refusals import HELD
from services.sites.tables import Installation


async def allow(db: AsyncSession, site_id: UUID, refusal_id: UUID, *, actor: str, now: datetime) -> RefusedActivation:
    """Release what stands in the way, and hold the key for that installation; a standalone gets a seat.

    Twice is once. Raises `Absent`, `PolicyOutOfBounds`.
    """
    key = await standing.lock(db, site_id)
    refused = await _refused(db, site_id, refusal_id)
    if refused.allowed_at is not None and refused.allowed_at > now - HELD:
        return refused
    if refused.code == seats.SeatsExhausted.code:
        await _add_seat(db, key, actor, now)
    else:
        await _release(db, key, refused, actor, now)
    refused.allowed_at = now
    keys.note(db, key, "activation_allowed", actor=actor, now=now, reason=refused.hostname)
    await db.flush()
    return refused


async def dismiss(db: AsyncSession, site_id: UUID, refusal_id: UUID) -> None:
    """Take a refusal off the list; one that tries again is on it again. Raises `Absent`."""
    await standing.lock(db, site_id)
    await db.delete(await _refused(db, site_id, refusal_id))
    await db.flush()


async def _refused(db: AsyncSession, site_id: UUID, refusal_id: UUID) -> RefusedActivation:
    refused = await db.get(RefusedActivation, (site_id, refusal_id), populate_existing=True)
    if refused is None:
        raise Absent
    return refused


async def _add_seat(db: AsyncSession, key: Key, actor: str, now: datetime) -> None:
    if not await seats.free(db, key, now):
        more = (await keys.policy_of_key(db, key, now)).standalone_seats + 1
        await policies.change_of_key(db, key.site_id, values={"standalone_seats": more}, actor=actor, now=now)


async def _release(db: AsyncSession, key: Key, refused: RefusedActivation, actor: str, now: datetime) -> None:
    """Release the Site Manager that is bound; a standalone that lost its file gives its seat back and takes it anew."""
    own = await db.get(Installation, (key.site_id, refused.installation_id), populate_existing=True)
    if own is not None and own.product == seats.STANDALONE:
        await seats.end_seat(db, key, own.installation_id, actor=actor, now=now)
    elif await orders.bound(db, key):
        await orders.release(db, key.site_id, actor=actor, now=now)
