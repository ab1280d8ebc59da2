"""What may be set of a policy: the vendor's bounds of each knob, which it sets itself."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Invalid, Kind, Refusal
from services.partners.tables import PolicyBound

_HOUR, _DAY = 3_600, 86_400


class Bound(NamedTuple):
    """The least and the most that is allowed of a knob."""

    least: int
    most: int


Bounds = Mapping[str, Bound]

BOUNDS: Bounds = {
    "heartbeat_seconds": Bound(60, 6 * _HOUR),
    "warn_after_seconds": Bound(_HOUR, 30 * _DAY),
    "final_before_seconds": Bound(_HOUR, 14 * _DAY),
    "disable_after_seconds": Bound(_DAY, 90 * _DAY),
    "close_grace_seconds": Bound(0, 3 * _DAY),
    "standalone_seats": Bound(0, 1_000),
}
# What the bounds themselves cannot leave.
_LIMITS = {
    "heartbeat_seconds": Bound(10, _DAY),
    "close_grace_seconds": Bound(0, 10 * _DAY),
    "standalone_seats": Bound(0, 100_000),
}
_LIMIT = Bound(60, 366 * _DAY)


class PolicyOutOfBounds(Refusal):
    """The vendor allows no such value of this knob."""

    kind = Kind.INVALID
    code = "policy_out_of_bounds"


async def bounds(db: AsyncSession) -> dict[str, Bound]:
    """Give the bounds in force: the vendor's own before those that the programme began with."""
    rows = await db.scalars(select(PolicyBound))
    return {**BOUNDS, **{row.knob: Bound(row.least, row.most) for row in rows}}


async def set_bounds(db: AsyncSession, wanted: Bounds) -> None:
    """Set bounds of some knobs; raises `Invalid`."""
    check_bounds({**await bounds(db), **wanted})
    for knob, (least, most) in wanted.items():
        change = insert(PolicyBound).values(knob=knob, least=least, most=most)
        values = {"least": least, "most": most}
        await db.execute(change.on_conflict_do_update(index_elements=["knob"], set_=values))


def check_bounds(wanted: Bounds) -> None:
    """Raise `Invalid` for bounds that leave nothing, or under which a site in time could be silent too long."""
    for knob, (least, most) in wanted.items():
        limit = _LIMITS.get(knob, _LIMIT)
        if not limit.least <= least <= most <= limit.most:
            raise Invalid(f"Bounds of {knob} lie within {limit.least} and {limit.most}.", pointer=f"/{knob}")
    if 4 * wanted["heartbeat_seconds"].most > wanted["disable_after_seconds"].least:
        detail = "Four heartbeats must go into the shortest silence that disables."
        raise Invalid(detail, pointer="/heartbeat_seconds")


def check_values(values: Mapping[str, int | None], within: Bounds) -> None:
    """Raise `PolicyOutOfBounds` if not all of the values may be set; None takes one back, which always may be."""
    for knob, value in values.items():
        least, most = within[knob]
        if value is not None and not least <= value <= most:
            raise PolicyOutOfBounds(f"{knob} is from {least} to {most}.", pointer=f"/{knob}")
