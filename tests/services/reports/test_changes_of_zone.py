"""Months where a zone takes another's place, by a change or by a move: they tile, and nothing is charged twice."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select

from services import ids
from services.partners import VENDOR_ID, Distributor, Msp, PartnerKind
from services.reports.tables import ClosedPeriod, Report
from tests.support.machine import Machine
from tests.support.people import Headers, person, session_of, signed_in
from tests.support.world import World

ROME, NEW_YORK = "Europe/Rome", "America/New_York"
# March 2026 ends at these instants in Rome and in New York.
IN_ROME, IN_NEW_YORK = datetime(2026, 3, 31, 22, tzinfo=UTC), datetime(2026, 4, 1, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRACE = timedelta(hours=6)


async def to_zone(client: httpx.AsyncClient, vendor: Headers, distributor: Distributor, zone: str) -> dict[str, Any]:
    url = f"/v1/distributors/{ids.show('distributor', distributor.id)}/zone"
    answer = await client.put(url, json={"zone": zone}, headers=vendor)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def heard(world: World, machine: Machine, *said: tuple[datetime, int]) -> None:
    """Let a machine say how many servers it has, at some instants."""
    for at, servers in said:
        world.clock.now = at
        await world.beat(machine, (servers, 0, 0))


async def periods(world: World, distributor: Distributor) -> list[tuple[str, str, datetime, datetime]]:
    async with world.sessions() as db:
        rows = await db.scalars(
            select(ClosedPeriod).where(ClosedPeriod.distributor_id == distributor.id).order_by(ClosedPeriod.starts_at)
        )
        return [(row.month, row.zone, row.starts_at, row.ends_at) for row in rows]


async def charged(world: World, distributor: Distributor) -> list[tuple[str, int, bool]]:
    """What each report of a distributor charges: month, servers, and whether it is a short piece."""
    async with world.sessions() as db:
        rows = await db.scalars(
            select(Report).where(Report.distributor_id == distributor.id).order_by(Report.starts_at)
        )
        found = [json.loads(row.document or b"{}") for row in rows]
    return [
        (one["period"]["month"], one["totals"]["charged"], "short_period" in one["lines"][0]["flags"]) for one in found
    ]


async def test_a_change_of_zone_holds_from_the_next_period_on_and_the_periods_tile(
    client: httpx.AsyncClient, world: World
) -> None:
    vendor = await signed_in(world, PartnerKind.VENDOR)
    shown = await to_zone(client, vendor, world.distributor, NEW_YORK)
    assert (shown["zone"], shown["next_zone"], shown["zone_changes_at"]) == (ROME, NEW_YORK, "2026-03-31T22:00:00Z")
    machine = await world.running((5, 0, 0))
    # In the piece between the two month ends nine, and three after it.
    await heard(
        world, machine, (IN_ROME - HOUR, 5), (IN_ROME + HOUR, 9), (IN_NEW_YORK - HOUR, 3), (IN_NEW_YORK + HOUR, 3)
    )
    for end in (IN_ROME, IN_NEW_YORK, datetime(2026, 5, 1, 4, tzinfo=UTC)):
        world.clock.now = end + GRACE
        await world.close()
    closed = await periods(world, world.distributor)
    assert [(month, zone) for month, zone, _, _ in closed] == [
        ("2026-03", ROME),
        ("2026-03", NEW_YORK),
        ("2026-04", NEW_YORK),
    ]
    assert [(starts, ends) for _, _, starts, ends in closed][1:] == [
        (IN_ROME, IN_NEW_YORK),
        (IN_NEW_YORK, datetime(2026, 5, 1, 4, tzinfo=UTC)),
    ]
    assert await charged(world, world.distributor) == [
        ("2026-03", 5, False),
        ("2026-03", 0, True),
        ("2026-04", 3, False),
    ]


async def test_workers_that_were_down_close_each_period_by_the_zone_that_it_had(
    client: httpx.AsyncClient, world: World
) -> None:
    vendor = await person(world, PartnerKind.VENDOR, VENDOR_ID)
    east = await world.another_distributor("East", NEW_YORK)
    await to_zone(client, await session_of(world, vendor), east, ROME)
    world.clock.now = datetime(2026, 6, 2, tzinfo=UTC)
    await to_zone(client, await session_of(world, vendor), east, NEW_YORK)
    for _ in range(3):
        await world.close()
    assert [(month, zone, ends) for month, zone, _, ends in await periods(world, east)] == [
        ("2026-03", NEW_YORK, IN_NEW_YORK),
        ("2026-04", ROME, datetime(2026, 4, 30, 22, tzinfo=UTC)),
        ("2026-05", ROME, datetime(2026, 5, 31, 22, tzinfo=UTC)),
    ]


async def move(client: httpx.AsyncClient, world: World, msp: Msp, to: Distributor) -> datetime:
    """Move an MSP; gives when it does."""
    body = {"distributor_id": ids.show("distributor", to.id)}
    vendor = await signed_in(world, PartnerKind.VENDOR)
    answer = await client.post(f"/v1/msps/{ids.show('msp', msp.id)}/move", json=body, headers=vendor)
    assert answer.status_code == 201, answer.text
    return datetime.fromisoformat(answer.json()["at"])


async def test_an_msp_that_moves_westwards_is_charged_nothing_for_the_piece_between(
    client: httpx.AsyncClient, world: World
) -> None:
    west = await world.another_distributor("West", NEW_YORK)
    assert await move(client, world, world.msp, west) == IN_ROME
    machine = await world.running((5, 0, 0))
    await heard(
        world, machine, (IN_ROME - HOUR, 5), (IN_ROME + HOUR, 9), (IN_NEW_YORK - HOUR, 3), (IN_NEW_YORK + HOUR, 3)
    )
    world.clock.now = IN_NEW_YORK + GRACE
    await world.close()
    assert await charged(world, world.distributor) == [("2026-03", 5, False)]
    assert await charged(world, west) == [("2026-03", 0, True)]
    world.clock.now = datetime(2026, 5, 2, tzinfo=UTC)
    await world.close()
    assert await charged(world, west) == [("2026-03", 0, True), ("2026-04", 3, False)]
    assert await charged(world, world.distributor) == [("2026-03", 5, False)]


async def test_an_msp_that_moves_eastwards_brings_nothing_that_its_old_month_counted(
    client: httpx.AsyncClient, world: World
) -> None:
    west = await world.another_distributor("West", NEW_YORK)
    other = await world.another_msp("Liberty", west)
    assert await move(client, world, other, world.distributor) == IN_NEW_YORK
    machine = await world.running((5, 0, 0), "Liberty 1", other)
    # The nine are of New York's March, though Rome's April has begun.
    await heard(
        world, machine, (IN_ROME - HOUR, 5), (IN_ROME + HOUR, 9), (IN_NEW_YORK - HOUR, 3), (IN_NEW_YORK + HOUR, 3)
    )
    world.clock.now = datetime(2026, 5, 2, tzinfo=UTC)
    for _ in range(2):
        await world.close()
    assert await charged(world, west) == [("2026-03", 9, False)]
    assert await charged(world, world.distributor) == [("2026-04", 3, False)]
