"""The letters of a silence: each once, gathered within 15 minutes, and no warning while it is snoozed."""

from datetime import timedelta

from sqlalchemy import select, update

from services.delivery import Letter
from services.partners import Distributor, Msp
from services.sites import orders
from tests.support.machine import Machine
from tests.support.world import World

TECHNICAL, NATIONAL = "tecnico@example.org", "nazionale@example.org"


async def addressed(world: World) -> None:
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(technical_email=TECHNICAL))
        await db.execute(update(Distributor).values(email=NATIONAL))


async def letters(world: World) -> list[tuple[str, str, list[str]]]:
    """Kind, recipient and the sites in it."""
    async with world.sessions() as db:
        rows = await db.scalars(select(Letter).order_by(Letter.posted_at, Letter.recipient))
        return [(row.kind, row.recipient, [item["site"] for item in row.values["items"]]) for row in rows]


async def climb(world: World) -> None:
    while not (await world.sweep()).idle:
        pass


async def snooze(world: World, machine: Machine, days: float | None) -> None:
    until = None if days is None else world.clock() + timedelta(days=days)
    async with world.sessions.begin() as db:
        await orders.snooze(db, machine.site_id, until=until, actor="test", now=world.clock())


async def test_letters_of_one_kind_to_one_recipient_within_15_minutes_are_one(world: World) -> None:
    await addressed(world)
    for minutes, name in ((0, "first"), (14, "second"), (2, "third")):
        await world.pass_time(minutes=minutes)
        await world.running((1, 0, 0), name)
    for minutes in (24 * 60 - 16, 14, 2):
        await world.pass_time(minutes=minutes)
        await climb(world)
    assert await letters(world) == [
        ("silence_warning", TECHNICAL, ["first", "second"]),
        ("silence_warning", TECHNICAL, ["third"]),
    ]


async def test_each_step_of_the_ladder_is_one_letter_a_silence_to_those_whom_it_concerns(world: World) -> None:
    await addressed(world)
    machine = await world.running((1, 0, 0), "Hotel Adria")
    for hours in (24, 24, 11 * 24, 1, 24, 24):
        await world.pass_time(hours=hours)
        await climb(world)
    await world.beat(machine, (1, 0, 0))
    found = await letters(world)
    assert [(kind, recipient) for kind, recipient, _ in found] == [
        ("silence_warning", TECHNICAL),
        ("silence_final", NATIONAL),
        ("silence_final", TECHNICAL),
        ("site_disabled", TECHNICAL),
        ("site_back", TECHNICAL),
    ]


async def test_a_snoozed_site_is_not_warned_of_before_its_date_and_the_other_dates_stand(world: World) -> None:
    await addressed(world)
    machine = await world.running((1, 0, 0), "Hotel Adria")
    await snooze(world, machine, days=5)
    await world.pass_time(days=5, minutes=-1)
    await climb(world)
    assert await letters(world) == []
    await world.pass_time(minutes=1)
    await climb(world)
    assert [kind for kind, _, _ in await letters(world)] == ["silence_warning"]
    await snooze(world, machine, days=100)
    await world.pass_time(days=9)
    await climb(world)
    assert (await world.key_of(machine)).state == "disabled"


async def test_a_snooze_beyond_the_final_warning_does_not_hold_that_back_and_can_be_ended(world: World) -> None:
    await addressed(world)
    machine = await world.running((1, 0, 0), "Hotel Adria")
    await snooze(world, machine, days=100)
    await world.pass_time(days=12)
    await climb(world)
    assert {kind for kind, _, _ in await letters(world)} == {"silence_final"}
    other = await world.running((1, 0, 0), "Officine Ferri")
    await snooze(world, other, days=3)
    await snooze(world, other, None)
    await world.pass_time(days=1)
    await climb(world)
    assert ("silence_warning", TECHNICAL, ["Officine Ferri"]) in await letters(world)
