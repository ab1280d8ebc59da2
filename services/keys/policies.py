"""The policy of each key: its own values before its MSP's, its distributor's and the programme's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.keys.tables import Key, KeyPolicy
from services.partners import Policy

KNOBS = ("warn_after_seconds", "standalone_seats")


async def policy_of_key(db: AsyncSession, key: Key, now: datetime) -> Policy:
    """Give the policy in force for a key."""
    return (await policies_of_keys(db, [key], now))[key.site_id]


async def policies_of_keys(db: AsyncSession, keys: Sequence[Key], now: datetime) -> dict[UUID, Policy]:
    """Give the policies in force for some keys, by site."""
    if not keys:
        return {}
    of_msp = await partners.policies_of_msps(db, {key.msp_id for key in keys}, now)
    rows = await db.scalars(select(KeyPolicy).where(KeyPolicy.site_id.in_([key.site_id for key in keys])))
    own = {row.site_id: row for row in rows}
    return {key.site_id: nearest(of_msp[key.msp_id], own.get(key.site_id)) for key in keys}


def nearest(policy: Policy, own: KeyPolicy | None) -> Policy:
    """Give a policy with a key's own values in place of its MSP's."""
    if own is None:
        return policy
    values = {knob: getattr(own, knob) for knob in KNOBS}
    return replace(policy, **{knob: value for knob, value in values.items() if value is not None})


async def set_key_policy(db: AsyncSession, key: Key, values: dict[str, int | None]) -> dict[str, int | None]:
    """Set a key's own values; None takes one back. Gives what they were."""
    own = await db.get(KeyPolicy, (key.site_id, key.id))
    before = {knob: getattr(own, knob) if own else None for knob in values}
    if values:
        change = insert(KeyPolicy).values(site_id=key.site_id, key_id=key.id, **values)
        await db.execute(change.on_conflict_do_update(index_elements=["site_id", "key_id"], set_=values))
    return before
