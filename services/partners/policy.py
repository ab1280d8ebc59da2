"""The policy in force for an MSP: programme, then distributor, then MSP; the nearest value wins."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent
from services.partners.tables import MspTenure, PolicyRow

Level = Literal["programme", "distributor", "msp"]
PROGRAMME_ID = UUID(int=0)
_LEVELS: tuple[Level, ...] = ("programme", "distributor", "msp")


@dataclass(frozen=True, slots=True)
class Policy:
    """The knobs of domain.md with the programme's defaults; all lengths in seconds."""

    heartbeat_seconds: int = 15 * 60
    warn_after_seconds: int = 24 * 3600
    disable_after_seconds: int = 14 * 24 * 3600
    close_grace_seconds: int = 6 * 3600
    standalone_seats: int = 5

    @property
    def disable_after(self) -> timedelta:
        """The silence after which a key is disabled."""
        return timedelta(seconds=self.disable_after_seconds)

    @property
    def warn_after(self) -> timedelta:
        """The silence after which the MSP is warned."""
        return timedelta(seconds=self.warn_after_seconds)

    @property
    def close_grace(self) -> timedelta:
        """How long after a period's end it is closed."""
        return timedelta(seconds=self.close_grace_seconds)


async def policy_of(db: AsyncSession, *, distributor_id: UUID, msp_id: UUID | None = None) -> Policy:
    """Give the policy in force for a distributor, or for an MSP under it."""
    subjects = [("programme", PROGRAMME_ID), ("distributor", distributor_id)]
    if msp_id is not None:
        subjects.append(("msp", msp_id))
    rows = await db.scalars(select(PolicyRow).where(tuple_(PolicyRow.level, PolicyRow.subject_id).in_(subjects)))
    levels = {row.level: row for row in rows}
    return _nearest([levels.get(level) for level in _LEVELS])


async def policy_of_msp(db: AsyncSession, msp_id: UUID, now: datetime) -> Policy:
    """Give the policy in force for an MSP under the distributor that it has now."""
    return (await policies_of_msps(db, [msp_id], now))[msp_id]


async def policies_of_msps(db: AsyncSession, msp_ids: Collection[UUID], now: datetime) -> dict[UUID, Policy]:
    """Give the policies in force for MSPs under the distributors that they have now, with two queries however many."""
    covers = (MspTenure.from_at <= now, or_(MspTenure.until_at.is_(None), MspTenure.until_at > now))
    tenures = select(MspTenure.msp_id, MspTenure.distributor_id).where(MspTenure.msp_id.in_(msp_ids), *covers)
    over = {row.msp_id: row.distributor_id for row in await db.execute(tenures)}
    if len(over) < len(set(msp_ids)):
        raise Absent
    subjects = {("programme", PROGRAMME_ID)}
    subjects |= {("msp", msp_id) for msp_id in over} | {("distributor", one) for one in over.values()}
    rows = await db.scalars(select(PolicyRow).where(tuple_(PolicyRow.level, PolicyRow.subject_id).in_(subjects)))
    own = {(row.level, row.subject_id): row for row in rows}
    programme = own.get(("programme", PROGRAMME_ID))
    return {
        msp_id: _nearest([programme, own.get(("distributor", above)), own.get(("msp", msp_id))])
        for msp_id, above in over.items()
    }


async def set_policy(db: AsyncSession, level: Level, subject_id: UUID = PROGRAMME_ID, **values: int | None) -> None:
    """Set values of one level; those not named stay as they are, and None takes one back."""
    if values:
        change = insert(PolicyRow).values(level=level, subject_id=subject_id, **values)
        await db.execute(change.on_conflict_do_update(index_elements=["level", "subject_id"], set_=values))


def _nearest(levels: Sequence[PolicyRow | None]) -> Policy:
    policy = Policy()
    for row in levels:
        if row is not None:
            own = {field.name: getattr(row, field.name) for field in fields(Policy)}
            policy = replace(policy, **{name: value for name, value in own.items() if value is not None})
    return policy


def describe(policy: Policy) -> dict[str, int]:
    """Give the policy as a site is told it."""
    return asdict(policy)
