"""Closing a month: what is due, exactly once, in order, numbered without a gap, the same bytes at any time."""

import asyncio
import contextlib
import hashlib
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from report_worker import jobs
from report_worker.jobs import Tools
from services import reports
from services.reports.tables import ClosedPeriod, Report, ReportFile, ReportLine
from tests.support.machine import change
from tests.support.world import World

MARCH_ENDS = datetime(2026, 3, 31, 22, 0, tzinfo=UTC)
APRIL_ENDS = datetime(2026, 4, 30, 22, 0, tzinfo=UTC)
GRACE = timedelta(hours=6)
HOUR = timedelta(hours=1)


async def closed_months(world: World) -> list[str]:
    async with world.sessions() as db:
        return list(await db.scalars(select(ClosedPeriod.month).order_by(ClosedPeriod.starts_at)))


async def documents(world: World) -> dict[str, Any]:
    """The documents by number."""
    return {report.number or "": json.loads(report.document or b"{}") for report in await world.reports()}


async def files(world: World) -> dict[tuple[str, str], bytes]:
    async with world.sessions() as db:
        rows = await db.execute(select(Report.number, ReportFile.form, ReportFile.content).join(ReportFile))
        return {(number or "", form): content for number, form, content in rows}


async def month_passes(world: World) -> None:
    """Two sites run through March and the first days of April."""
    one, two = await world.running((3, 140, 0), "Zattere"), await world.running((1, 0, 0), "Alloro")
    world.clock.now = MARCH_ENDS - HOUR
    await world.beat(one, (3, 150, 0), [change(2, world.clock() - HOUR, (3, 150, 0))])
    await world.beat(two, (1, 0, 0))
    world.clock.now = MARCH_ENDS + HOUR
    await world.beat(one, (3, 90, 0))
    await world.beat(two, (1, 0, 0))


async def test_a_month_is_due_when_its_grace_has_ended_and_not_a_microsecond_before(world: World) -> None:
    await world.key()
    async with world.sessions() as db:
        cut_off = MARCH_ENDS + GRACE
        assert await reports.next_close_at(db) == cut_off
        assert await reports.due(db, cut_off - timedelta(microseconds=1)) == []
        assert await reports.due(db, cut_off) == [world.distributor.id]
        assert await reports.close(db, world.distributor.id, cut_off - timedelta(microseconds=1)) is None


async def test_a_closed_month_holds_the_peaks_of_every_site_and_the_forms(world: World) -> None:
    await month_passes(world)
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    [report] = await world.reports()
    assert (report.number, report.issued_at, report.msp_name) == ("2026-00001", MARCH_ENDS + GRACE, "Adriatica IT")
    document = json.loads(report.document or b"")
    assert document["status"] == "issued"
    assert [(line["site"], line["workstation"]["peak"]) for line in document["lines"]] == [
        ("Alloro", 0),
        ("Zattere", 150),
    ]
    assert document["totals"]["charged"] == 1 + 3 + 150
    made = await files(world)
    assert made["2026-00001", "json"] == report.document
    assert hashlib.sha256(report.document or b"").digest() == report.document_sha256
    assert b"Zattere" in made["2026-00001", "csv"]


async def test_closing_again_changes_nothing(world: World) -> None:
    await month_passes(world)
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    before = await files(world)
    world.clock.advance(hours=3)
    await world.close()
    assert await files(world) == before
    assert len(await world.reports()) == 1


async def test_a_late_heartbeat_never_changes_an_issued_report(world: World) -> None:
    machine = await world.running((3, 0, 0))
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    before = await files(world)
    await world.beat(machine, (99, 0, 0), [change(2, MARCH_ENDS - HOUR, (99, 0, 0))])
    await world.close()
    assert await files(world) == before


async def test_workers_down_for_two_months_close_them_in_order(world: World) -> None:
    await month_passes(world)
    world.clock.now = datetime(2026, 6, 15, tzinfo=UTC)
    await world.close()
    assert await closed_months(world) == ["2026-03", "2026-04", "2026-05"]
    made = await documents(world)
    assert [(number, one["period"]["month"]) for number, one in made.items()] == [
        ("2026-00001", "2026-03"),
        ("2026-00002", "2026-04"),
        ("2026-00003", "2026-05"),
    ]
    assert made["2026-00001"]["issued_at"] == "2026-04-01T04:00:00Z"


async def test_periods_tile_time_also_when_the_distributor_s_zone_changes(world: World) -> None:
    await world.key()
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    async with world.sessions.begin() as db:
        await db.execute(text("update distributors set zone = 'Atlantic/Azores'"))
    world.clock.now = datetime(2026, 6, 15, tzinfo=UTC)
    await world.close()
    async with world.sessions() as db:
        periods = list(await db.scalars(select(ClosedPeriod).order_by(ClosedPeriod.starts_at)))
    assert all(one.ends_at == two.starts_at for one, two in itertools.pairwise(periods))
    assert periods[-1].ends_at == datetime(2026, 6, 1, tzinfo=UTC)


async def test_two_closes_of_one_month_at_once_make_one(world: World) -> None:
    await month_passes(world)
    world.clock.now = MARCH_ENDS + GRACE

    async def close() -> reports.Due | None:
        async with world.sessions.begin() as db:
            return await reports.close(db, world.distributor.id, world.clock())

    outcomes = await asyncio.gather(*(close() for _ in range(5)), return_exceptions=True)
    assert not [one for one in outcomes if isinstance(one, BaseException)]
    assert len([one for one in outcomes if one]) == 1
    assert await closed_months(world) == ["2026-03"]


async def test_several_workers_at_once_make_each_report_once_and_number_without_a_gap(world: World) -> None:
    for name in ("Baltica", "Carnica", "Dolomia"):
        await world.running((1, 0, 0), name, await world.another_msp(name))
    await month_passes(world)
    world.clock.now = APRIL_ENDS + GRACE
    await asyncio.gather(*(world.close() for _ in range(3)))
    made = await documents(world)
    assert list(made) == [f"2026-{number:05d}" for number in range(1, 9)]
    assert [(one["period"]["month"], one["msp"]) for one in made.values()] == [
        (month, msp) for month in ("2026-03", "2026-04") for msp in ("Adriatica IT", "Baltica", "Carnica", "Dolomia")
    ]
    assert len(await files(world)) == 8 * len(reports.MEDIA_TYPES)


async def test_each_distributor_has_its_own_months_and_numbers(world: World) -> None:
    tokyo = await world.another_distributor("Nihon", "Asia/Tokyo")
    msp = await world.another_msp("Edo", tokyo)
    await world.running((1, 0, 0), "a")
    await world.running((1, 0, 0), "b", msp)
    world.clock.now = datetime(2026, 3, 31, 21, 0, tzinfo=UTC)  # Tokyo's month ended at 15:00 UTC
    await world.close()
    [report] = await world.reports()
    assert (report.distributor_id, report.number) == (tokyo.id, "2026-00001")
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    assert [report.number for report in await world.reports()] == ["2026-00001", "2026-00001"]


async def test_numbers_begin_anew_with_the_year_of_issue(world: World) -> None:
    await world.running((1, 0, 0))
    world.clock.now = datetime(2027, 2, 1, 12, tzinfo=UTC)
    await world.close()
    numbers = [report.number for report in await world.reports()]
    assert numbers == [*(f"2026-{n:05d}" for n in range(1, 10)), "2027-00001", "2027-00002"]


async def test_a_never_activated_key_has_no_line_but_its_msp_gets_a_report(world: World) -> None:
    await world.key()
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    [document] = (await documents(world)).values()
    assert document["lines"] == []
    assert document["totals"]["charged"] == 0


async def test_an_msp_without_keys_gets_no_report(world: World) -> None:
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    assert await closed_months(world) == ["2026-03"]
    assert await world.reports() == []


async def test_a_key_activated_after_the_month_has_no_line_in_it(world: World) -> None:
    await world.running((1, 0, 0), "early")
    world.clock.now = MARCH_ENDS
    await world.running((1, 0, 0), "late")
    world.clock.now = APRIL_ENDS + GRACE
    await world.close()
    march, april = (await documents(world)).values()
    assert [line["site"] for line in march["lines"]] == ["early"]
    assert [(line["site"], line["flags"]) for line in april["lines"]] == [("early", ["no_data"]), ("late", [])]


async def test_a_site_that_was_disabled_and_came_back_is_flagged_and_charged(world: World) -> None:
    await world.policy(disable_after_seconds=86_400)
    machine = await world.running((4, 0, 0))
    await world.pass_time(days=2)
    await world.sweep()
    await world.beat(machine, (4, 0, 0))
    world.clock.now = MARCH_ENDS + GRACE
    await world.close()
    [document] = (await documents(world)).values()
    [line] = document["lines"]
    assert (line["state"], line["flags"], line["server"]["peak"]) == ("active", ["new", "disabled"], 4)


async def test_the_state_on_a_report_is_that_at_the_month_s_end(world: World) -> None:
    await world.policy(disable_after_seconds=86_400)
    machine = await world.running((4, 0, 0))
    world.clock.now = MARCH_ENDS - timedelta(days=2)
    await world.beat(machine, (4, 0, 0))
    world.clock.now = MARCH_ENDS
    await world.sweep()
    world.clock.advance(hours=1)
    await world.beat(machine, (4, 0, 0))
    world.clock.now = APRIL_ENDS + GRACE
    await world.close()
    march, april = (await documents(world)).values()
    assert [march["lines"][0]["state"], april["lines"][0]["state"]] == ["disabled", "active"]


# --- crashes: the work done so far is the work that is not done again ---------------------------------------------


class Crash(Exception):
    """The worker is gone."""


Step = Callable[[World], Awaitable[None]]


async def _close_only(world: World) -> None:
    async with world.sessions.begin() as db:
        await reports.close(db, world.distributor.id, world.clock())


async def _write_one(world: World) -> None:
    await _close_only(world)
    async with world.sessions.begin() as db:
        await reports.write_next(db, world.distributor.id)


async def _issue_one(world: World) -> None:
    await _write_one(world)
    async with world.sessions() as db:
        written = await reports.next_unissued(db)
    assert written is not None
    async with world.sessions.begin() as db:
        await reports.issue(db, written.report_id, reports.render(written.document))


async def _crash_in_close(world: World) -> None:
    async with world.sessions.begin() as db:
        await reports.close(db, world.distributor.id, world.clock())
        raise Crash


async def _crash_in_write(world: World) -> None:
    await _close_only(world)
    async with world.sessions.begin() as db:
        await reports.write_next(db, world.distributor.id)
        raise Crash


async def _crash_in_issue(world: World) -> None:
    await _write_one(world)
    async with world.sessions() as db:
        written = await reports.next_unissued(db)
    assert written is not None
    async with world.sessions.begin() as db:
        await reports.issue(db, written.report_id, reports.render(written.document))
        raise Crash


@pytest.mark.parametrize(
    "until_the_crash", [_crash_in_close, _close_only, _crash_in_write, _write_one, _crash_in_issue, _issue_one]
)
async def test_after_a_crash_at_any_step_the_month_ends_with_exactly_one_report_each(
    world: World, until_the_crash: Step
) -> None:
    await world.running((1, 0, 0), "b", await world.another_msp("Baltica"))
    await month_passes(world)
    world.clock.now = MARCH_ENDS + GRACE
    with contextlib.suppress(Crash):
        await until_the_crash(world)
    world.clock.advance(days=3)
    await world.close()
    made = await documents(world)
    assert [(number, one["msp"]) for number, one in made.items()] == [
        ("2026-00001", "Adriatica IT"),
        ("2026-00002", "Baltica"),
    ]
    assert all(report.issued_at == MARCH_ENDS + GRACE for report in await world.reports())
    assert len(await files(world)) == 2 * len(reports.MEDIA_TYPES)
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(ReportLine)) == 3


async def test_a_report_that_cannot_be_rendered_holds_up_no_other(world: World) -> None:
    await world.running((1, 0, 0), "b", await world.another_msp("Baltica"))
    await month_passes(world)
    world.clock.now = MARCH_ENDS + GRACE
    await _write_one(world)
    async with world.sessions.begin() as db:
        [report] = await db.scalars(select(Report).where(Report.document.is_not(None)))
        whole, report.document = report.document, b"{}"
    await world.close()
    assert [(one.msp_name, one.issued_at is not None) for one in await world.reports()] == [
        ("Adriatica IT", False),
        ("Baltica", True),
    ]
    async with world.sessions.begin() as db:
        (await db.get_one(Report, report.id)).document = whole
    await world.close()
    assert all(one.issued_at for one in await world.reports())


# --- the same facts, the same bytes ------------------------------------------------------------------------------


async def _documents_if_closed_at(world: World, closing: datetime) -> bytes:
    """March's document if the workers run first at an instant; undone afterwards."""
    world.clock.now = closing
    async with world.sessions() as db:
        await reports.close(db, world.distributor.id, closing)
        written = await reports.write_next(db, world.distributor.id)
        assert written is not None
        report_id = written.report_id
        document = (await db.get_one(Report, report_id)).document
        await db.rollback()
    assert document
    return document


async def test_a_month_closed_late_has_the_same_bytes(world: World) -> None:
    await month_passes(world)
    in_time = await _documents_if_closed_at(world, MARCH_ENDS + GRACE)
    assert await _documents_if_closed_at(world, MARCH_ENDS + timedelta(days=80)) == in_time


async def test_a_month_closed_late_has_the_same_bytes_although_a_silent_site_came_back_since(world: World) -> None:
    machine = await world.running((4, 0, 0))
    world.clock.now = MARCH_ENDS - timedelta(days=9)
    await world.beat(machine, (4, 0, 0))
    in_time = await _documents_if_closed_at(world, MARCH_ENDS + GRACE)
    world.clock.now = MARCH_ENDS + timedelta(days=5)
    await world.beat(machine, (9, 0, 0), [change(2, MARCH_ENDS - timedelta(days=3), (9, 0, 0))])
    late = await _documents_if_closed_at(world, MARCH_ENDS + timedelta(days=6))
    assert json.loads(late)["lines"] == json.loads(in_time)["lines"]


async def test_a_month_closed_late_has_the_same_bytes_although_a_site_that_never_spoke_does_since(
    world: World,
) -> None:
    machine = await world.activated()
    in_time = await _documents_if_closed_at(world, MARCH_ENDS + GRACE)
    world.clock.now = MARCH_ENDS + timedelta(days=5)
    await world.beat(machine, (9, 0, 0))
    late = await _documents_if_closed_at(world, MARCH_ENDS + timedelta(days=6))
    assert json.loads(late)["lines"] == json.loads(in_time)["lines"]


async def test_jobs_are_safe_to_run_when_nothing_is_due(world: World) -> None:
    tools = {"tools": Tools(world.sessions, world.clock)}
    await jobs.close_periods(tools)
    await jobs.sweep(tools)
    assert await world.reports() == []
