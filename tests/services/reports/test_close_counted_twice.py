"""Closing a month: once, in order, from what was known at the cut-off, with the same bytes whenever it is done."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from report_worker import jobs
from report_worker.jobs import Tools
from services import partners, reports
from services.delivery import Event
from services.partners import PartnerKind, Principal
from services.reports.tables import Charge, ClosedPeriod, Report, ReportAlarm, ReportFile, ReportLine
from services.usage.tables import ContactGap
from tests.support.clock import START
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.machine import Machine, change
from tests.support.world import World

APRIL = datetime(2026, 3, 31, 22, tzinfo=UTC)
CUT_OFF = APRIL + timedelta(hours=6)
HOUR = timedelta(hours=1)


async def documents(world: World) -> list[dict[str, Any]]:
    return [json.loads(report.document or b"null") for report in await world.reports()]


async def files(world: World) -> list[tuple[str, bytes]]:
    async with world.sessions() as db:
        rows = await db.execute(
            select(Report.number, ReportFile.form, ReportFile.content)
            .join(Report, Report.id == ReportFile.report_id)
            .order_by(Report.number, ReportFile.form)
        )
        return [(f"{number}.{form}", content) for number, form, content in rows]


async def lived(world: World, deployed: int = 3) -> Machine:
    """A machine that spoke once an hour through the last day of March and the first of April."""
    machine = await world.running((deployed, 0, 0))
    world.clock.now = APRIL - HOUR
    await world.beat(machine, (deployed, 0, 0))
    world.clock.now = APRIL + HOUR
    await world.beat(machine, (deployed, 0, 0))
    return machine


# --- what was known at the cut-off ---------------------------------------------------------------------------


async def test_a_report_closed_late_has_the_bytes_it_would_have_had_in_time(world: World, owner: AsyncEngine) -> None:
    machine = await world.running((3, 0, 0))
    world.clock.now = APRIL - 10 * HOUR
    await world.beat(machine, (4, 0, 0))
    world.clock.now = CUT_OFF
    await world.close()
    in_time = await files(world)
    async with owner.begin() as db:  # as if no worker had run
        for table in (ReportFile, Charge, Report, ReportLine, ClosedPeriod):
            await db.execute(delete(table))
        await db.execute(text("delete from report_counters"))
    world.clock.now = CUT_OFF + timedelta(days=3)
    await world.beat(machine, (9, 0, 0), [change(3, APRIL - HOUR, (9, 0, 0))])
    await world.close()
    assert await files(world) == in_time
    [document] = await documents(world)
    assert document["lines"][0]["gaps"] == [["2026-03-31T12:00:00Z", "2026-03-31T22:00:00Z"]]


async def test_an_ordinary_heartbeat_leaves_no_trace_but_in_its_line(world: World) -> None:
    machine = await world.running((3, 0, 0))
    for _ in range(3):
        world.clock.advance(minutes=15)
        await world.beat(machine, (3, 0, 0))
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(ContactGap)) == 0


async def test_over_the_wire_the_heartbeat_that_ends_a_silence_records_it_though_nothing_is_new(
    world: World, client: httpx.AsyncClient
) -> None:
    machine = await world.running((3, 0, 0))
    known = []
    for minutes in (15, 45):
        now = world.clock.advance(minutes=minutes)
        answer = await client.post("/v1/heartbeats", json=machine.body(now, (3, 0, 0)), headers=machine.headers)
        machine.learn(answer.json())
        async with world.sessions() as db:
            known.append(list(await db.scalars(select(ContactGap.known_until_at))))
    assert known == [[], [START + timedelta(minutes=15)]]


async def test_a_burst_over_the_cut_off_counts_as_far_as_it_had_come(world: World) -> None:
    machine = await world.running((3, 0, 0))
    world.clock.now = CUT_OFF - timedelta(seconds=1)
    first, second = APRIL - 5 * HOUR, APRIL - 2 * HOUR
    await world.beat(machine, (8, 0, 0), [change(2, first, (7, 0, 0))], more=True)
    world.clock.now = CUT_OFF + timedelta(seconds=1)
    await world.beat(machine, (8, 0, 0), [change(3, second, (8, 0, 0))])
    await world.close()
    [document] = await documents(world)
    assert document["lines"][0]["server"]["peak"] == 7
    assert document["lines"][0]["gaps"] == [["2026-03-31T17:00:00Z", "2026-03-31T22:00:00Z"]]


# --- once, in order --------------------------------------------------------------------------------------------


async def test_two_months_missed_are_closed_in_order_with_their_own_bounds(world: World) -> None:
    await lived(world)
    world.clock.now = datetime(2026, 5, 20, tzinfo=UTC)
    await world.close()
    found = await documents(world)
    assert [(one["number"], one["period"]["month"]) for one in found] == [
        ("2026-00001", "2026-03"), ("2026-00002", "2026-04"),
    ]  # fmt: skip
    assert found[0]["period"]["ends_at"] == found[1]["period"]["starts_at"] == "2026-03-31T22:00:00Z"
    assert found[1]["issued_at"] == "2026-05-01T04:00:00Z"


async def test_two_workers_at_once_make_one_report_and_skip_no_number(world: World) -> None:
    await world.another_msp("Baltica")
    await world.key("theirs", (await world.another_msp("Cimbrica")))
    await lived(world)
    world.clock.now = CUT_OFF
    tools = Tools(world.sessions, world.clock)
    await asyncio.gather(*(jobs.close_periods({"tools": tools}) for _ in range(2)))
    await world.close()
    found = await world.reports()
    assert [(one.number, one.msp_name, one.issued_at) for one in found] == [
        ("2026-00001", "Adriatica IT", CUT_OFF), ("2026-00002", "Cimbrica", CUT_OFF),
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["close", "write_next", "issue"])
async def test_a_crash_before_the_commit_of_a_step_ends_with_one_report(world: World, step: str) -> None:
    await lived(world)
    world.clock.now = CUT_OFF
    steps: list[tuple[str, Callable[[Any], Any]]] = [
        ("close", lambda db: reports.close(db, world.distributor.id, CUT_OFF)),
        ("write_next", lambda db: reports.write_next(db, world.distributor.id)),
        ("issue", _issue),
    ]
    for name, act in steps:
        if name == step:
            async with world.sessions() as db:
                await act(db)  # the work is done, and the commit never comes
                await db.rollback()
            break
        async with world.sessions.begin() as db:
            await act(db)
    await world.close()
    [report] = await world.reports()
    assert (report.number, report.issued_at) == ("2026-00001", CUT_OFF)
    assert [name for name, _ in await files(world)] == [
        f"2026-00001.{form}" for form in ("csv", "json", "pdf.en", "pdf.it", "xlsx")
    ]


async def _issue(db: Any) -> None:
    waiting = await reports.next_unissued(db)
    assert waiting is not None
    await reports.issue(db, waiting.report_id, {"json": waiting.document})


async def test_a_zone_without_a_midnight_on_the_first_closes_at_the_first_instant_of_that_day(world: World) -> None:
    # Asuncion: on 1 October 2017 the clock went from 00:00 to 01:00.
    world.clock.now = datetime(2017, 9, 10, tzinfo=UTC)
    distributor = await world.another_distributor("Paraguay", "America/Asuncion")
    msp = await world.another_msp("Asunción", distributor)
    await world.key("sitio", msp)
    world.clock.now = datetime(2017, 10, 1, 12, tzinfo=UTC)
    await world.close()
    [document] = [one for one in await documents(world) if one["msp"] == "Asunción"]
    assert document["period"]["ends_at"] == "2017-10-01T04:00:00Z"
    assert document["period"]["ends_at_local"] == "2017-10-01T01:00:00-03:00"


# --- counted twice ---------------------------------------------------------------------------------------------


async def test_a_difference_between_the_two_counts_holds_that_report_alone_and_raises_an_alarm(
    world: World, owner: AsyncEngine
) -> None:
    await world.key("theirs", await world.another_msp("Baltica"))
    await lived(world)
    world.clock.now = CUT_OFF
    async with world.sessions.begin() as db:
        assert await reports.close(db, world.distributor.id, CUT_OFF)
    async with owner.begin() as db:
        await db.execute(update(ReportLine).values(server=99))  # a mistake in the first computation
    await world.close()
    held, issued = sorted(await world.reports(), key=lambda report: report.msp_name)
    assert (held.number, held.issued_at, issued.number) == (None, None, "2026-00001")
    async with world.sessions() as db:
        [alarm] = await db.scalars(select(ReportAlarm))
        kinds = list(await db.scalars(select(Event.kind).where(Event.partner_id == world.distributor.id)))
    [difference] = alarm.difference.values()
    assert (difference["server"][0][0], difference["server"][1][0]) == (99, 3)
    assert "report.held" in kinds
    [read] = await followed(world, None)
    async with world.sessions.begin() as db:
        assert await reports.take_again(db, held.id)
    await world.close()
    held, _ = sorted(await world.reports(), key=lambda report: report.msp_name)
    assert (held.number, held.issued_at) == ("2026-00002", CUT_OFF)
    # It was announced before the other one and is dated as it is; who has read on finds it all the same.
    assert await followed(world, read) == [held.id]


async def followed(world: World, after: UUID | None) -> list[UUID]:
    """The next page of issued reports, as a distributor's program reads on."""
    async with world.sessions() as db:
        reader = Principal(world.distributor.id, world.distributor.id, kind=PartnerKind.DISTRIBUTOR)
        return [one.report_id for one in await reports.issued(db, reader, after=after, limit=10)]


async def test_a_report_that_is_committed_after_another_comes_after_it_for_whoever_reads_on(world: World) -> None:
    await world.key("theirs", await world.another_msp("Baltica"))
    await world.key("ours")
    async with world.sessions.begin() as db:
        assert await reports.close(db, world.distributor.id, CUT_OFF)
    for _ in range(2):
        async with world.sessions.begin() as db:
            await reports.write_next(db, world.distributor.id)
    first, second = [report.id for report in await world.reports()]

    async def issue(report_id: UUID) -> None:
        async with world.sessions.begin() as db:
            await reports.issue(db, report_id, {})

    async with world.sessions.begin() as slow:
        await reports.issue(slow, second, {})
        quick = asyncio.create_task(issue(first))
        await somebody_waits_for_a_lock(world.sessions)
        assert await followed(world, None) == []
    await quick
    assert await followed(world, None) == [second, first]
    assert await followed(world, second) == [first]


async def test_the_lines_of_a_report_that_is_not_held_cannot_be_taken_away(world: World) -> None:
    await lived(world)
    world.clock.now = CUT_OFF
    await world.close()
    async with world.sessions.begin() as db:
        await db.execute(delete(ReportLine))
        assert await db.scalar(select(func.count()).select_from(ReportLine)) == 1


async def test_the_explanation_of_a_close_shows_both_computations_and_changes_nothing(
    world: World, owner: AsyncEngine
) -> None:
    await lived(world)
    world.clock.now = CUT_OFF
    async with world.sessions.begin() as db:
        await reports.close(db, world.distributor.id, CUT_OFF)
    async with owner.begin() as db:
        await db.execute(update(ReportLine).values(workstation=5))
    async with world.sessions() as db:
        [one] = await reports.explain(db, world.distributor.id, "2026-03")
    assert (one.msp, one.sites) == ("Adriatica IT", 1)
    [difference] = one.differences.values()
    assert difference["workstation"][0][0] == 5
    assert [report.held for report in await world.reports()] == [None]


# --- permutation -----------------------------------------------------------------------------------------------


async def test_duplicated_and_reordered_usage_gives_identical_bytes(world: World) -> None:
    changes = [change(n, START + n * HOUR, (n % 5, n, 1)) for n in range(1, 20)]
    lines: list[dict[str, Any]] = []
    for batches in ([changes], [changes[:7], changes[3:12], changes[:9], changes[10:]]):
        world.clock.now = START
        machine = await world.activated(f"site {len(lines)}")
        world.clock.now = START + 30 * HOUR
        for batch in batches:
            await world.beat(machine, _deployed(batch), batch, more=batch is not batches[-1])
        async with world.sessions() as db:
            lines.append((await world.provisional(db))["lines"][-1])
    assert _without_identity(lines[0]) == _without_identity(lines[1])


def _deployed(batch: list[dict[str, Any]]) -> tuple[int, int, int]:
    return batch[-1]["server"], batch[-1]["workstation"], batch[-1]["server_plus"]


def _without_identity(line: dict[str, Any]) -> str:
    """Its text without what names the machine."""
    own = [line["site_id"], line["key"], line["site"], line["counted"][0]["installation_id"]]
    own += [maker["receipt"] for name in ("server", "workstation", "server_plus") for maker in line[name]["made_by"]]
    shown = json.dumps(line)
    for text_ in own:
        shown = shown.replace(text_, "")
    return shown


async def test_policy_s_grace_moves_the_cut_off(world: World) -> None:
    await world.key()
    async with world.sessions.begin() as db:
        await partners.set_policy(db, "distributor", world.distributor.id, close_grace_seconds=3600)
    world.clock.now = APRIL + HOUR
    await world.close()
    [report] = await world.reports()
    assert report.issued_at == APRIL + HOUR
