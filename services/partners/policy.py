"""The policy in force: programme, then distributor, then MSP; the nearest value wins. A key's own come after."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent
from services.partners.tables import MspTenure, PolicyRow

Level = Literal["programme", "distributor", "msp", "key"]
PROGRAMME_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Policy:
    """The knobs of domain.md with the programme's defaults; all lengths in seconds."""

    heartbeat_seconds: int = 15 * 60
    warn_after_seconds: int = 24 * 3600
    final_before_seconds: int = 48 * 3600
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
    def final_before(self) -> timedelta:
        """How long before disabling the final warning is sent."""
        return timedelta(seconds=self.final_before_seconds)

    @property
    def close_grace(self) -> timedelta:
        """How long after a period's end it is closed."""
        return timedelta(seconds=self.close_grace_seconds)


KNOBS = tuple(one.name for one in fields(Policy))


@dataclass(frozen=True, slots=True)
class Trial:
    """What one level's own values would be, if they were set: to be looked at before."""

    level: Level
    subject_id: UUID
    values: Mapping[str, int | None] = field(default_factory=dict)


async def policy_of(
    db: AsyncSession, *, distributor_id: UUID, msp_id: UUID | None = None, trial: Trial | None = None
) -> Policy:
    """Give the policy in force for a distributor, or for an MSP under it."""
    layers = _layers(distributor_id, msp_id)
    return _nearest(layers, await _own(db, layers, trial))


async def policy_of_msp(db: AsyncSession, msp_id: UUID, now: datetime) -> Policy:
    """Give the policy in force for an MSP under the distributor that it has now."""
    return (await policies_of_msps(db, {msp_id}, now))[msp_id]


async def policies_of_msps(
    db: AsyncSession, msp_ids: Collection[UUID], now: datetime, trial: Trial | None = None
) -> dict[UUID, Policy]:
    """Give the policies in force for some MSPs under the distributors that they have now; raises `Absent`."""
    under = await db.execute(
        select(MspTenure.msp_id, MspTenure.distributor_id).where(
            MspTenure.msp_id.in_(msp_ids),
            MspTenure.from_at <= now,
            or_(MspTenure.until_at.is_(None), MspTenure.until_at > now),
        )
    )
    layers = {msp_id: _layers(distributor_id, msp_id) for msp_id, distributor_id in under}
    if layers.keys() != set(msp_ids):
        raise Absent
    own = await _own(db, [layer for some in layers.values() for layer in some], trial)
    return {msp_id: _nearest(some, own) for msp_id, some in layers.items()}


async def own_values(db: AsyncSession, level: Level, subject_id: UUID) -> dict[str, int | None]:
    """Give a level's own values; None leaves the level above in force. Not a key's."""
    layer = (level, subject_id)
    return (await _own(db, [layer], None)).get(layer) or dict.fromkeys(KNOBS)


async def set_policy(db: AsyncSession, level: Level, subject_id: UUID = PROGRAMME_ID, **values: int | None) -> None:
    """Set values of one level; those not named stay as they are, and None takes one back."""
    if values:
        await _write(db, level, subject_id, values)


async def spread_from(db: AsyncSession, level: Level, subject_id: UUID, at: datetime) -> None:
    """Have the sites below a level told of their policy, from an instant on and a few at a time."""
    await _write(db, level, subject_id, {"spread_due_at": at, "spread_after": None})


def overlay(policy: Policy, own: Mapping[str, int | None] | None) -> Policy:
    """Give a policy with a nearer level's own values in place of those further away."""
    return replace(policy, **{knob: value for knob, value in (own or {}).items() if value is not None})


_Layer = tuple[Level, UUID]


def _layers(distributor_id: UUID, msp_id: UUID | None) -> list[_Layer]:
    of_msp: list[_Layer] = [("msp", msp_id)] if msp_id is not None else []
    return [("programme", PROGRAMME_ID), ("distributor", distributor_id), *of_msp]


async def _own(db: AsyncSession, layers: Sequence[_Layer], trial: Trial | None) -> dict[_Layer, dict[str, int | None]]:
    rows = await db.scalars(
        select(PolicyRow)
        .where(tuple_(PolicyRow.level, PolicyRow.subject_id).in_(layers))
        .execution_options(populate_existing=True)
    )
    found: dict[Any, dict[str, int | None]] = {
        (row.level, row.subject_id): {knob: getattr(row, knob) for knob in KNOBS} for row in rows
    }
    if trial is not None:
        found[trial.level, trial.subject_id] = dict(trial.values)
    return found


async def _write(db: AsyncSession, level: Level, subject_id: UUID, row: Mapping[str, Any]) -> None:
    change = insert(PolicyRow).values(level=level, subject_id=subject_id, **row)
    await db.execute(change.on_conflict_do_update(index_elements=["level", "subject_id"], set_=dict(row)))


def _nearest(layers: Sequence[_Layer], own: Mapping[_Layer, Mapping[str, int | None]]) -> Policy:
    policy = Policy()
    for layer in layers:
        policy = overlay(policy, own.get(layer))
    return policy
