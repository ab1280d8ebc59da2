"""Policies at work: a change reaches the lines below, silences are judged by it, and it can be tried before."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from services import keys, partners, sites
from services.delivery import Event
from services.errors import Invalid
from services.partners import PROGRAMME_ID, VENDOR_ID, AuditEntry, Bound, Level, PartnerKind, Principal, Right, Trial
from services.sites import Effect
from services.sites.tables import SilenceTimer
from services.usage import Line
from tests.support.machine import Machine
from tests.support.world import World

DAY = 86_400


def vendor(world: World) -> Principal:
    return Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, frozenset(Right), at=world.clock())


async def change(world: World, level: Level, subject_id: object, **values: int | None) -> None:
    async with world.sessions.begin() as db:
        await sites.change_policy(db, vendor(world), level, subject_id, values, world.clock())  # type: ignore[arg-type]


async def spread(world: World, limit: int = 500) -> int:
    steps = 0
    while True:
        async with world.sessions.begin() as db:
            if not await sites.spreading.spread_next(db, world.clock(), limit=limit):
                return steps
        steps += 1


async def intervals(world: World, *machines: Machine) -> list[int]:
    async with world.sessions() as db:
        told = {line.site_id: line.heartbeat_seconds for line in await db.scalars(select(Line))}
    return [told[machine.site_id] for machine in machines]


async def effects(world: World, level: Level = "programme", **values: int | None) -> Mapping[Effect, int]:
    async with world.sessions() as db:
        trial = Trial(level, PROGRAMME_ID, values) if values else None
        return (await sites.dry_run(db, vendor(world), world.clock(), trial)).effects


async def test_a_change_reaches_the_lines_below_its_level_a_few_at_a_time_and_no_others(world: World) -> None:
    other = await world.another_msp("Baltica", await world.another_distributor("Nord"))
    ours = [await world.running((1, 0, 0), f"site {number}") for number in range(3)]
    theirs = await world.running((1, 0, 0), "Foreign", other)
    await change(world, "distributor", world.distributor.id, heartbeat_seconds=1200)
    assert await intervals(world, *ours, theirs) == [900] * 4
    assert await spread(world, limit=2) == 3  # two sites, one, none
    assert await intervals(world, *ours, theirs) == [1200] * 3 + [900]
    await change(world, "programme", PROGRAMME_ID, heartbeat_seconds=600)
    await change(world, "key", (await world.key_of(ours[0])).id, heartbeat_seconds=700)
    assert await intervals(world, ours[0]) == [700]  # a key's is told at once
    await spread(world)
    assert await intervals(world, *ours, theirs) == [700, 1200, 1200, 600]


async def test_an_msp_that_comes_under_another_distributor_is_told_its_policy_then(world: World) -> None:
    north = await world.another_distributor("Nord")
    machine = await world.running((1, 0, 0))
    await change(world, "distributor", north.id, heartbeat_seconds=1200)
    at = world.clock() + timedelta(days=3)
    async with world.sessions.begin() as db:
        await partners.move_msp(db, vendor(world), world.msp.id, distributor_id=north.id, at=at, now=world.clock())
    await change(world, "msp", world.msp.id, warn_after_seconds=2 * DAY)  # in between, it is told of this
    await spread(world)
    assert await intervals(world, machine) == [900]
    world.clock.now = at
    await spread(world)
    assert await intervals(world, machine) == [1200]


async def test_a_shorter_silence_disables_at_the_next_sweep_what_the_dry_run_said(world: World) -> None:
    silent = await world.running((1, 0, 0), "silent")
    await world.pass_time(days=8)
    await world.running((1, 0, 0), "heard")
    await world.sweep()  # warned
    assert await effects(world) == {}
    assert await effects(world, disable_after_seconds=7 * DAY) == {Effect.DISABLED: 1}
    assert await effects(world, disable_after_seconds=9 * DAY) == {Effect.FINAL_WARNING: 1}
    assert await effects(world, "msp", disable_after_seconds=7 * DAY) == {}  # of a stranger
    await change(world, "programme", PROGRAMME_ID, disable_after_seconds=7 * DAY)
    await spread(world)
    while not (await world.sweep()).idle:
        pass
    assert (await world.key_of(silent)).state == "disabled"
    assert await effects(world) == {}


async def test_a_longer_silence_brings_a_disabled_site_back_without_new_letters(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=15)
    while not (await world.sweep()).idle:
        pass
    assert (await world.key_of(machine)).state == "disabled"
    assert await effects(world, disable_after_seconds=30 * DAY) == {Effect.BACK: 1}
    await change(world, "msp", world.msp.id, disable_after_seconds=30 * DAY)
    await spread(world)
    assert [one[0] for one in await world.timeline(machine)][-2:] == ["disabled", "enabled"]
    while not (swept := await world.sweep()).idle:
        assert swept.told == 0
    await world.pass_time(days=16)
    while not (await world.sweep()).idle:
        pass
    assert (await world.key_of(machine)).state == "disabled"


async def test_what_was_set_outside_new_bounds_comes_to_the_nearer_one(world: World) -> None:
    machine = await world.running((1, 0, 0))
    key = await world.key_of(machine)
    await change(world, "key", key.id, disable_after_seconds=80 * DAY)
    await change(world, "distributor", world.distributor.id, disable_after_seconds=2 * DAY)
    bound = Bound(3 * DAY, 10 * DAY)
    world.clock.advance(minutes=1)
    async with world.sessions.begin() as db:
        await sites.change_bounds(db, vendor(world), {"disable_after_seconds": bound}, world.clock())
    async with world.sessions.begin() as db:
        now = world.clock()
        of_key = await sites.policy_view(db, vendor(world), "key", key.id, now)
        of_distributor = await sites.policy_view(db, vendor(world), "distributor", world.distributor.id, now)
        of_programme = await sites.policy_view(db, vendor(world), "programme", PROGRAMME_ID, now)
    days = [one.in_force.disable_after_seconds / DAY for one in (of_key, of_distributor, of_programme)]
    assert days == [10, 3, 10]
    async with world.sessions() as db:
        *_, line = await keys.timeline(db, await world.key_of(machine))
        assert (line.event, line.reason) == (
            "policy_changed",
            f"disable_after_seconds: {80 * DAY} to {10 * DAY}, as the bounds are now",
        )
        told = await db.execute(select(Event.partner_id, Event.kind).where(Event.kind.endswith("policy_changed")))
        assert (world.msp.id, "key.policy_changed") in {tuple(one) for one in told}
        told = await db.execute(select(Event.partner_id).where(Event.kind == "policy.changed").order_by(Event.id))
        assert list(told)[-1] == (world.distributor.id,)
        note = select(AuditEntry).where(AuditEntry.action == "policy.changed").order_by(AuditEntry.id.desc()).limit(1)
        noted = (await db.scalars(note)).one()
        assert (noted.distributor_id, noted.before, noted.after) == (
            world.distributor.id,
            {"disable_after_seconds": 2 * DAY},
            {"disable_after_seconds": 3 * DAY},
        )
    await spread(world)
    async with world.sessions() as db:
        assert await db.scalar(select(Line.disable_after_seconds)) == 10 * DAY


async def test_bounds_that_would_silence_a_site_in_time_are_refused(world: World) -> None:
    for bad in ({"heartbeat_seconds": Bound(60, 12 * 3600)}, {"standalone_seats": Bound(9, 8)}):
        async with world.sessions.begin() as db:
            with pytest.raises(Invalid):
                await sites.change_bounds(db, vendor(world), bad, world.clock())


async def test_a_held_site_stays_held_when_a_policy_is_spread(world: World) -> None:
    machine = await world.running((1, 0, 0))
    async with world.sessions.begin() as db:
        await db.execute(update(SilenceTimer).values(held_at=world.clock()))
    due_at = world.clock() + timedelta(days=1)
    await change(world, "programme", PROGRAMME_ID, warn_after_seconds=3600)
    await spread(world)
    async with world.sessions() as db:
        timer = await db.scalar(select(SilenceTimer).where(SilenceTimer.site_id == machine.site_id))
    assert timer is not None
    assert timer.due_at == due_at
