"""Policies at the command line."""

import pytest

from ops import policy
from services.clock import system_clock
from services.ids import show
from services.settings import Settings
from tests.support.world import World

_DAY = 86_400


async def test_a_policy_is_shown_set_and_tried_at_the_command_line(world: World, settings: Settings) -> None:
    world.clock.now = system_clock()
    msp = await world.another_msp("Baltica")
    await world.running((1, 0, 0), "Porto", msp)
    level = show("msp", msp.id)
    said = await policy.change(settings, level, ["disable_after=7d", "standalone_seats=9"])
    assert [line.split()[:4] for line in said if "msp" in line] == [
        ["disable_after", "7", "days,", "0:00:00"],
        ["standalone_seats", "9", "msp", "(bounds:"],
    ]
    assert await policy.change(settings, level, ["standalone_seats=none"]) == await policy.show(settings, level)
    tried = await policy.try_out(settings, "programme", ["disable_after=1d"])
    assert tried == ["Of 1 sites: 0 warned, 0 final warning, 0 disabled, 0 back."]


def test_what_is_no_level_and_no_value_is_said() -> None:
    for level in ("nobody", "msp_1", "site_01j7tzxgqnc008000000000000"):
        with pytest.raises(ValueError, match="neither programme nor the id"):
            policy.read_level(level)
    for value, why in (("silence=1d", "no knob"), ("warn_after=1", "length of time"), ("standalone_seats=x", "number")):
        with pytest.raises(ValueError, match=why):
            policy.read_values([value])
    assert policy.read_values(["warn_after=2d", "heartbeat=none"]) == {
        "warn_after_seconds": 2 * _DAY,
        "heartbeat_seconds": None,
    }
