"""When charging starts and ends: one test a rule, seen on the issued report.

Elsewhere, in test_corrections.py: no data all month (nothing by default; `last_known`, an estimate that is replaced),
and an excuse set after the close.
"""

from datetime import timedelta
from typing import Any

import pytest

from services import reports
from services.reports.claims import Stretch
from services.sites import orders
from tests.support.clock import START
from tests.support.machine import Machine, change, instant
from tests.support.months import APRIL, DAY, HOUR, MARCH, MAY, close_line, close_one
from tests.support.world import World


async def order(world: World, act: Any, machine: Machine) -> None:
    async with world.sessions.begin() as db:
        await act(db, machine.site_id, reason="test", actor="test", now=world.clock())


async def test_charging_starts_with_the_activation_and_a_maximum_is_not_prorated(world: World) -> None:
    world.clock.now = APRIL - HOUR
    machine = await world.running((7, 2, 0))
    world.clock.now = APRIL
    await world.beat(machine, (7, 2, 0))
    line = await close_line(world, APRIL)
    assert (line["activated_at"], line["coverage_percent"]) == (instant(APRIL - HOUR), "100.00")
    assert line["charged"] == {"server": 7, "workstation": 2, "server_plus": 0, "total": 9}


async def test_a_key_that_was_never_activated_is_never_charged(world: World) -> None:
    await world.key()
    for end in (APRIL, MAY):
        document = await close_one(world, end)
        assert (document["lines"], document["totals"]["charged"]) == ([], 0)


async def test_a_revoked_key_is_charged_until_the_first_answer_that_told_the_site(world: World) -> None:
    machine = await world.running((3, 0, 0))
    await order(world, orders.revoke, machine)
    world.clock.advance(days=1)
    await world.beat(machine, (5, 0, 0), [change(2, world.clock() - HOUR, (5, 0, 0))])
    world.clock.advance(days=1)
    await world.beat(machine, (50, 0, 0))
    line = await close_line(world, APRIL)
    assert (line["state"], line["charged"]["server"]) == ("revoked", 5)


async def test_a_revoked_key_that_is_not_told_is_charged_to_the_end_of_its_lease_at_the_latest(world: World) -> None:
    machine = await world.running((3, 0, 0))
    await order(world, orders.revoke, machine)
    lease_ends = START + 14 * DAY + 2 * DAY  # disable after + 2 S, as it was given
    world.clock.now = lease_ends + 3 * DAY
    before, after = lease_ends - HOUR, lease_ends + DAY
    spool = [change(2, before, (5, 0, 0)), change(3, after, (50, 0, 0))]
    await world.beat(machine, (50, 0, 0), spool)
    line = await close_line(world, APRIL)
    assert line["charged"]["server"] == 5
    assert line["gaps"] == [[instant(lease_ends), instant(APRIL)]]


@pytest.mark.parametrize("state", ["suspended", "disabled"])
async def test_a_suspended_or_disabled_site_is_charged_as_deployed(world: World, state: str) -> None:
    machine = await world.running((3, 0, 0))
    if state == "suspended":
        await order(world, orders.suspend, machine)
        world.clock.advance(days=2)
    else:
        await world.pass_time(days=15)
        await world.sweep()
    assert (await world.key_of(machine)).state.value == state
    await world.beat(machine, (6, 0, 0), [change(2, world.clock() - HOUR, (6, 0, 0))])
    line = await close_line(world, APRIL)
    assert (line["charged"]["server"], state in line["flags"]) == (6, True)


async def test_every_key_ends_the_month_as_reported_zero_excused_or_missing(world: World) -> None:
    """And nothing else: a missing one is never shown as zero, nor zero as missing."""
    await world.running((3, 0, 0), "reported")
    await world.running((0, 0, 0), "zero")
    excused = await world.running((8, 0, 0), "excused")
    await world.activated("missing")
    async with world.sessions.begin() as db:
        stretch = Stretch(excused.site_id, MARCH, APRIL, "own laboratory")
        await reports.excuse(db, stretch, actor="anna", now=world.clock())
    world.clock.advance(hours=1)
    found = {}
    for line in (await close_one(world, APRIL))["lines"]:
        peak = line["server"] and line["server"]["peak"]
        found[line["site"]] = (peak, line["charged"]["server"], line["flags"][1:])
    assert found == {
        "reported": (3, 3, []),
        "zero": (0, 0, []),
        "excused": (8, 0, ["excused"]),
        "missing": (None, 0, ["no_data"]),
    }


async def test_a_revoked_key_without_usage_leaves_later_reports(world: World) -> None:
    machine = await world.running((3, 0, 0))
    await order(world, orders.revoke, machine)
    world.clock.advance(hours=1)
    await world.beat(machine, (3, 0, 0))
    assert (await close_line(world, APRIL))["charged"]["server"] == 3
    assert (await close_one(world, MAY))["lines"] == []


async def test_the_whole_of_a_month_excused_charges_nothing_and_a_part_charges_the_peak_outside(world: World) -> None:
    machine = await world.running((3, 0, 0))
    for days, servers in ((5, 20), (1, 4)):
        world.clock.advance(days=days)
        await world.beat(machine, (servers, 0, 0))
    async with world.sessions.begin() as db:
        trial = Stretch(machine.site_id, START, START + timedelta(days=6), "trial")
        await reports.excuse(db, trial, actor="vendor:pia", now=world.clock())
    line = await close_line(world, APRIL)
    assert (line["server"]["peak"], line["charged"]["server"]) == (20, 4)
    assert line["not_charged"] == [
        {"kind": "excuse", "from": instant(START), "until": instant(START + timedelta(days=6)), "reason": "trial",
         "actor": "vendor:pia"},
    ]  # fmt: skip
