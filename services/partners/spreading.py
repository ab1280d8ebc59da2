"""Which level's policy has sites below that are to be told of it, and bounds laid on what is set."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.partners.policy import PROGRAMME_ID, Level, Policy, own_values, set_policy
from services.partners.policy_bounds import Bound
from services.partners.tables import MspTenure, PolicyRow


async def next_to_spread(db: AsyncSession, now: datetime) -> PolicyRow | None:
    """Lock the next level whose sites are to be told."""
    return await db.scalar(
        select(PolicyRow)
        .where(PolicyRow.spread_due_at <= now)
        .order_by(PolicyRow.spread_due_at, PolicyRow.subject_id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


async def next_spread_at(db: AsyncSession, row: PolicyRow, now: datetime) -> datetime | None:
    """Give when a level that is told by now is to be told again: an MSP as it comes under another distributor."""
    if row.level != "msp":
        return None
    coming = (MspTenure.msp_id == row.subject_id, MspTenure.from_at > now)
    return await db.scalar(select(func.min(MspTenure.from_at)).where(*coming))


async def bring_within(db: AsyncSession, knob: str, bound: Bound) -> list[tuple[tuple[Level, UUID], int, int]]:
    """Bring what the levels have set of a knob to the nearer bound, and the programme's default if nothing is set.

    Gives these levels, what was set and what is now.
    """
    column = getattr(PolicyRow, knob)
    beyond = (column < bound.least) | (column > bound.most)
    found = (await db.execute(select(PolicyRow.level, PolicyRow.subject_id, column).where(beyond))).all()
    nearer = func.least(func.greatest(column, bound.least), bound.most)
    change = update(PolicyRow).where(beyond).values({knob: nearer})
    await db.execute(change.execution_options(synchronize_session=False))
    default = getattr(Policy(), knob)
    within = max(bound.least, min(default, bound.most))
    if default != within and (await own_values(db, "programme", PROGRAMME_ID))[knob] is None:
        await set_policy(db, "programme", PROGRAMME_ID, **{knob: within})
    return [((row.level, row.subject_id), row[2], max(bound.least, min(row[2], bound.most))) for row in found]
