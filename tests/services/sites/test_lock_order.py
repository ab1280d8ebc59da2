"""Locks are taken in one order, so that nobody crosses: what is heard together, the sweep, and a partner's orders.

Each test holds two transactions at the place where another order would be a deadlock, which PostgreSQL breaks by an
error in one of them.
"""

import asyncio

from services import keys
from services.sites import Answer, orders
from services.sites.heads import lock_lines
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.machine import Machine
from tests.support.world import World


async def standalone_on(world: World, machine: Machine) -> Machine:
    """A standalone on the machine's key, which has been heard."""
    other = Machine(machine.license_key)
    await world.activate(other, product="server_plus")
    await world.beat(other, (0, 0, 1))
    return other


async def test_the_sweep_and_a_heartbeat_of_another_installation_of_the_site_do_not_cross(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=14)
    other = await standalone_on(world, machine)  # whose own timer is not due
    async with world.sessions.begin() as db:
        await lock_lines(await db.connection(), [(other.site_id, other.installation_id, 0)])
        sweeping = asyncio.create_task(world.sweep())
        await somebody_waits_for_a_lock(world.sessions)
        await keys.of_site_for_update(db, machine.site_id)  # as for a heartbeat that has an errand
    assert (await sweeping).disabled == 1


async def test_the_sweep_locks_the_lines_of_all_sites_before_it_locks_a_key(world: World) -> None:
    ending = await world.running((1, 0, 0), "first")
    await world.pass_time(days=13, hours=12)
    await world.sweep()  # its next rung is the last
    warned = await world.running((1, 0, 0), "second")
    assert ending.site_id < warned.site_id
    await world.pass_time(days=1, hours=12)
    async with world.sessions.begin() as db:
        connection = await db.connection()
        await lock_lines(connection, [(ending.site_id, ending.installation_id, 0)])
        sweeping = asyncio.create_task(world.sweep())
        await somebody_waits_for_a_lock(world.sessions)
        await lock_lines(connection, [(warned.site_id, warned.installation_id, 0)])
    swept = await sweeping
    assert (swept.disabled, swept.told) == (1, 1)


async def test_a_resume_on_a_later_line_and_an_order_for_the_whole_site_do_not_cross(world: World) -> None:
    machine = await world.running((1, 0, 0))
    twin = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(twin, (3, 0, 0), resume=True)
    image = twin.image()
    await world.beat(twin, (4, 0, 0))  # what the image holds is behind: it resumes from the later line

    async def suspend() -> None:
        async with world.sessions.begin() as db:
            await orders.suspend(db, machine.site_id, reason="x", actor="test", now=world.clock())

    async with world.sessions.begin() as db:
        await lock_lines(await db.connection(), [(machine.site_id, machine.installation_id, 0)])
        suspending = asyncio.create_task(suspend())
        await somebody_waits_for_a_lock(world.sessions)
        hearing = asyncio.create_task(world.hear(image, image.body(world.clock(), (5, 0, 0), resume=True)))
        await somebody_waits_for_a_lock(world.sessions, 2)
    await suspending
    assert isinstance(await hearing, Answer)
