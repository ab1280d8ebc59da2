"""Every case at the edge that is decided, one test each, in the order of the table, seen on the issued report.

Elsewhere, in test_corrections.py: a correction of a correction, a peak of one hour by mistake (two tests), an MSP
without keys with a correction; in test_catching_up.py: workers down over the first, and for two months.
"""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from services import reports, sites
from services.reports.tables import Report
from services.sites import Answer, orders
from tests.support.clock import START
from tests.support.machine import Body, Machine, change, instant, lost
from tests.support.months import APRIL, DAY, HOUR, MAY, close_line, close_month
from tests.support.world import World


async def heard_at(world: World, machine: Machine, at: datetime, *said: Any, **fields: Any) -> Answer:
    world.clock.now = at
    return await world.beat(machine, *said, **fields)


async def test_a_change_exactly_at_the_first_instant_of_the_month_is_of_the_new_month(world: World) -> None:
    machine = await world.running((3, 0, 0))
    await heard_at(world, machine, APRIL + HOUR, (9, 0, 0), [change(2, APRIL, (9, 0, 0))])
    march, april = await close_line(world, APRIL), await close_line(world, MAY)
    assert (march["charged"]["server"], april["charged"]["server"]) == (3, 9)
    assert april["server"]["peak_at"] == instant(APRIL)


async def test_clock_changes_inside_the_month_leave_743_and_745_hours_all_of_them_covered(world: World) -> None:
    for first, end, hours in (
        ("2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z", 743),
        ("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", 745),
    ):
        starts_at, ends_at = datetime.fromisoformat(first), datetime.fromisoformat(end)
        machine = await world.running((1, 0, 0), f"site {hours}")
        await heard_at(world, machine, max(starts_at, world.clock.now), (1, 0, 0))
        await heard_at(world, machine, ends_at, (1, 0, 0))
        [document] = await close_month(world, ends_at)
        line = next(line for line in document["lines"] if line["site"] == f"site {hours}")
        assert ends_at - starts_at == timedelta(hours=hours)
        assert (line["coverage_percent"], line["gaps"]) == ("100.00", [])
        assert (document["period"]["starts_at"], document["period"]["ends_at"]) == (first, end)
        assert len(document["period"]["days"]) == 31


async def test_duplicated_reordered_and_overlapping_usage_of_several_sites_gives_identical_bytes(world: World) -> None:
    """Each delivery is undone after its report is written; the machines start again from the disk they had."""
    machines = [await world.activated(f"site {number}") for number in range(3)]
    spools = [[change(n, START + n * HOUR, (n % 5, n, number)) for n in range(1, 20)] for number in range(3)]
    world.clock.now = APRIL + HOUR
    chance = random.Random(5)
    made = {await _delivered(world, machines, spools, chance, whole=attempt == 0) for attempt in range(12)}
    assert len(made) == 1
    [document] = made
    assert document.count(b'"peak":19') == 3


async def _delivered(
    world: World, machines: list[Machine], spools: list[list[Body]], chance: random.Random, *, whole: bool
) -> bytes:
    """March's document after one delivery of all spools, in pieces and an order of chance; then undone."""
    async with world.sessions() as db:
        left = [(machine.image(), list(spool)) for machine, spool in zip(machines, spools, strict=True)]
        while left:
            machine, spool = chance.choice(left)
            start = 0 if whole else max(0, machine.through - chance.randrange(4))
            end = len(spool) if whole else min(len(spool), machine.through + chance.randrange(1, 8))
            batch, more = spool[start:end], end < len(spool)
            last = batch[-1]
            deployed = (last["server"], last["workstation"], last["server_plus"])
            beat = machine.heartbeat(machine.body(world.clock(), deployed, batch, more=more))
            early = machine.heartbeat(machine.body(world.clock(), deployed, [change(19, START, (99, 0, 0))]))
            for one in [early, beat, beat] if chance.random() < 0.5 and not whole else [beat]:
                [answer] = await sites.take_in(db, world.desk, [(one, world.clock())])
            assert isinstance(answer, Answer), answer
            machine.learn(answer)
            if not more:
                left = [(one, rest) for one, rest in left if one is not machine]
        await reports.close(db, world.distributor.id, APRIL + 6 * HOUR)
        written = await reports.write_next(db, world.distributor.id)
        assert written is not None
        document = (await db.get_one(Report, written.report_id)).document
        await db.rollback()
    return document or b""


async def test_of_two_contents_under_one_number_the_first_counts_and_the_other_is_told_on_its_item(
    world: World,
) -> None:
    machine = await world.running((3, 0, 0))
    world.clock.advance(hours=2)
    await world.beat(machine, (5, 0, 0), [change(2, world.clock() - HOUR, (5, 0, 0))])
    world.clock.advance(hours=2)
    other = [change(2, world.clock() - HOUR, (50, 0, 0)), change(3, world.clock(), (6, 0, 0))]
    answer = await world.beat(machine, (6, 0, 0), other)
    assert (list(answer.notices), answer.through) == ([{"code": "conflict", "n": 2}], 3)
    assert (await close_line(world, APRIL))["charged"]["server"] == 6


async def test_a_month_of_spool_in_one_burst_comes_in_chunks_and_goes_on_after_any_of_them(world: World) -> None:
    machine = await world.running((0, 0, 0))
    start = world.clock()
    spool = [change(n, start + timedelta(minutes=10 * n), (n % 7, 0, 0)) for n in range(2, 2_502)]
    spool[2_000] |= {"server": 41}
    world.clock.now = start + 20 * DAY
    await world.beat(machine, (0, 0, 0), spool[:1_000], more=True)
    reborn = machine.image()  # killed between two chunks: it knows what it had on disk
    await world.beat(reborn, (0, 0, 0), spool[1_000:2_000], more=True)
    await world.beat(reborn, (spool[-1]["server"], 0, 0), spool[2_000:])
    assert reborn.through == 2_501
    line = await close_line(world, APRIL)
    assert (line["server"]["peak"], line["server"]["peak_at"]) == (41, spool[2_000]["at"])


async def test_a_truncated_spool_says_what_it_lost_and_coverage_is_less_than_all(world: World) -> None:
    machine = await world.running((3, 0, 0))
    since, until = START + 5 * DAY, START + 6 * DAY
    world.clock.now = APRIL
    changes = [change(3, until, (3, 0, 0))]
    await world.beat(machine, (3, 0, 0), changes, lost=[lost(2, since, until)])
    line = await close_line(world, APRIL)
    assert (line["gaps"], line["server"]["peak"]) == ([[instant(since), instant(until)]], 3)
    assert float(line["coverage_percent"]) < 100


@pytest.mark.parametrize("wrong_by", [timedelta(days=-60), timedelta(days=60)])
async def test_a_wrong_clock_puts_nothing_into_a_month_it_cannot_belong_to(world: World, wrong_by: timedelta) -> None:
    machine = await world.running((3, 0, 0))
    await heard_at(world, machine, APRIL, (3, 0, 0))
    now = APRIL + 10 * DAY
    wrong = now + wrong_by
    await heard_at(world, machine, now, (8, 0, 0), [change(2, wrong - HOUR, (8, 0, 0))], sent_at=wrong)
    march, april = await close_line(world, APRIL), await close_line(world, MAY)
    assert (march["charged"]["server"], march["flags"]) == (3, ["new"])
    assert (april["charged"]["server"], april["flags"]) == (8, ["clock_suspect"])
    assert april["server"]["peak_at"] == instant(now - HOUR)


async def test_a_new_site_in_mid_month_counts_from_its_activation(world: World) -> None:
    machine = await world.running((3, 0, 0))
    await heard_at(world, machine, APRIL, (3, 0, 0))
    line = await close_line(world, APRIL)
    assert (line["activated_at"], line["flags"]) == (instant(START), ["new"])
    assert (line["coverage_percent"], line["charged"]["server"]) == ("100.00", 3)


async def test_a_site_that_is_silent_from_mid_month_has_the_peak_of_what_is_known_with_its_coverage(
    world: World,
) -> None:
    machine = await world.running((3, 0, 0))
    half = START + (APRIL - START) / 2
    await heard_at(world, machine, half, (4, 0, 0))
    line = await close_line(world, APRIL)
    assert (line["charged"]["server"], line["coverage_percent"]) == (4, "50.00")
    assert line["gaps"] == [[instant(half), instant(APRIL)]]


async def test_a_key_released_and_bound_again_in_mid_month_is_one_line_and_the_two_machines_are_never_added(
    world: World,
) -> None:
    old = await world.running((10, 0, 0))
    async with world.sessions.begin() as db:
        await orders.release(db, old.site_id, actor="test", now=world.clock())
    world.clock.advance(hours=2)
    await world.beat(old, (12, 0, 0))
    world.clock.advance(hours=1)
    new = Machine(old.license_key)
    await world.activate(new)
    for _ in range(2):
        world.clock.advance(hours=1)
        await world.beat(new, (11, 0, 0))
        await world.beat(old, (99, 0, 0))
    assert (await close_line(world, APRIL))["charged"]["server"] == 12


@pytest.mark.parametrize("both_speak", [False, True])
async def test_a_restore_and_a_clone_are_one_function_the_highest_of_their_lines(
    world: World, both_speak: bool
) -> None:
    machine = await world.running((4, 0, 0))
    image = machine.image()
    world.clock.advance(hours=1)
    await world.beat(machine, (5, 0, 0))
    await world.beat(image, (7, 0, 0), resume=True)
    for _ in range(2):
        world.clock.advance(hours=1)
        await world.beat(image, (7, 0, 0))
        if both_speak:
            await world.beat(machine, (5, 0, 0))
    line = await close_line(world, APRIL)
    assert line["charged"]["server"] == 7
    assert ("clone_suspected" in line["flags"]) is both_speak


async def test_a_standalone_that_is_listed_and_unlisted_is_counted_once_at_every_instant(world: World) -> None:
    machine = await world.running((0, 0, 1))
    alone = Machine(machine.license_key)
    world.clock.advance(hours=1)
    await world.activate(alone, product="server_plus", version="5.1")
    listing = {"n": 2, "at": instant(world.clock()), "seen": [str(alone.installation_id)]}
    await world.beat(machine, (0, 0, 1), [], standalones=listing)
    await world.beat(alone, (0, 0, 1))
    unlisted_at = APRIL + DAY
    for at in (APRIL, unlisted_at - HOUR):
        await heard_at(world, alone, at, (0, 0, 1))
        await world.beat(machine, (0, 0, 1), [])
    unlisted = {"n": 3, "at": instant(unlisted_at), "seen": []}
    await heard_at(world, machine, unlisted_at, (0, 0, 0), [change(4, unlisted_at, (0, 0, 0))], standalones=unlisted)
    await world.beat(alone, (0, 0, 1))
    march, april = await close_line(world, APRIL), await close_line(world, MAY)
    assert (march["server_plus"]["peak"], april["server_plus"]["peak"]) == (1, 1)
    assert (march["standalones"], april["standalones"]) == (1, 1)
