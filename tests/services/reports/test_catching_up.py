"""Workers that were down over the first, or for two months: the bytes of a close in time.

The same facts are closed twice: in time, then, after everything the close made is gone, once more and late.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services import keys, partners, sites
from services.delivery import Event, Letter
from services.keys import Key
from services.partners import VENDOR_ID, PartnerKind, Principal
from services.reports.tables import Charge, ClosedPeriod, Report, ReportFile, ReportLine
from services.sites import orders
from tests.support.machine import change
from tests.support.months import APRIL, DAY, GRACE, HOUR, JUNE, MAY, close_month, close_one
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
    await called_otherwise(world)
    await forgotten(owner)
    world.clock.now = JUNE + GRACE + late_by
    async with world.sessions.begin() as db:
        while await sites.moves.do_next(db, world.clock()):
            pass
    await world.close()
    assert await files(world) == in_time
    assert await events(world) == told


async def called_otherwise(world: World) -> None:
    """After the last month: one key is renamed twice, one has another reference, one another code; so are partners."""
    async with world.sessions.begin() as db:
        vendor = Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, at=world.clock())
        msp = await db.get_one(partners.Msp, world.msp.id)
        distributor = await db.get_one(partners.Distributor, world.distributor.id)
        await partners.change_msp(db, vendor, msp, {"name": "Adriatica Group", "language": "en"}, world.clock())
        await partners.change_distributor(db, vendor, distributor, {"name": "Sud", "language": "en"}, world.clock())
        for number in range(3):
            key = (await db.scalars(select(Key).where(Key.name == f"site {number + 2}").with_for_update())).one()
            if number == 0:
                await keys.rename(db, key, name="Renamed", reference=None, now=world.clock())
                await keys.rename(db, key, name="Renamed again", reference="R-1", now=world.clock())
            elif number == 1:
                await keys.rename(db, key, name=key.name, reference="R-2", now=world.clock())
            else:
                keys.rotate(db, world.desk.vault, key, replaces=key.code_masked[-5:], actor="test", now=world.clock())


async def test_a_report_has_the_names_of_its_period_s_end_and_the_next_one_those_of_since(world: World) -> None:
    """At the very end of the period it is the next one's name, as a change is the next one's."""
    machine, other = await world.running((3, 0, 0), "Hotel Adria"), await world.running((2, 0, 0), "Studio")
    for at, name in ((APRIL - HOUR, "Hotel Bellevue"), (APRIL, "Hotel Centrale"), (APRIL + HOUR, "Hotel Diana")):
        world.clock.now = at
        async with world.sessions.begin() as db:
            key = await keys.of_site_for_update(db, machine.site_id)
            await keys.rename(db, key, name=name, reference=name[6:], now=at)
    await world.beat(machine, (3, 0, 0))
    await world.beat(other, (2, 0, 0))
    march, april = await close_one(world, APRIL), await close_one(world, MAY)
    found = [[(line["site"], line["reference"]) for line in document["lines"]] for document in (march, april)]
    assert found == [[("Hotel Bellevue", "Bellevue"), ("Studio", None)], [("Hotel Diana", "Diana"), ("Studio", None)]]


async def test_a_site_that_moves_to_where_its_name_is_taken_has_its_old_name_in_the_giver_s_last_report(
    world: World,
) -> None:
    other = await world.another_msp("Baltica")
    machine, _ = await world.running((3, 0, 0), "Sede"), await world.running((1, 0, 0), "Sede", other)
    async with world.sessions.begin() as db:
        move = await sites.moves.offer(db, machine.site_id, other.id, actor="test", now=world.clock())
        await sites.moves.accept(db, move, actor="test", now=world.clock())
    world.clock.now = APRIL + HOUR
    async with world.sessions.begin() as db:
        assert await sites.moves.do_next(db, world.clock())
    await world.beat(machine, (3, 0, 0))
    found = [
        {(one["msp"], line["site"]) for one in await close_month(world, end) for line in one["lines"]}
        for end in (APRIL, MAY)
    ]
    assert found == [{("Adriatica IT", "Sede"), ("Baltica", "Sede")}, {("Baltica", "Sede"), ("Baltica", "Sede (2)")}]


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
