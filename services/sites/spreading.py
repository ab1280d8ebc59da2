"""Spreading: a policy that is changed is written into the lines below it, so that a heartbeat need not ask.

Those of a key are told at once, all others a few hundred sites at a time, each time a transaction.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.keys import Key, KeyState
from services.sites import standing
from services.sites.dates import Heard, heard_last
from services.sites.ladder import Rung, ladder
from services.sites.pulse import outages
from services.sites.tables import SilenceTimer
from services.usage import Line


async def tell(db: AsyncSession, told: Sequence[Key], now: datetime) -> None:
    """Write the policy in force into the lines of some sites, and have their silences judged by it at the next sweep.

    A site that is silent and disabled comes back if it would not be disabled now. The caller holds the locks of the
    sites' lines and keys.
    """
    policies = await keys.policies_of_keys(db, told, now)
    alike: dict[tuple[int, int], list[UUID]] = defaultdict(list)
    for site_id, policy in policies.items():
        alike[policy.heartbeat_seconds, policy.disable_after_seconds].append(site_id)
    for (heartbeat, disable_after), site_ids in alike.items():
        await _write(db, site_ids, heartbeat, disable_after, now)
    await _look_again(db, list(policies), now)
    silent = {key.site_id: key for key in told if key.state is KeyState.DISABLED}
    for site_id, heard in (await heard_last(db, silent)).items():
        await _perhaps_back(db, silent[site_id], heard, policies[site_id], now)


async def spread_next(db: AsyncSession, now: datetime, *, limit: int = 500) -> bool:
    """Tell the next sites below a level whose policy was changed; False if there is none."""
    level = await partners.next_to_spread(db, now)
    if level is None:
        return False
    below = select(Key.site_id).where(_below(level, now)).order_by(Key.site_id).limit(limit)
    after = level.spread_after
    site_ids = list(await db.scalars(below if after is None else below.where(Key.site_id > after)))
    if site_ids:
        _, told = await standing.lock_all(db, site_ids)
        await tell(db, told, now)
        level.spread_after = site_ids[-1]
    else:
        level.spread_due_at, level.spread_after = await partners.next_spread_at(db, level, now), None
    await db.flush()
    return True


async def _write(db: AsyncSession, site_ids: Sequence[UUID], heartbeat: int, disable_after: int, now: datetime) -> None:
    other = (Line.heartbeat_seconds != heartbeat) | (Line.disable_after_seconds != disable_after)
    told = {
        "heartbeat_seconds": heartbeat,
        "disable_after_seconds": disable_after,
        # The lease in hand may end before the new date of disabling.
        "renew_lease_at": now,
    }
    lines = update(Line).where(Line.site_id.in_(site_ids), other).values(told)
    await db.execute(lines.execution_options(synchronize_session=False))


async def _look_again(db: AsyncSession, site_ids: Sequence[UUID], now: datetime) -> None:
    timers = update(SilenceTimer).where(SilenceTimer.site_id.in_(site_ids), SilenceTimer.held_at.is_(None))
    await db.execute(timers.values(due_at=now).execution_options(synchronize_session=False))


async def _perhaps_back(db: AsyncSession, key: Key, heard: Heard, policy: partners.Policy, now: datetime) -> None:
    dates = ladder(heard.at, policy, await outages(db, heard.at, now), key.snoozed_until_at)
    if now < dates.disable_at:
        keys.enable(db, key, now=now, actor="policy", reason="longer silence allowed")
        await standing.tell(db, key)
        # Its letters were sent in this silence: nothing but the disabling is left of it.
        timer = SilenceTimer(site_id=key.site_id, installation_id=heard.installation_id, due_at=dates.disable_at)
        timer.rung, timer.silent_since_at, timer.held_at, timer.let_go_at = Rung.DISABLE, heard.at, None, None
        await db.merge(timer)


def _below(level: partners.PolicyRow, now: datetime) -> ColumnElement[bool]:
    if level.level == "programme":
        return true()
    if level.level == "msp":
        return Key.msp_id == level.subject_id
    tenure = partners.MspTenure
    under = select(tenure.msp_id).where(
        tenure.distributor_id == level.subject_id,
        tenure.from_at <= now,
        or_(tenure.until_at.is_(None), tenure.until_at > now),
    )
    return Key.msp_id.in_(under)
