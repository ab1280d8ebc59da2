"""Refused activations: who came with a key that was not free for it, kept for the MSP to look at and to let in.

One row an installation, however often it tries, and so many a key: a flood of invented installations pushes out its
own. What the MSP allows is held for that installation and its credential for a week, so that nobody slips in before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, partners
from services.ids import new_id
from services.keys import Key
from services.partners import Principal
from services.sites import standing
from services.sites.administration_tables import RefusedActivation
from services.sites.binding import Activation
from services.sites.tables import Installation

KEPT_MAX = 20
KEPT = timedelta(days=90)
HELD = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused activation, with the site whose key it came with, and the machine that holds the key."""

    row: RefusedActivation
    name: str
    msp_id: UUID
    holder: str | None


async def keep(
    db: AsyncSession, key: Key, request: Activation, code: str, *, address: str | None, now: datetime
) -> None:
    """Keep that an installation was refused; the caller holds the key's lock.

    One that was allowed and is refused again is open again. Another credential does not touch what is held.
    """
    came = {
        "code": code,
        "product": request.product,
        "version": request.version,
        "hostname": request.hostname,
        "credential_sha256": request.credential_sha256,
        "address": address,
        "last_at": now,
        "allowed_at": None,
    }
    own = {"site_id": key.site_id, "key_id": key.id, "installation_id": request.installation_id}
    new = insert(RefusedActivation).values(**own, **came, id=new_id(now), attempts=1, first_at=now)
    kept = await db.execute(
        new.on_conflict_do_update(
            index_elements=["site_id", "key_id", "installation_id"],
            set_={**came, "attempts": RefusedActivation.attempts + 1},
            where=~and_(_held(now), RefusedActivation.credential_sha256 != request.credential_sha256),
        ).returning(RefusedActivation.id, RefusedActivation.attempts)
    )
    row = kept.first()
    if row is not None and row.attempts == 1:
        await _bound_rows(db, key)
        subject = {"refusal": ids.show("refusal", row.id), "site": ids.show("site", key.site_id)}
        delivery.emit(db, partner_id=key.msp_id, kind="activation.refused", subject=subject, now=now)


async def settle(db: AsyncSession, key: Key, request: Activation) -> None:
    """An installation has activated: it is refused no more, and a Site Manager takes what was held."""
    done = RefusedActivation.installation_id == request.installation_id
    if request.product == standing.SITE_MANAGER:
        done = or_(done, RefusedActivation.allowed_at.is_not(None))
    await db.execute(delete(RefusedActivation).where(_of(key), done))


async def held_for_another(db: AsyncSession, key: Key, request: Activation, now: datetime) -> bool:
    """Tell whether the key is held for another Site Manager than the one that asks."""
    same = and_(
        RefusedActivation.installation_id == request.installation_id,
        RefusedActivation.credential_sha256 == request.credential_sha256,
    )
    of_managers = RefusedActivation.product == standing.SITE_MANAGER
    return bool(await db.scalar(select(exists().where(_of(key), of_managers, _held(now), ~same))))


async def open_to_any(db: AsyncSession, key: Key) -> None:
    """Hold the key for nobody any more."""
    await db.execute(update(RefusedActivation).where(_of(key)).values(allowed_at=None))


async def refused_of(
    db: AsyncSession, principal: Principal, *, after: UUID | None, limit: int, site_id: UUID | None = None
) -> Sequence[Refused]:
    """Give a page of the open refusals at the keys that the principal sees, newest first; or at one site's."""
    bound = and_(
        Installation.site_id == Key.site_id,
        Installation.key_id == Key.id,
        Installation.product == standing.SITE_MANAGER,
        Installation.released_at.is_(None),
    )
    query = (
        select(RefusedActivation, Key.name, Key.msp_id, Installation.hostname)
        .join(Key, and_(Key.site_id == RefusedActivation.site_id, Key.id == RefusedActivation.key_id))
        .outerjoin(Installation, bound)
        .where(partners.visible_to(principal, RefusedActivation.site_id), RefusedActivation.allowed_at.is_(None))
        .order_by(RefusedActivation.id.desc())
        .limit(limit)
    )
    if site_id is not None:
        query = query.where(RefusedActivation.site_id == site_id)
    rows = await db.execute(query if after is None else query.where(RefusedActivation.id < after))
    return [Refused(*row) for row in rows]


async def drop_old(db: AsyncSession, now: datetime) -> None:
    """Forget those that have not come for long, and with them their addresses."""
    await db.execute(delete(RefusedActivation).where(RefusedActivation.last_at <= now - KEPT))


async def _bound_rows(db: AsyncSession, key: Key) -> None:
    """Drop the oldest beyond the bound, but for what is held."""
    newest = (
        select(RefusedActivation.id)
        .where(_of(key))
        .order_by(RefusedActivation.allowed_at.desc().nulls_last(), RefusedActivation.last_at.desc())
        .limit(KEPT_MAX)
    )
    await db.execute(delete(RefusedActivation).where(_of(key), RefusedActivation.id.not_in(newest)))


def _of(key: Key) -> ColumnElement[bool]:
    return and_(RefusedActivation.site_id == key.site_id, RefusedActivation.key_id == key.id)


def _held(now: datetime) -> ColumnElement[bool]:
    return and_(RefusedActivation.allowed_at.is_not(None), RefusedActivation.allowed_at > now - HELD)
