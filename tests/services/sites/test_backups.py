"""Backups: the latest summary of each installation is kept, the worst sites are found, and the same costs nothing."""

from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from services import sites
from services.partners import Principal
from services.sites import Idle, Trouble, advance_idle, backups, genuine_echo, orders
from services.sites.administration_tables import BackupSummary
from services.sites.tables import SiteFlag
from tests.support.machine import Machine
from tests.support.world import World

TEN = (10, 0, 0)


def told(ok: int = 10, warning: int = 0, failed: int = 0, overdue: int = 0) -> dict[str, int]:
    return {"ok": ok, "warning": warning, "failed": failed, "overdue": overdue}


async def troubles(world: World, limit: int = 100, after: Any = None) -> list[Trouble]:
    async with world.sessions() as db:
        principal = Principal(world.msp.id, world.msp.id, at=world.clock())
        return await backups.troubles_of(db, principal, after=after, limit=limit)


async def summary(world: World, machine: Machine) -> BackupSummary:
    async with world.sessions() as db:
        return (await db.scalars(select(BackupSummary).where(BackupSummary.site_id == machine.site_id))).one()


async def test_the_latest_summary_is_kept_with_since_when_backups_fail(world: World) -> None:
    machine = await world.running(TEN)
    await world.beat(machine, TEN, backups=told(9, failed=1))
    since = world.clock()
    world.clock.advance(minutes=15)
    await world.beat(machine, TEN, backups=told(7, failed=2, overdue=1))
    row = await summary(world, machine)
    assert (row.ok, row.failed, row.failed_since_at, row.overdue_since_at) == (7, 2, since, world.clock())
    world.clock.advance(minutes=15)
    await world.beat(machine, TEN, backups=told())
    row = await summary(world, machine)
    assert (row.told_at, row.failed_since_at, row.overdue_since_at) == (world.clock(), None, None)
    await world.beat(machine, TEN)  # one that does not say leaves it as it is
    assert (await summary(world, machine)).ok == 10


async def test_the_worst_come_first_and_the_longest_of_those(world: World) -> None:
    stories = {
        "warned": told(8, warning=2),
        "failed lately": told(9, failed=1),
        "in order": told(),
        "overdue": told(9, overdue=1),
        "failed long ago": told(9, failed=1),
    }
    for name in ("failed long ago", "overdue", "failed lately", "warned", "in order"):
        machine = await world.running(TEN, name)
        await world.beat(machine, TEN, backups=stories[name])
        world.clock.advance(minutes=15)
    order = ["failed long ago", "failed lately", "overdue", "warned"]
    assert [one.name for one in await troubles(world)] == order
    paged: list[str] = []
    page = await troubles(world, limit=1)
    while page:
        paged.append(page[0].name)
        page = await troubles(world, limit=1, after=page[0].place)
    assert paged == order


async def test_all_installations_of_a_site_are_one_site_and_those_that_ended_are_none(world: World) -> None:
    machine = await world.running(TEN)
    beside = Machine(machine.license_key)
    await world.activate(beside, product="server_plus", version="5.1")
    await world.beat(machine, TEN, backups=told(8, failed=2))
    await world.beat(beside, (0, 0, 1), backups=told(0, failed=1))
    [one] = await troubles(world)
    assert one.backups == (8, 0, 3, 0)
    async with world.sessions.begin() as db:
        await orders.release(db, machine.site_id, actor="test", now=world.clock())
    successor = Machine(machine.license_key)
    await world.activate(successor)
    [one] = await troubles(world)
    assert one.backups.failed == 1


async def test_a_stranger_sees_none(world: World) -> None:
    machine = await world.running(TEN)
    await world.beat(machine, TEN, backups=told(9, failed=1))
    other = await world.another_msp("Baltica")
    async with world.sessions() as db:
        principal = Principal(other.id, other.id, at=world.clock())
        assert await backups.troubles_of(db, principal, after=None, limit=10) == []
        assert not await backups.backups_of(db, principal, machine.site_id)


async def test_a_repeat_keeps_nothing_anew(world: World) -> None:
    machine = await world.running(TEN)
    body = machine.body(world.clock(), TEN, backups=told(9, failed=1))
    await world.hear(machine, body)
    at = world.clock()
    world.clock.advance(minutes=1)
    await world.hear(machine, body)
    assert (await summary(world, machine)).told_at == at


# --- what it costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "idle"), [(told(9, failed=1), True), (None, True), (told(), False)], ids=["same", "none", "other"]
)
async def test_a_summary_that_did_not_change_leaves_the_heartbeat_idle(
    world: World, engine: AsyncEngine, second: dict[str, int] | None, idle: bool
) -> None:
    machine = await world.running(TEN)
    await world.beat(machine, TEN, backups=told(9, failed=1))
    world.clock.advance(minutes=15)
    more = {"backups": second} if second else {}
    beat = machine.heartbeat(machine.body(world.clock(), TEN, **more))
    echo = genuine_echo(world.desk.vault, beat)
    assert echo is not None
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        [answer] = await advance_idle(raw.driver_connection, world.desk, [Idle(beat, echo)], world.clock())
    assert (answer is not None) is idle


async def test_a_batch_of_changed_summaries_is_one_statement_more(world: World, engine: AsyncEngine) -> None:
    machines = [await world.running(TEN, f"Site {number}") for number in range(5)]
    counts = []
    for more in ({}, {"backups": told(9, failed=1)}):
        world.clock.advance(minutes=15)
        beats = [(m.heartbeat(m.body(world.clock(), TEN, **more)), world.clock()) for m in machines]
        counts.append(await statements(world, engine, beats, machines))
    assert counts[1] == counts[0] + 1


async def statements(world: World, engine: AsyncEngine, beats: Any, machines: list[Machine]) -> int:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    async with world.sessions.begin() as db:
        for machine, answer in zip(machines, await sites.take_in(db, world.desk, beats), strict=True):
            assert isinstance(answer, sites.Answer)
            machine.learn(answer)
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    return len(seen)


# --- implausible ------------------------------------------------------------------------------------------------


async def test_more_backups_than_agents_are_flagged_and_change_no_figure(world: World) -> None:
    machine = await world.running(TEN)
    await world.beat(machine, TEN, backups=told(10))
    assert await flags(world) == []
    await world.beat(machine, TEN, backups=told(11))
    assert await flags(world) == ["implausible"]
    assert (await world.peaks(machine))["server"][0] == 10


async def flags(world: World) -> list[str]:
    async with world.sessions() as db:
        return list(await db.scalars(select(SiteFlag.flag)))
