"""What may be set of a policy: the vendor's bounds of each knob. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from services.errors import Kind, Refusal

_HOUR, _DAY = 3_600, 86_400


class Bound(NamedTuple):
    """The least and the most that is allowed of a knob."""

    least: int
    most: int


BOUNDS = {
    "warn_after_seconds": Bound(_HOUR, 30 * _DAY),
    "standalone_seats": Bound(0, 1_000),
}


class PolicyOutOfBounds(Refusal):
    """The vendor allows no such value of this knob."""

    kind = Kind.INVALID
    code = "policy_out_of_bounds"


def check_values(values: Mapping[str, int | None]) -> None:
    """Raise `PolicyOutOfBounds` if not all of the values may be set; None takes one back, which always may be."""
    for knob, value in values.items():
        least, most = BOUNDS[knob]
        if value is not None and not least <= value <= most:
            raise PolicyOutOfBounds(f"{knob} is from {least} to {most}.", pointer=f"/{knob}")
