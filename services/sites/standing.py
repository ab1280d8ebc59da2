"""How a site stands: what its lines are told of its key, written there by whoever changes the key.

Lock order everywhere: lines, then the key, then timers.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.keys import Key, KeyState
from services.sites import letters, seats
from services.sites.tables import Installation, SilenceTimer
from services.usage import Line, stop_counting

SITE_MANAGER = "site_manager"
SUCCEEDED = "succeeded"
# Passed by whoever takes all lines of a site, before its lines.
_GATES = text("select pg_advisory_xact_lock(hashtextextended(site, 0)) from unnest(cast(:sites as text[])) as site")


class Standing(NamedTuple):
    """What an installation is told, and why."""

    state: KeyState
    reason: str | None


async def lock(db: AsyncSession, site_id: UUID) -> Key:
    """Lock a site's lines and then its key, whose row is given; raises `Absent`."""
    await lock_lines_of(db, site_id)
    return await keys.of_site_for_update(db, site_id)


_TURN = """
select site_id, id, pg_advisory_xact_lock(hashtextextended('site ' || site_id, 0)) from keys where code_hash = $1
"""


async def take_turn(db: AsyncSession, code_hash: bytes) -> Key | None:
    """Take the turn of the site whose key has this code, as `lock_lines_of` does; gives no more than the key's ids."""
    found = (await (await db.connection()).exec_driver_sql(_TURN, (code_hash,))).first()
    return None if found is None else Key(site_id=found.site_id, id=found.id)


async def lock_lines_of(db: AsyncSession, site_id: UUID) -> list[Line]:
    """Lock all lines of a site, in the order of their ids, and let nobody else who does so add one meanwhile."""
    return await _lock_lines(db, [site_id])


async def lock_all(db: AsyncSession, site_ids: Collection[UUID]) -> tuple[list[Line], list[Key]]:
    """Lock all lines of some sites and then their keys, each in the order of their ids.

    All of a site's lines, for whoever is heard on one of them may wait for the key; and of all sites at once, for those
    who are heard together lock their lines in this order too.
    """
    lines = await _lock_lines(db, site_ids)
    found = select(Key).where(Key.site_id.in_(site_ids)).order_by(Key.site_id, Key.id).with_for_update()
    return lines, list(await db.scalars(found.execution_options(populate_existing=True)))


async def _lock_lines(db: AsyncSession, site_ids: Collection[UUID]) -> list[Line]:
    await db.execute(_GATES, {"sites": [f"site {site_id}" for site_id in sorted(site_ids)]})
    found = await db.scalars(
        select(Line)
        .where(Line.site_id.in_(site_ids))
        .order_by(Line.site_id, Line.installation_id, Line.line)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return list(found)


async def tell(db: AsyncSession, key: Key) -> None:
    """Write the key's state into the lines of its site, but for those of installations that are entitled no more."""
    await db.flush()
    stale = update(Line).where(*_stale(key)).values(told_state=key.state)
    await db.execute(stale.execution_options(synchronize_session=False))


async def hand_over(db: AsyncSession, key: Key) -> None:
    """Write into the lines of the key's bound Site Manager whose it is now."""
    bound = (Line.site_id == key.site_id, Line.msp_id.is_not(None))
    await db.execute(update(Line).where(*bound).values(msp_id=key.msp_id))


async def _tell_free(db: AsyncSession, key: Key) -> None:
    """Tell the lines that nobody holds: a heartbeat that holds another one waits for the key, and settles itself."""
    await db.flush()
    free = await db.execute(
        select(Line.site_id, Line.installation_id, Line.line).where(*_stale(key)).with_for_update(skip_locked=True)
    )
    if ids := [tuple(row) for row in free]:
        told = update(Line).where(tuple_(Line.site_id, Line.installation_id, Line.line).in_(ids))
        await db.execute(told.values(told_state=key.state).execution_options(synchronize_session=False))


def _stale(key: Key) -> tuple[ColumnElement[bool], ...]:
    ended = exists().where(
        Installation.site_id == Line.site_id,
        Installation.installation_id == Line.installation_id,
        Installation.ended_at.is_not(None),
    )
    return Line.site_id == key.site_id, Line.told_state != key.state, ~ended


async def settle(db: AsyncSession, site_id: UUID, installation_id: UUID, now: datetime) -> Standing:
    """Say how an installation that is told no stands, now that it has been heard.

    A key that silence had disabled is enabled, unless it is suspended or revoked, and a seat that silence had ended is
    taken again. What is reported after the first answer that says `revoked` counts nothing.
    """
    key = await keys.of_site_for_update(db, site_id)
    installation = await db.get_one(Installation, (site_id, installation_id), populate_existing=True)
    if installation.ended_at is not None and not await seats.take_again(db, key, installation, now):
        silent = installation.end_reason == seats.SILENT
        return Standing(KeyState.DISABLED if silent else KeyState.REVOKED, installation.end_reason)
    if key.revoked_at is not None:
        await stop_counting(db, site_id, installation_id, now, "revoked")
    elif key.disabled_at is not None and key.state is KeyState.DISABLED and await governs(db, installation):
        keys.enable(db, key, now=now)
        await letters.tell_back(db, key, now)
    await _tell_free(db, key)
    if key.state is KeyState.ACTIVE:
        await arm(db, key, installation_id, now)
    return Standing(key.state, key.told_reason)


async def governs(db: AsyncSession, installation: Installation) -> bool:
    """Tell whether the key's state follows this installation: its Site Manager, or without one a standalone."""
    if installation.product == SITE_MANAGER:
        return installation.ended_at is None
    managed = exists().where(
        Installation.site_id == installation.site_id,
        Installation.key_id == installation.key_id,
        Installation.product == SITE_MANAGER,
        Installation.ended_at.is_(None),
    )
    return not await db.scalar(select(managed))


async def end(db: AsyncSession, installation: Installation, told: KeyState, reason: str, now: datetime) -> None:
    """Entitle an installation to nothing from now on; what it still reports is stored."""
    installation.ended_at, installation.end_reason = now, reason
    own = (Line.site_id == installation.site_id, Line.installation_id == installation.installation_id)
    await db.execute(update(Line).where(*own).values(told_state=told, msp_id=None))
    await disarm(db, installation.site_id, installation.installation_id)


async def arm(db: AsyncSession, key: Key, installation_id: UUID, now: datetime) -> None:
    """Set when to look whether the installation has fallen silent: at the first rung of the ladder."""
    policy = await keys.policy_of_key(db, key, now)
    first = min(policy.warn_after, policy.disable_after)
    row = {"due_at": now + first, "rung": "warn", "silent_since_at": None, "held_at": None, "let_go_at": None}
    timer = insert(SilenceTimer).values(site_id=key.site_id, installation_id=installation_id, **row)
    await db.execute(timer.on_conflict_do_update(index_elements=["site_id", "installation_id"], set_=row))


async def disarm(db: AsyncSession, site_id: UUID, installation_id: UUID) -> None:
    """Look no more whether the installation has fallen silent."""
    own = (SilenceTimer.site_id == site_id, SilenceTimer.installation_id == installation_id)
    await db.execute(delete(SilenceTimer).where(*own))
