"""Changes of the policy: who may change what, within which bounds; each is a row that is never changed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Kind, Refusal
from services.ids import new_id
from services.partners.policy import PROGRAMME_ID, Level, set_policy
from services.partners.tables import PolicyBound, PolicyEvent, PolicyRow

Role = Literal["vendor", "distributor", "msp"]
_HOUR, _DAY = 3_600, 86_400


class Bound(NamedTuple):
    """The least and the most that is allowed of a knob."""

    least: int
    most: int


_DEFAULTS = {
    "heartbeat_seconds": Bound(60, _DAY),
    "warn_after_seconds": Bound(_HOUR, 30 * _DAY),
    "disable_after_seconds": Bound(_DAY, 90 * _DAY),
    "close_grace_seconds": Bound(0, 3 * _DAY),
    "standalone_seats": Bound(0, 1_000),
}
_OF_MSP = frozenset({"warn_after_seconds", "standalone_seats"})


class PolicyOutOfBounds(Refusal):
    """The vendor allows no such value of this knob."""

    kind = Kind.INVALID
    code = "policy_out_of_bounds"


class PolicyNotYours(Refusal):
    """This knob is not yours to change: an MSP changes `warn after` and the seats of standalones only."""

    kind = Kind.FORBIDDEN
    code = "policy_not_yours"


async def bounds(db: AsyncSession) -> dict[str, Bound]:
    """Give the bounds of every knob."""
    own = {row.knob: Bound(row.least, row.most) for row in await db.scalars(select(PolicyBound))}
    return {**_DEFAULTS, **own}


async def set_bound(db: AsyncSession, knob: str, bound: Bound) -> None:
    """Set what is allowed of a knob; what is in force already stays."""
    row = {"least": bound.least, "most": bound.most}
    change = insert(PolicyBound).values(knob=knob, **row)
    await db.execute(change.on_conflict_do_update(index_elements=["knob"], set_=row))


async def check_values(db: AsyncSession, who: Role, values: Mapping[str, int | None]) -> None:
    """Raise `PolicyNotYours` or `PolicyOutOfBounds` if not all of the values may be set."""
    allowed = await bounds(db)
    for knob, value in values.items():
        if who == "msp" and knob not in _OF_MSP:
            raise PolicyNotYours(pointer=f"/{knob}")
        least, most = allowed[knob]
        if value is not None and not least <= value <= most:
            raise PolicyOutOfBounds(f"{knob} is from {least} to {most}.", pointer=f"/{knob}")


async def change_policy(
    db: AsyncSession,
    who: Role,
    level: Level,
    subject_id: UUID = PROGRAMME_ID,
    *,
    values: Mapping[str, int | None],
    actor: str,
    now: datetime,
) -> bool:
    """Change values of one level; None takes one back. False if all were so already.

    Raises `PolicyNotYours`, `PolicyOutOfBounds`. The caller has the lines of the sites told.
    """
    await check_values(db, who, values)
    row = await db.get(PolicyRow, (level, subject_id), populate_existing=True)
    before = {knob: getattr(row, knob) if row else None for knob in values}
    if before == dict(values):
        return False
    await set_policy(db, level, subject_id, **values)
    record_change(db, level, subject_id, before=before, after=values, actor=actor, now=now)
    await db.flush()
    return True


def record_change(
    db: AsyncSession,
    level: str,
    subject_id: UUID,
    *,
    before: Mapping[str, int | None],
    after: Mapping[str, int | None],
    actor: str,
    now: datetime,
) -> None:
    """Add one line to the history of a level's policy."""
    event = {"level": level, "subject_id": subject_id, "at": now, "actor": actor}
    db.add(PolicyEvent(id=new_id(now), before=dict(before), after=dict(after), **event))


async def policy_history(db: AsyncSession, level: str, subject_id: UUID, limit: int = 200) -> list[PolicyEvent]:
    """Give the changes of one level's policy, newest first."""
    own = (PolicyEvent.level == level, PolicyEvent.subject_id == subject_id)
    return list(await db.scalars(select(PolicyEvent).where(*own).order_by(PolicyEvent.id.desc()).limit(limit)))
