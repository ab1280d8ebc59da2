"""The flags of a report's lines: which come from what happened, for how long, and that none changes a figure."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services import sites
from services.partners import Principal
from services.reports import evidence_of
from services.sites import orders
from services.sites.findings import Finding
from services.sites.flags import raise_flag
from tests.support.machine import Machine, change
from tests.support.world import World

MARCH = datetime(2026, 2, 28, 23, tzinfo=UTC)
APRIL = datetime(2026, 3, 31, 22, tzinfo=UTC)
MAY = datetime(2026, 4, 30, 22, tzinfo=UTC)
JUNE = datetime(2026, 5, 31, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def closed(world: World, end: datetime) -> dict[tuple[str, str], Any]:
    """The flags of each line that was issued at the end of a period, by MSP and site."""
    world.clock.now = end + 6 * HOUR
    await world.close()
    found: dict[tuple[str, str], Any] = {}
    for report in await world.reports():
        document = json.loads(report.document or b"")
        if document["period"]["ends_at"] == end.isoformat().replace("+00:00", "Z"):
            found |= {(report.msp_name, line["site"]): line for line in document["lines"]}
    return found


TWELVE: Finding = {"kind": "inventory", "type": "server", "agents": 12, "deployed": 2}


async def clone(world: World) -> Machine:
    """A site of which two copies speak, with 2 and with 3 servers."""
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(image, (3, 0, 0), resume=True)
    for _ in range(2):
        await world.beat(image, (3, 0, 0))
        await world.beat(machine, (2, 0, 0))
    return machine


async def test_a_clone_is_marked_from_the_month_in_which_it_was_found_with_both_machines_as_evidence(
    world: World,
) -> None:
    machine = await clone(world)
    [line] = (await closed(world, APRIL)).values()
    assert (line["flags"], line["server"]["peak"]) == (["new", "clone_suspected"], 3)
    [report] = await world.reports()
    async with world.sessions() as db:
        found = await evidence_of(db, Principal(world.msp.id, world.msp.id), report.id, machine.site_id)
    [flag] = found.flags
    assert (flag.flag, flag.detail.count("backup01")) == ("clone_suspected", 2)


async def test_implausible_figures_are_marked_in_the_months_in_which_they_were_seen(world: World) -> None:
    machine = await world.running((2, 0, 0))
    await world.beat(machine, (2, 0, 0))
    world.clock.now = APRIL + HOUR
    async with world.sessions.begin() as db:
        await raise_flag(db, machine.site_id, "implausible", TWELVE, world.clock())
    await world.beat(machine, (2, 0, 0))
    march, april = await closed(world, APRIL), await closed(world, MAY)
    assert [line["flags"] for line in march.values()] == [["new"]]
    assert [(line["flags"], line["server"]["peak"]) for line in april.values()] == [(["implausible"], 2)]


async def test_a_flag_that_nobody_took_down_is_no_mark_of_a_month_in_which_nothing_was_seen(world: World) -> None:
    """Seen in March and again in May; May's sightings make no difference to an April that is closed after them."""
    machine = await world.running((2, 0, 0))
    for at in (world.clock(), world.clock() + HOUR, MAY + 2 * HOUR, MAY + 90 * HOUR):
        world.clock.now = at
        async with world.sessions.begin() as db:
            await raise_flag(db, machine.site_id, "implausible", TWELVE, at)
        await world.beat(machine, (2, 0, 0))
    months = [await closed(world, end) for end in (APRIL, MAY, JUNE, JUNE + 30 * 24 * HOUR)]
    assert ["implausible" in line["flags"] for month in months for line in month.values()] == [True, False, True, False]


async def test_a_clone_is_marked_as_long_as_both_machines_are_heard(world: World) -> None:
    twin = await world.running((3, 0, 0))
    other = twin.image()
    world.clock.advance(hours=1)
    await world.beat(twin, (3, 0, 0))
    await world.beat(other, (3, 0, 0), resume=True)
    for at, machines in (
        (world.clock() + HOUR, (twin, other)), (APRIL + HOUR, (twin, other)), (MAY - HOUR, (twin, other)),
        (MAY + 90 * HOUR, (other,)), (JUNE + 90 * HOUR, (other,)),
    ):  # fmt: skip
        world.clock.now = at
        for machine in machines:
            await world.beat(machine, (3, 0, 0))
    months = [await closed(world, end) for end in (APRIL, MAY, JUNE, JUNE + 30 * 24 * HOUR)]
    marked = ["clone_suspected" in line["flags"] for month in months for line in month.values()]
    assert marked == [True, True, False, False]


@pytest.mark.parametrize("moved_before_the_close", [False, True])
async def test_a_site_that_moves_is_marked_in_the_last_month_of_the_giver_and_the_first_of_the_receiver(
    world: World, moved_before_the_close: bool
) -> None:
    machine, other = await world.running((4, 0, 0)), await world.another_msp("Baltica")
    async with world.sessions.begin() as db:
        move = await sites.moves.offer(db, machine.site_id, other.id, actor="test", now=world.clock())
        await sites.moves.accept(db, move, actor="test", now=world.clock())
    for at in (APRIL - HOUR, APRIL + HOUR):
        world.clock.now = at
        await world.beat(machine, (4, 0, 0))
    async with world.sessions.begin() as db:
        assert not moved_before_the_close or await sites.moves.do_next(db, world.clock())
    march, april = await closed(world, APRIL), await closed(world, MAY)
    assert {name: line["flags"] for (name, _), line in march.items()} == {"Adriatica IT": ["new", "moved"]}
    assert {name: line["flags"] for (name, _), line in april.items()} == {"Baltica": ["moved"]}
    may = await closed(world, JUNE)
    assert {name: line["flags"] for (name, _), line in may.items()} == {"Baltica": ["no_data"]}


async def test_disabled_suspended_and_an_uncertain_clock_are_marked_where_they_happened(world: World) -> None:
    machine = await world.running((4, 0, 0))
    world.clock.now = APRIL + HOUR
    async with world.sessions.begin() as db:
        await orders.suspend(db, machine.site_id, reason="invoice open", actor="test", now=world.clock())
    await world.beat(machine, (5, 0, 0), [change(2, APRIL + 90 * HOUR, (5, 0, 0))])
    march, april = await closed(world, APRIL), await closed(world, MAY)
    assert [line["flags"] for line in march.values()] == [["new"]]
    assert [line["flags"] for line in april.values()] == [["suspended", "clock_suspect"]]


async def test_a_revoked_key_leaves_the_reports_once_nothing_of_it_can_count(world: World) -> None:
    machine, _ = await world.running((4, 0, 0), "Revocato"), await world.running((1, 0, 0), "Resta")
    async with world.sessions.begin() as db:
        await orders.revoke(db, machine.site_id, reason="contract ended", actor="test", now=world.clock())
    world.clock.advance(hours=1)
    await world.beat(machine, (4, 0, 0))
    march, april = await closed(world, APRIL), await closed(world, MAY)
    assert sorted(site for _, site in march) == ["Resta", "Revocato"]
    assert (march["Adriatica IT", "Revocato"]["state"], march["Adriatica IT", "Revocato"]["server"]["peak"]) == (
        "revoked",
        4,
    )
    assert [site for _, site in april] == ["Resta"]


async def test_a_revoked_key_stays_while_its_lease_lasts_since_what_it_used_until_then_may_still_come(
    world: World,
) -> None:
    machine = await world.running((4, 0, 0))
    world.clock.now = APRIL - HOUR
    await world.beat(machine, (4, 0, 0))
    async with world.sessions.begin() as db:
        await orders.revoke(db, machine.site_id, reason="contract ended", actor="test", now=world.clock())
    months = [await closed(world, end) for end in (APRIL, MAY, JUNE)]
    assert [[line["flags"] for line in month.values()] for month in months] == [[["new"]], [["no_data"]], []]
