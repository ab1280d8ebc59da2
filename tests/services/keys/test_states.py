"""The states of a key: what a site is told is the strongest of what happened to the key."""

import itertools

from services.keys.states import KeyState, state_of


def test_revoked_stands_above_suspended_above_disabled_above_active_above_issued() -> None:
    order = [KeyState.REVOKED, KeyState.SUSPENDED, KeyState.DISABLED, KeyState.ACTIVE]
    for facts in itertools.product([True, False], repeat=4):
        revoked, suspended, disabled, activated = facts
        expected = next((state for state, holds in zip(order, facts, strict=True) if holds), KeyState.ISSUED)
        state = state_of(activated=activated, disabled=disabled, suspended=suspended, revoked=revoked)
        assert state is expected
