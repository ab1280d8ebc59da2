"""Silence at work: the sweep disables at the deadline and dates it there; the next heartbeat enables."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from services import sites
from services.keys import KeyState
from services.partners import Principal
from services.sites import Liveness, SiteView, Swept
from services.sites.pulse import outages
from services.sites.silence import Outage
from services.sites.tables import SilenceTimer
from tests.support.clock import START
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.machine import Machine
from tests.support.world import World

DAY = timedelta(days=1)


async def timers(world: World) -> list[SilenceTimer]:
    async with world.sessions() as db:
        return list(await db.scalars(select(SilenceTimer)))


async def view(world: World, machine: Machine) -> SiteView:
    async with world.sessions() as db:
        principal = Principal(world.msp.id, world.msp.id)
        return await sites.site_of(db, principal, machine.site_id, world.clock())


async def test_a_site_silent_to_the_second_of_the_deadline_is_disabled_and_not_before(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=14, seconds=-1)
    assert (await world.sweep()).disabled == 0
    assert (await world.key_of(machine)).state is KeyState.ACTIVE
    await world.pass_time(seconds=1)
    assert (await world.sweep()).disabled == 1
    assert (await world.key_of(machine)).state is KeyState.DISABLED
    assert await timers(world) == []


async def test_disabling_is_dated_at_the_deadline_however_late_the_sweep_runs(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=30)
    await world.sweep()
    assert (await world.key_of(machine)).disabled_at == START + 14 * DAY
    assert (await world.timeline(machine))[-1] == ("disabled", START + 14 * DAY, "sweep")


async def test_a_second_sweep_does_nothing(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=15)
    await world.sweep()
    assert await world.sweep() == Swept(0, 0)
    assert [event for event, _, _ in await world.timeline(machine)][2:] == ["disabled"]


async def test_two_sweeps_at_once_disable_once(world: World) -> None:
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(3)]
    await world.pass_time(days=15)
    swept = await asyncio.gather(world.sweep(), world.sweep())
    assert sum(one.disabled for one in swept) == 3
    for machine in machines:
        assert [event for event, _, _ in await world.timeline(machine)].count("disabled") == 1


async def test_the_timer_is_left_alone_by_heartbeats_and_armed_again_when_it_fires(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=10)
    await world.beat(machine, (1, 0, 0))
    [timer] = await timers(world)
    assert timer.due_at == START + DAY
    await world.pass_time(hours=20)
    assert await world.sweep() == Swept(0, 1)
    [timer] = await timers(world)
    assert timer.due_at == START + 11 * DAY


async def test_a_heartbeat_in_between_wins(world: World) -> None:
    """The sweep has seen that the timer is due; it waits for the line's lock, and judges what it finds then."""
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=20)
    body = machine.body(world.clock(), (1, 0, 0))
    async with world.sessions.begin() as db:
        await sites.take_in(db, world.desk, [(machine.heartbeat(body), world.clock())])
        sweeping = asyncio.create_task(world.sweep())
        await somebody_waits_for_a_lock(world.sessions)
    assert await sweeping == Swept(0, 1)
    assert (await world.key_of(machine)).state is KeyState.ACTIVE


@pytest.mark.parametrize("days", [15, 400])
async def test_the_next_heartbeat_enables_at_once_whatever_the_length(world: World, days: int) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=days)
    await world.sweep()
    answer = await world.beat(machine, (2, 0, 0))
    assert answer.state is KeyState.ACTIVE
    assert answer.lease
    assert [(event, actor) for event, _, actor in await world.timeline(machine)][2:] == [
        ("disabled", "sweep"),
        ("enabled", "site"),
    ]
    assert (await world.key_of(machine)).disabled_at is None
    [timer] = await timers(world)
    assert timer.due_at == world.clock() + DAY


async def test_a_refused_heartbeat_of_a_disabled_key_does_not_enable_it(world: World) -> None:
    machine = await world.running((1, 0, 0))
    stale = machine.image()
    await world.beat(machine, (1, 0, 0))
    await world.pass_time(days=15)
    await world.sweep()
    await world.hear(stale, stale.body(world.clock(), (1, 0, 0)))
    assert (await world.key_of(machine)).state is KeyState.DISABLED


async def test_a_suspended_key_that_also_fell_silent_stays_suspended_when_it_speaks(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.mark_key(machine, suspended_at=world.clock())
    await world.pass_time(days=15)
    await world.sweep()
    assert (await world.beat(machine, (1, 0, 0))).state is KeyState.SUSPENDED
    assert (await world.timeline(machine))[-1][0] == "disabled"
    await world.mark_key(machine, suspended_at=None)
    assert (await world.beat(machine, (1, 0, 0))).state is KeyState.ACTIVE


async def test_the_service_s_own_outage_disables_nobody(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=13)
    world.clock.advance(days=10)  # nobody pulses
    await world.pulse()
    assert await world.sweep() == Swept(0, 0, told=1)
    assert (await view(world, machine)).liveness is Liveness.SILENT
    await world.pass_time(days=1)
    assert await world.sweep() == Swept(1, 0)
    assert (await world.key_of(machine)).disabled_at == START + 24 * DAY


async def test_an_outage_still_under_way_counts_for_the_service(world: World) -> None:
    await world.running((1, 0, 0))
    await world.pulse()
    world.clock.advance(days=20)
    assert await world.sweep() == Swept(0, 1)


@pytest.mark.parametrize(("seconds", "gaps"), [(180, 0), (181, 1)])
async def test_a_gap_of_more_than_three_minutes_in_the_pulse_is_an_outage(
    world: World, seconds: int, gaps: int
) -> None:
    await world.pulse()
    world.clock.advance(seconds=seconds)
    await world.pulse()
    async with world.sessions() as db:
        found = await outages(db, START, world.clock())
    assert found == [Outage(START, world.clock())] * gaps


async def test_pulses_a_minute_apart_are_one_stretch_and_outages_are_what_lies_between(world: World) -> None:
    for _ in range(5):
        await world.pulse()
        world.clock.advance(minutes=1)
    world.clock.advance(hours=1)
    await world.pulse()
    async with world.sessions() as db:
        early = await outages(db, START, world.clock())
        late = await outages(db, START + timedelta(minutes=30), world.clock())
        after = await outages(db, world.clock(), world.clock())
    gap = Outage(START + timedelta(minutes=4), world.clock())
    assert (early, late) == ([gap], [gap])
    assert all(one.until_at <= world.clock() for one in after)


async def test_what_up_since_vouches_for_is_no_outage_also_after_one(world: World) -> None:
    await world.pulse()
    back = world.clock.advance(hours=5)
    world.clock.advance(hours=2)
    await world.pulse(up_since=back)
    async with world.sessions() as db:
        assert await outages(db, START, world.clock()) == [Outage(START, back)]


async def test_liveness_is_right_before_any_sweep_has_run_and_the_ladder_is_dated(world: World) -> None:
    machine = await world.running((1, 2, 3))
    seen = []
    for length in ({"seconds": 0}, {"minutes": 31}, {"days": 1}, {"days": 13}):
        await world.pass_time(**length)
        one = await view(world, machine)
        seen.append((one.liveness, one.state))
    assert seen == [
        (Liveness.ONLINE, KeyState.ACTIVE),
        (Liveness.LATE, KeyState.ACTIVE),
        (Liveness.SILENT, KeyState.ACTIVE),
        (Liveness.OVERDUE, KeyState.ACTIVE),
    ]
    assert (one.warn_at, one.disable_at) == (START + DAY, START + 14 * DAY)
    assert one.deployed == (1, 2, 3)


async def test_a_key_that_no_site_manager_has_activated_never_connected(world: World) -> None:
    issued = await world.key()
    one = await view(world, Machine(issued.code, site_id=issued.key.site_id))
    assert (one.liveness, one.last_contact_at, one.warn_at, one.disable_at, one.deployed) == (
        Liveness.NEVER_CONNECTED,
        None,
        None,
        None,
        None,
    )


async def test_a_site_that_has_only_activated_is_swept_as_well(world: World) -> None:
    machine = await world.activated()
    await world.pass_time(days=14)
    await world.sweep()
    assert (await world.key_of(machine)).state is KeyState.DISABLED


async def test_a_site_with_two_lines_is_as_silent_as_the_one_heard_last(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.pass_time(days=10)
    await world.beat(image, (3, 0, 0), resume=True)
    await world.pass_time(days=5)
    assert await world.sweep() == Swept(0, 0, told=1)
    await world.pass_time(days=9)
    assert (await world.sweep()).disabled == 1
    assert (await world.beat(image, (3, 0, 0))).state is KeyState.ACTIVE
    assert (await world.beat(machine, (2, 0, 0))).state is KeyState.ACTIVE
