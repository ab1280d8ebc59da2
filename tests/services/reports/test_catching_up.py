"""Workers that were down over the first, or for two months: the bytes of a close in time.

The same facts are closed twice: in time, then, after everything the close made is gone, once more and late.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services import sites
from services.delivery import Event, Letter
from services.reports.tables import Charge, ClosedPeriod, Report, ReportFile, ReportLine
from services.sites import orders
from tests.support.machine import change
from tests.support.months import APRIL, DAY, GRACE, HOUR, JUNE, MAY
from tests.support.world import World

Files = dict[tuple[str, str], bytes]


async def files(world: World) -> Files:
    """What was issued: month and form."""
    async with world.sessions() as db:
        rows = await db.execute(
            select(Report.number, Report.msp_name, ReportFile.form, ReportFile.content)
            .join(Report, Report.id == ReportFile.report_id)
            .order_by(Report.number, ReportFile.form)
        )
        return {(f"{number} {msp}", form): content for number, msp, form, content in rows}


async def forgotten(owner: AsyncEngine) -> None:
    """As if no worker had ever run."""
    async with owner.begin() as db:
        for table in (ReportFile, Charge, Report, ReportLine, ClosedPeriod, Letter, Event):
            await db.execute(delete(table))
        await db.execute(text("delete from report_counters"))


async def lived_through_spring(world: World) -> None:
    """Two months of two MSPs: a steady site, one that is silent for weeks, one that moves, one that is revoked."""
    other = await world.another_msp("Baltica")
    steady, silent, moving, revoked = [await world.running((n, 1, 0), f"site {n}") for n in (2, 3, 4, 5)]
    async with world.sessions.begin() as db:
        move = await sites.moves.offer(db, moving.site_id, other.id, actor="test", now=world.clock())
        await sites.moves.accept(db, move, actor="test", now=world.clock())
        await orders.revoke(db, revoked.site_id, reason="end", actor="test", now=world.clock())
    for at in (APRIL - HOUR, APRIL + HOUR, MAY - HOUR, MAY + HOUR):
        world.clock.now = at
        for number, machine in enumerate([steady, moving, revoked]):
            await world.beat(machine, (number + at.day % 5, 1, 0))
        await world.close()
    world.clock.now = JUNE - 10 * DAY
    await world.beat(silent, (9, 1, 0), [change(2, MAY - DAY, (9, 1, 0))])


@pytest.mark.parametrize("late_by", [timedelta(days=2), timedelta(days=25)])
async def test_months_closed_late_have_the_numbers_bounds_and_bytes_that_they_would_have_had_in_time(
    world: World, owner: AsyncEngine, late_by: timedelta
) -> None:
    await lived_through_spring(world)
    for end in (APRIL, MAY, JUNE):
        world.clock.now = max(world.clock.now, end + GRACE)
        await world.close()
    in_time, told = await files(world), await events(world)
    assert sorted({name for name, _ in in_time}) == [
        "2026-00001 Adriatica IT",
        "2026-00002 Adriatica IT",
        "2026-00003 Baltica",
        "2026-00004 Adriatica IT",
        "2026-00005 Baltica",
    ]
    await forgotten(owner)
    world.clock.now = JUNE + GRACE + late_by
    async with world.sessions.begin() as db:
        while await sites.moves.do_next(db, world.clock()):
            pass
    await world.close()
    assert await files(world) == in_time
    assert await events(world) == told


async def events(world: World) -> list[tuple[str, datetime]]:
    """Which reports were told of, dated at the issue and not when the work was done."""
    async with world.sessions() as db:
        issued = select(Event.subject, Event.at).where(Event.kind == "report.issued")
        return sorted((subject["number"], at) for subject, at in await db.execute(issued))


async def test_a_worker_that_was_down_over_the_first_closes_the_month_when_it_is_back(world: World) -> None:
    machine = await world.running((3, 0, 0))
    world.clock.now = APRIL + 5 * DAY
    await world.beat(machine, (7, 0, 0), [change(2, APRIL + HOUR, (7, 0, 0))])
    await world.close()
    [report] = await world.reports()
    assert (report.number, report.issued_at) == ("2026-00001", APRIL + GRACE)


async def test_a_zone_without_a_midnight_on_the_first_has_its_bounds_at_the_first_instant_of_that_day(
    world: World,
) -> None:
    """Asuncion, where the first of October 2017 began at 01:00 (04:00 UTC): the change at that instant is October's."""
    world.clock.now = datetime(2017, 9, 10, tzinfo=UTC)
    distributor = await world.another_distributor("Paraguay", "America/Asuncion")
    msp = await world.another_msp("Asunción", distributor)
    october = datetime(2017, 10, 1, 4, tzinfo=UTC)
    machine = await world.running((3, 0, 0), "sitio", msp)
    world.clock.now = october + HOUR
    await world.beat(machine, (9, 0, 0), [change(2, october, (9, 0, 0))])
    world.clock.now = datetime(2017, 11, 1, 3, tzinfo=UTC) + GRACE
    await world.close()
    documents = [json.loads(report.document or b"") for report in await world.reports()]
    found = [one for one in documents if one["msp"] == "Asunción"]
    assert [(one["period"]["starts_at"], one["period"]["ends_at"], one["totals"]["server"]) for one in found] == [
        ("2017-09-01T04:00:00Z", "2017-10-01T04:00:00Z", 3),
        ("2017-10-01T04:00:00Z", "2017-11-01T03:00:00Z", 9),
    ]
    assert found[0]["period"]["ends_at_local"] == "2017-10-01T01:00:00-03:00"
