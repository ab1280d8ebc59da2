"""Corrections, voids, disputes, excuses and estimates: everything issued plus all that follows is the truth."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from services import reports
from services.errors import Invalid
from services.partners import Principal
from services.partners.tables import MspTenure
from services.reports.claims import (
    AlreadyDisputed,
    ClaimDecided,
    DisputeTooLate,
    LateUsageOpen,
    NotYetForVendor,
    PeriodClosed,
    PeriodSettled,
)
from services.reports.tables import Charge, Dispute
from services.sites import orders
from services.usage import Span
from tests.support.clock import START
from tests.support.machine import Machine, change
from tests.support.world import World

APRIL = datetime(2026, 3, 31, 22, tzinfo=UTC)
MAY = datetime(2026, 4, 30, 22, tzinfo=UTC)
JUNE = datetime(2026, 5, 31, 22, tzinfo=UTC)
GRACE = timedelta(hours=6)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def principal(world: World) -> Principal:
    return Principal(world.msp.id, world.msp.id)


async def close_at(world: World, end: datetime) -> dict[str, Any]:
    """Close the month that ends then, and give its report."""
    world.clock.now = end + GRACE
    await world.close()
    document: dict[str, Any] = json.loads((await world.reports())[-1].document or b"null")
    return document


async def charged(world: World, machine: Machine, starts_at: datetime | None = None) -> tuple[int, int, int]:
    """All that was ever charged for the machine's site and a period."""
    async with world.sessions() as db:
        columns = (Charge.server, Charge.workstation, Charge.server_plus)
        sums = [func.coalesce(func.sum(column), 0) for column in columns]
        query = select(*sums).where(Charge.site_id == machine.site_id)
        [row] = await db.execute(query if starts_at is None else query.where(Charge.starts_at == starts_at))
    return row[0], row[1], row[2]


MARCH = datetime(2026, 2, 28, 23, tzinfo=UTC)


async def last_known(world: World) -> None:
    async with world.sessions.begin() as db:
        await reports.set_terms(
            db, world.distributor.id, no_data="last_known", shows_amounts=False, actor="anna", now=START
        )


async def silent_over_the_close(world: World) -> Machine:
    """A machine with 3 servers that is last heard on the 20th of March."""
    machine = await world.running((3, 0, 0))
    world.clock.now = datetime(2026, 3, 20, tzinfo=UTC)
    await world.beat(machine, (3, 0, 0))
    return machine


# --- late usage ------------------------------------------------------------------------------------------------


async def test_usage_that_comes_late_becomes_a_signed_line_in_the_next_report(world: World) -> None:
    machine = await silent_over_the_close(world)
    march = await close_at(world, APRIL)
    world.clock.now = APRIL + 2 * DAY
    await world.beat(machine, (3, 0, 0), [change(2, APRIL - DAY, (8, 1, 0)), change(3, APRIL - HOUR, (3, 0, 0))])
    april = await close_at(world, MAY)
    assert march["lines"][0]["charged"]["server"] == 3
    [correction] = april["corrections"]
    assert correction["quantities"] == {"server": 5, "workstation": 1, "server_plus": 0, "total": 6}
    assert (correction["origin"], correction["month"], correction["report"]) == ("late_usage", "2026-03", "2026-00001")
    span = Span(MARCH, APRIL, world.clock())
    peaks = await world.peaks(machine, span)
    assert await charged(world, machine, MARCH) == (peaks["server"][0], peaks["workstation"][0], 0)


async def test_a_correction_of_a_correction_is_the_truth_minus_all_so_far(world: World) -> None:
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    world.clock.now = APRIL + 2 * DAY
    changes = [change(2, APRIL - 2 * DAY, (8, 0, 0)), change(3, APRIL - DAY, (11, 0, 0)), change(4, APRIL, (3, 0, 0))]
    await world.beat(machine, (3, 0, 0), changes[:1], more=True)
    await close_at(world, MAY)
    assert await charged(world, machine, MARCH) == (8, 0, 0)
    world.clock.now = MAY + 3 * DAY
    await world.beat(machine, (3, 0, 0), changes[1:])
    may = await close_at(world, JUNE)
    assert [one["quantities"]["server"] for one in may["corrections"] if one["month"] == "2026-03"] == [3]
    assert await charged(world, machine, MARCH) == (11, 0, 0)


async def test_usage_after_35_days_is_evidence_until_the_distributor_approves_it(world: World) -> None:
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    await close_at(world, MAY)
    world.clock.now = APRIL + 36 * DAY
    await world.beat(machine, (3, 0, 0), [change(2, APRIL - DAY, (8, 0, 0)), change(3, APRIL - HOUR, (3, 0, 0))])
    await close_at(world, JUNE)
    assert await charged(world, machine, MARCH) == (3, 0, 0)
    async with world.sessions.begin() as db:
        delta = await reports.approve_late(
            db, world.distributor.id, machine.site_id, MARCH, reason="come concordato", actor="anna", now=world.clock()
        )
    june = await close_at(world, datetime(2026, 6, 30, 22, tzinfo=UTC))
    [line] = [one for one in june["corrections"] if one["origin"] == "adjustment"]
    assert (delta, line["quantities"]["server"], line["actor"]) == ((5, 0, 0), 5, "anna")
    assert await charged(world, machine, MARCH) == (8, 0, 0)


async def test_an_msp_without_keys_with_a_correction_gets_its_report(world: World) -> None:
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    other = await world.another_distributor("Altra", "Europe/Rome")
    async with world.sessions.begin() as db:
        tenure = (await db.execute(select(MspTenure))).scalars().first()
        assert tenure is not None
        tenure.until_at = APRIL
        db.add(MspTenure(msp_id=world.msp.id, distributor_id=other.id, from_at=APRIL, until_at=None))
    world.clock.now = APRIL + 2 * DAY
    await world.beat(machine, (3, 0, 0), [change(2, APRIL - DAY, (8, 0, 0)), change(3, APRIL - HOUR, (3, 0, 0))])
    world.clock.now = MAY + GRACE
    await world.close()
    found = [report for report in await world.reports() if report.distributor_id == world.distributor.id]
    document = json.loads(found[-1].document or b"")
    assert (len(found), document["lines"], document["corrections"][0]["quantities"]["server"]) == (2, [], 5)


# --- voids -----------------------------------------------------------------------------------------------------


async def mistaken_peak(world: World) -> tuple[Machine, datetime]:
    machine = await world.running((3, 0, 0))
    at = world.clock.advance(days=1)
    await world.beat(machine, (90, 0, 0))
    world.clock.advance(hours=1)
    await world.beat(machine, (3, 0, 0))
    return machine, at


async def test_a_peak_of_one_hour_by_mistake_stands_unless_it_is_voided(world: World) -> None:
    await mistaken_peak(world)
    march = await close_at(world, APRIL)
    assert march["lines"][0]["charged"]["server"] == 90


async def test_a_void_granted_before_the_close_shows_both_figures(world: World) -> None:
    machine, at = await mistaken_peak(world)
    asked = reports.Stretch(machine.site_id, at, at + HOUR, "immagine distribuita per errore")
    async with world.sessions.begin() as db:
        request = await reports.ask_void(db, principal(world), asked, world.clock())
        await reports.decide_void(
            db, world.distributor.id, request.id, granted=True, reason="ok", actor="anna", now=world.clock()
        )
    line = (await close_at(world, APRIL))["lines"][0]
    assert (line["server"]["peak"], line["charged"]["server"], line["not_charged"][0]["actor"]) == (90, 3, "anna")
    assert "voided" in line["flags"]


async def test_a_void_is_refused_after_the_close_and_decided_once(world: World) -> None:
    machine, at = await mistaken_peak(world)
    asked = reports.Stretch(machine.site_id, at, at + HOUR, "errore")
    async with world.sessions.begin() as db:
        request = await reports.ask_void(db, principal(world), asked, world.clock())
    decision: dict[str, Any] = {"granted": False, "reason": "no", "actor": "anna", "now": world.clock()}
    async with world.sessions.begin() as db:
        await reports.decide_void(db, world.distributor.id, request.id, **decision)
    async with world.sessions.begin() as db:
        with pytest.raises(ClaimDecided):
            await reports.decide_void(db, world.distributor.id, request.id, **decision)
    assert (await close_at(world, APRIL))["lines"][0]["charged"]["server"] == 90
    async with world.sessions.begin() as db:
        with pytest.raises(PeriodClosed):
            await reports.ask_void(db, principal(world), asked, world.clock())


async def test_a_stretch_without_length_or_reason_is_refused(world: World) -> None:
    machine, at = await mistaken_peak(world)
    for bad in (reports.Stretch(machine.site_id, at, at, "x"), reports.Stretch(machine.site_id, at, at + HOUR, " ")):
        async with world.sessions.begin() as db:
            with pytest.raises(Invalid):
                await reports.ask_void(db, principal(world), bad, world.clock())


# --- disputes --------------------------------------------------------------------------------------------------


async def disputed(world: World) -> tuple[Machine, Dispute]:
    machine, _ = await mistaken_peak(world)
    await close_at(world, APRIL)
    world.clock.advance(days=2)
    [report] = await world.reports()
    async with world.sessions.begin() as db:
        row = await reports.dispute(
            db, principal(world), report.id, machine.site_id, (3, 0, 0), reason="errore", now=world.clock()
        )
    return machine, row


async def decide(world: World, row: Dispute, by: reports.By, upheld: bool) -> None:
    async with world.sessions.begin() as db:
        await reports.decide_dispute(
            db,
            row,
            by,
            upheld=upheld,
            reason="così",
            actor=by,
            now=world.clock(),
        )


async def test_an_upheld_dispute_becomes_an_adjustment_with_reason_and_actor(world: World) -> None:
    machine, row = await disputed(world)
    await decide(world, row, "distributor", True)
    [line] = (await close_at(world, MAY))["corrections"]
    assert (line["origin"], line["quantities"]["server"], line["reason"], line["actor"]) == (
        "adjustment", -87, "così", "distributor",
    )  # fmt: skip
    assert await charged(world, machine, MARCH) == (3, 0, 0)
    assert (await close_at(world, JUNE))["corrections"] == []


async def test_a_refused_dispute_goes_to_the_vendor_and_undecided_the_figure_stands(world: World) -> None:
    machine, row = await disputed(world)
    with pytest.raises(NotYetForVendor):
        await decide(world, row, "vendor", True)
    await decide(world, row, "distributor", False)
    async with world.sessions() as db:
        answers = await reports.decisions(db, row)
    assert reports.standing(row, answers, world.clock()) == "refused"
    world.clock.advance(days=31)
    assert reports.standing(row, answers, world.clock()) == "stands"
    with pytest.raises(DisputeTooLate):
        await decide(world, row, "vendor", True)
    assert await charged(world, machine, MARCH) == (90, 0, 0)


async def test_a_line_is_disputed_once_and_within_ten_days(world: World) -> None:
    machine, _ = await disputed(world)
    [report] = await world.reports()
    arguments = (principal(world), report.id, machine.site_id, (1, 0, 0))
    async with world.sessions.begin() as db:
        with pytest.raises(AlreadyDisputed):
            await reports.dispute(db, *arguments, reason="x", now=world.clock())
        with pytest.raises(DisputeTooLate):
            await reports.dispute(db, *arguments, reason="x", now=world.clock() + 10 * DAY)


# --- excuses and estimates -------------------------------------------------------------------------------------


async def test_an_excused_site_is_shown_and_not_charged(world: World) -> None:
    machine = await silent_over_the_close(world)
    stretch = reports.Stretch(machine.site_id, MARCH, APRIL, "laboratorio interno")
    async with world.sessions.begin() as db:
        await reports.excuse(db, stretch, actor="anna", now=world.clock())
    line = (await close_at(world, APRIL))["lines"][0]
    assert (line["server"]["peak"], line["charged"]["total"], "excused" in line["flags"]) == (3, 0, True)


async def test_an_excuse_set_after_the_close_becomes_a_correction_and_its_withdrawal_another(world: World) -> None:
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    stretch = reports.Stretch(machine.site_id, MARCH, APRIL, "prova")
    async with world.sessions.begin() as db:
        excuse_id = (await reports.excuse(db, stretch, actor="anna", now=world.clock())).id
    [line] = (await close_at(world, MAY))["corrections"]
    assert (line["origin"], line["quantities"]["server"], line["reason"]) == ("excused", -3, "prova")
    async with world.sessions.begin() as db:
        await reports.withdraw_excuse(
            db, machine.site_id, excuse_id, reason="era in produzione", actor="anna", now=world.clock()
        )
    await close_at(world, JUNE)
    assert await charged(world, machine, MARCH) == (3, 0, 0)


async def test_no_data_all_month_charges_nothing_by_default(world: World) -> None:
    await silent_over_the_close(world)
    await close_at(world, APRIL)
    line = (await close_at(world, MAY))["lines"][0]
    assert (line["server"], line["charged"]["total"], line["flags"][0]) == (None, 0, "no_data")


async def test_last_known_is_marked_an_estimate_and_replaced_by_a_signed_correction(world: World) -> None:
    await last_known(world)
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    line = (await close_at(world, MAY))["lines"][0]
    assert (line["server"], line["charged"]["server"], "estimate" in line["flags"]) == (None, 3, True)
    world.clock.now = MAY + 2 * DAY
    await world.beat(machine, (5, 0, 0), [change(2, APRIL + DAY, (1, 0, 0)), change(3, MAY + DAY, (5, 0, 0))])
    found = (await close_at(world, JUNE))["corrections"]
    # April began with the 3 carried in, so its peak is 3 after all; had it been less, the line would say so.
    assert (found, await charged(world, machine, APRIL)) == ([], (3, 0, 0))


async def test_an_estimate_that_was_wrong_is_replaced(world: World) -> None:
    await last_known(world)
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    await close_at(world, MAY)
    world.clock.now = MAY + 2 * DAY
    await world.beat(machine, (1, 0, 0), [change(2, APRIL - DAY, (1, 0, 0))])
    [line] = (await close_at(world, JUNE))["corrections"]
    assert (line["origin"], line["month"], line["quantities"]["server"]) == ("estimate_replaced", "2026-04", -2)
    assert await charged(world, machine, APRIL) == (1, 0, 0)


async def test_an_estimate_never_adds_a_machine_that_was_replaced_to_the_one_that_came_after(world: World) -> None:
    await last_known(world)
    old = await world.running((10, 0, 0))
    async with world.sessions.begin() as db:
        await orders.release(db, old.site_id, actor="anna", now=world.clock())
    new = Machine(old.license_key)
    await world.activate(new)
    await world.beat(new, (3, 0, 0))
    await close_at(world, APRIL)
    line = (await close_at(world, MAY))["lines"][0]
    assert (line["charged"]["server"], line["flags"]) == (3, ["no_data", "estimate"])


# --- decided with bounds ---------------------------------------------------------------------------------------


async def test_late_usage_is_approved_only_after_the_35_days_and_each_piece_once(world: World) -> None:
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    arguments = (world.distributor.id, machine.site_id, MARCH)
    said: dict[str, Any] = {"reason": "r", "actor": "anna"}
    world.clock.now = APRIL + 2 * DAY
    await world.beat(machine, (3, 0, 0), [change(2, APRIL - DAY, (8, 0, 0)), change(3, APRIL - HOUR, (3, 0, 0))])
    async with world.sessions.begin() as db:
        with pytest.raises(LateUsageOpen):
            await reports.approve_late(db, *arguments, **said, now=world.clock())
    for expected in ((0, 0, 0), (0, 0, 0)):
        async with world.sessions.begin() as db:
            assert await reports.approve_late(db, *arguments, **said, now=APRIL + 36 * DAY) == expected
    await close_at(world, MAY)
    assert await charged(world, machine, MARCH) == (8, 0, 0)


async def test_an_adjustment_takes_back_no_more_than_was_charged(world: World) -> None:
    machine = await silent_over_the_close(world)
    await close_at(world, APRIL)
    async with world.sessions.begin() as db:
        with pytest.raises(Invalid):
            await reports.adjust(
                db, world.distributor.id, machine.site_id, MARCH, (-4, 0, 0), reason="r", actor="a", now=APRIL
            )


async def test_nothing_is_excused_once_its_period_is_settled(world: World) -> None:
    machine = await silent_over_the_close(world)
    async with world.sessions.begin() as db:
        with pytest.raises(PeriodSettled):
            stretch = reports.Stretch(machine.site_id, MARCH, APRIL, "prova")
            await reports.excuse(db, stretch, actor="anna", now=APRIL + 35 * DAY)
