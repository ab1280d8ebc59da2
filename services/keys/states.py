"""The states of a key and their precedence. Pure."""

from enum import StrEnum


class KeyState(StrEnum):
    """What a site is told of its key."""

    ISSUED = "issued"
    ACTIVE = "active"
    DISABLED = "disabled"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


def state_of(*, activated: bool, disabled: bool, suspended: bool, revoked: bool) -> KeyState:
    """Give the state that stands: revoked > suspended > disabled > active."""
    if revoked:
        return KeyState.REVOKED
    if suspended:
        return KeyState.SUSPENDED
    if disabled:
        return KeyState.DISABLED
    return KeyState.ACTIVE if activated else KeyState.ISSUED
