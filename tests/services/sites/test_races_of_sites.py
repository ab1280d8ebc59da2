"""Races: what happens at once ends as if one had come after the other. Locks, as the database shows them, tell when."""

import asyncio

import pytest
from sqlalchemy import func, select

from services import sites
from services.keys import KeyState
from services.sites import Answer, KeyAlreadyBound, Swept, orders, sweep
from services.sites.tables import Installation
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.machine import Machine
from tests.support.world import World


async def events(world: World, machine: Machine) -> list[str]:
    return [event for event, _, _ in await world.timeline(machine)]


async def bound(world: World) -> int:
    async with world.sessions() as db:
        live = select(func.count()).select_from(Installation).where(Installation.released_at.is_(None))
        return await db.scalar(live) or 0


async def test_two_heartbeats_across_the_deadline_with_the_sweep_between_disable_and_enable_once_at_most(
    world: World,
) -> None:
    machine = await world.running((1, 0, 0))
    twin = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(twin, (3, 0, 0), resume=True)  # two lines, so two heartbeats that know nothing of each other
    await world.pass_time(days=14, seconds=-1)
    before = machine.heartbeat(machine.body(world.clock(), (2, 0, 0)))
    now = world.clock()
    async with world.sessions.begin() as db:
        [first] = await sites.take_in(db, world.desk, [(before, now)])
        world.clock.advance(seconds=1)  # the deadline, as the sweep sees it that cannot know of the first one yet
        sweeping = asyncio.create_task(world.sweep())
        await somebody_waits_for_a_lock(world.sessions)
        second = asyncio.create_task(world.hear(twin, twin.body(world.clock(), (3, 0, 0))))
    answers = [first, await second]
    assert (await sweeping).disabled == 0
    assert [isinstance(one, Answer) and one.state for one in answers] == [KeyState.ACTIVE] * 2
    assert (await events(world, machine)).count("disabled") == 0


async def test_two_lines_that_come_back_at_once_enable_the_key_once(world: World) -> None:
    machine = await world.running((1, 0, 0))
    twin = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(twin, (3, 0, 0), resume=True)
    await world.pass_time(days=15)
    await world.sweep()
    assert (await world.key_of(machine)).state is KeyState.DISABLED
    both = [(one, one.body(world.clock(), (2 + i, 0, 0))) for i, one in enumerate((machine, twin))]
    answers = await asyncio.gather(*(world.hear(one, body) for one, body in both))
    assert [isinstance(one, Answer) and one.state for one in answers] == [KeyState.ACTIVE] * 2
    assert (await events(world, machine)).count("enabled") == 1


async def test_a_heartbeat_that_waits_for_the_sweep_is_told_of_a_key_that_is_active_again(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=15)
    async with world.sessions.begin() as db:
        assert (await sweep(db, world.clock())).disabled == 1
        hearing = asyncio.create_task(world.hear(machine, machine.body(world.clock(), (2, 0, 0))))
        await somebody_waits_for_a_lock(world.sessions)
    answer = await hearing
    assert isinstance(answer, Answer)
    assert answer.state is KeyState.ACTIVE
    assert (await events(world, machine))[2:] == ["disabled", "enabled"]
    assert await world.sweep() == Swept(0, 0)


async def test_an_activation_that_waits_for_the_release_is_the_one_that_is_bound_then(world: World) -> None:
    old = await world.running((1, 0, 0))
    new = Machine(old.license_key)
    async with world.sessions.begin() as db:
        await orders.release(db, old.site_id, actor="test", now=world.clock())
        activating = asyncio.create_task(world.activate(new))
        await somebody_waits_for_a_lock(world.sessions)
    assert (await activating).first
    assert await bound(world) == 1


async def test_of_releases_and_activations_at_once_one_site_manager_is_bound_at_every_end(world: World) -> None:
    old = await world.running((1, 0, 0))

    async def release() -> None:
        async with world.sessions.begin() as db:
            await orders.release(db, old.site_id, actor="test", now=world.clock())

    for _ in range(5):
        machines = [Machine(old.license_key) for _ in range(3)]
        done = await asyncio.gather(
            release(), *(world.activate(machine) for machine in machines), release(), return_exceptions=True
        )
        refused = [one for one in done if isinstance(one, Exception)]
        assert all(isinstance(one, KeyAlreadyBound) for one in refused), refused
        assert await bound(world) <= 1
    with pytest.raises(KeyAlreadyBound):
        await world.activate(Machine(old.license_key))
        await world.activate(Machine(old.license_key))
