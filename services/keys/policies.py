"""The policy of each key: its own values before its MSP's, its distributor's and the programme's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.keys.tables import Key, KeyPolicy
from services.partners import Bound, Policy, Trial

KEY_KNOBS = tuple(knob for knob in partners.KNOBS if knob != "close_grace_seconds")


async def policy_of_key(db: AsyncSession, key: Key, now: datetime) -> Policy:
    """Give the policy in force for a key."""
    return (await policies_of_keys(db, [key], now))[key.site_id]


async def policies_of_keys(
    db: AsyncSession, keys: Sequence[Key], now: datetime, trial: Trial | None = None
) -> dict[UUID, Policy]:
    """Give the policies in force for some keys, by site; or as they would be."""
    of_msp = await partners.policies_of_msps(db, {key.msp_id for key in keys}, now, trial)
    rows = await db.scalars(select(KeyPolicy).where(KeyPolicy.site_id.in_([key.site_id for key in keys])))
    own: dict[UUID, Mapping[str, int | None]] = {row.key_id: _values(row) for row in rows}
    if trial is not None and trial.level == "key":
        own[trial.subject_id] = trial.values
    return {key.site_id: partners.overlay(of_msp[key.msp_id], own.get(key.id)) for key in keys}


async def own_policy(db: AsyncSession, key: Key) -> dict[str, int | None]:
    """Give a key's own values; None leaves its MSP's in force."""
    row = await db.get(KeyPolicy, (key.site_id, key.id), populate_existing=True)
    return _values(row) if row is not None else dict.fromkeys(KEY_KNOBS)


async def set_key_policy(db: AsyncSession, key: Key, values: Mapping[str, int | None]) -> None:
    """Set a key's own values; None takes one back."""
    if values:
        change = insert(KeyPolicy).values(site_id=key.site_id, key_id=key.id, **values)
        await db.execute(change.on_conflict_do_update(index_elements=["site_id", "key_id"], set_=dict(values)))


async def bring_within(db: AsyncSession, knob: str, bound: Bound) -> list[tuple[Key, int, int]]:
    """Bring what keys have set of a knob to the nearer bound; gives these, what was set and what is now."""
    column = getattr(KeyPolicy, knob)
    beyond = (column < bound.least) | (column > bound.most)
    own = (Key.site_id == KeyPolicy.site_id) & (Key.id == KeyPolicy.key_id)
    found = (await db.execute(select(Key, column).join(KeyPolicy, own).where(beyond).order_by(Key.id))).all()
    nearer = func.least(func.greatest(column, bound.least), bound.most)
    change = update(KeyPolicy).where(beyond).values({knob: nearer})
    await db.execute(change.execution_options(synchronize_session=False))
    return [(key, was, max(bound.least, min(was, bound.most))) for key, was in found]


def _values(row: KeyPolicy) -> dict[str, int | None]:
    return {knob: getattr(row, knob) for knob in KEY_KNOBS}
