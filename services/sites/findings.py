"""What was found when a flag was raised: facts, kept with it. The console says them in its visitor's language."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypedDict


class Inventory(TypedDict):
    """An inventory names more agents of a type than are deployed."""

    kind: Literal["inventory"]
    type: str
    agents: int
    deployed: int


class Backups(TypedDict):
    """There are backups of more machines than have agents."""

    kind: Literal["backups"]
    machines: int
    deployed: int


class Lost(TypedDict):
    """Changes were lost, and how often."""

    kind: Literal["lost"]
    times: int


class Machine(TypedDict):
    """One of the machines of a clone, and when it was heard first and last, in ISO 8601."""

    hostname: str | None
    first: str
    last: str


class Clone(TypedDict):
    """Machines speak with one identity."""

    kind: Literal["clone"]
    machines: Sequence[Machine]


Finding = Inventory | Backups | Lost | Clone


def in_english(finding: Finding) -> str:
    """Say a finding as the API does."""
    if finding["kind"] == "inventory":
        return f"inventory of {finding['agents']} agents of type {finding['type']}, {finding['deployed']} deployed"
    if finding["kind"] == "backups":
        return f"backups of {finding['machines']} machines, {finding['deployed']} agents deployed"
    if finding["kind"] == "lost":
        return f"changes were lost {finding['times']} times"
    return "; ".join(_heard(machine) for machine in finding["machines"])


def _heard(machine: Machine) -> str:
    first, last = (datetime.fromisoformat(machine[end]) for end in ("first", "last"))
    return f"{machine['hostname'] or '?'}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
