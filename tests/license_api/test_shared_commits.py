"""Heartbeats that arrive together share a commit, and none of them suffers from another."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from license_api.deps import Service
from license_api.idle_connection import IdleConnection
from license_api.shared_commits import Lane, SharedCommits, Waiting
from services.clock import system_clock
from services.errors import Unauthenticated, Unavailable
from services.sites import Answer, Echo, LineBroken
from services.usage import Counts, Line
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.machine import Machine
from tests.support.month_end import APRIL
from tests.support.world import World


@pytest.fixture
def commits(app: FastAPI) -> SharedCommits:
    service: Service = app.state.service
    return service.heartbeats


async def test_two_of_one_installation_in_the_queue_are_taken_in_two_batches(
    commits: SharedCommits, world: World
) -> None:
    one, two = await world.running((1, 0, 0), "one"), await world.running((1, 0, 0), "two")
    now = world.clock.advance(minutes=15)
    beats = [m.heartbeat(m.body(now, (n, 0, 0))) for n, m in enumerate((one, two, two, one), start=5)]
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(commits.take_in(beat) for beat in beats), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Answer, Answer, LineBroken, LineBroken]


async def test_a_batch_takes_half_of_those_who_wait_so_that_the_other_half_is_read_meanwhile() -> None:
    sizes: list[int] = []
    waiting = [
        Waiting(beat, None, lambda _outcome: None)
        for machine in (Machine("", site_id=uuid4()) for _ in range(600))
        for beat in [machine.heartbeat(machine.body(system_clock(), (1, 0, 0)))]
    ]

    done = asyncio.Event()

    async def commit(batch: list[Waiting]) -> None:
        sizes.append(len(batch))
        if len(sizes) == 1:
            for one in waiting[1:]:
                lane.add(one)
        elif not len(lane):
            done.set()

    lane = Lane(1_000, commit)
    lane.add(waiting[0])
    async with asyncio.timeout(10):
        await done.wait()
    assert sizes == [1, 128, 128, 128, 107, 54, 32, 22]


async def test_an_idle_heartbeat_after_the_turn_of_a_month_changes_four_columns_of_its_line_and_nothing_else(
    commits: SharedCommits, world: World
) -> None:
    world.clock.now = APRIL - timedelta(minutes=16)
    machine = await world.running((4, 9, 1))
    for _ in range(2):
        before = await _content(world)
        now = world.clock.advance(minutes=15)
        answer = await commits.take_in(machine.heartbeat(machine.body(now, (4, 9, 1))))
        machine.learn(answer)
        after = await _content(world)
        changed = {(table, column) for (table, column), value in after.items() if value != before[table, column]}
        assert changed == {("lines", name) for name in ("sequence", "nonce", "last_contact_at", "known_until_at")}
    assert now - timedelta(minutes=15) < APRIL < now


async def _content(world: World) -> dict[tuple[str, str], str]:
    """What stands in each column of each table."""
    async with world.sessions() as db:
        columns = await db.execute(
            text("select table_name, column_name from information_schema.columns where table_schema = 'public'")
        )
        found: dict[tuple[str, str], str] = {}
        for table, column in columns.all():
            told = text(f"select coalesce(string_agg({column}::text, '|' order by {column}::text), '') from {table}")
            found[table, column] = (await db.scalars(told)).one()
    return found


async def test_one_that_a_statement_cannot_store_fails_alone(commits: SharedCommits, world: World) -> None:
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(4)]
    now = world.clock.advance(minutes=15)
    beats = [machine.heartbeat(machine.body(now, (2, 0, 0))) for machine in machines]
    object.__setattr__(beats[2], "deployed", Counts(2**40, 0, 0))  # the wire lets no such number through
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(commits.take_in(beat) for beat in beats), return_exceptions=True)
    assert [isinstance(answer, Answer) for answer in answers] == [True, True, False, True]
    assert isinstance(answers[2], DBAPIError)


async def test_beyond_a_full_queue_the_answer_is_503_at_once_and_known_sites_are_not_crowded_out(
    commits: SharedCommits, world: World
) -> None:
    known = await world.running((1, 0, 0))
    now = world.clock.advance(minutes=15)
    strangers = [Machine("", site_id=world.msp.id) for _ in range(600)]
    beats = [stranger.heartbeat(stranger.body(now, (1, 0, 0))) for stranger in strangers]
    taking = [asyncio.create_task(commits.take_in(beat)) for beat in beats]
    await asyncio.sleep(0)
    refused = [task for task in taking if task.done()]
    assert refused
    assert all(isinstance(task.exception(), Unavailable) for task in refused)
    async with asyncio.timeout(10):
        assert isinstance(await commits.take_in(known.heartbeat(known.body(now, (1, 0, 0)))), Answer)
        answers = await asyncio.gather(*taking, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable, Unauthenticated}


async def test_a_full_queue_of_known_sites_sheds_at_once_and_recovers(
    monkeypatch: pytest.MonkeyPatch, world: World, engine: AsyncEngine
) -> None:
    monkeypatch.setattr("license_api.shared_commits._IDLE_MAX", 8)
    connection = IdleConnection(engine)
    commits = SharedCommits(world.sessions, connection, world.desk, world.clock)
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(12)]
    now = world.clock.advance(minutes=15)
    beats = [machine.heartbeat(machine.body(now, (1, 0, 0))) for machine in machines]
    async with world.sessions.begin() as db:
        await db.execute(select(Line).filter_by(site_id=machines[0].site_id).with_for_update())
        first = asyncio.create_task(commits.take_in(beats[0]))
        await somebody_waits_for_a_lock(world.sessions)
        others = [asyncio.create_task(commits.take_in(beat)) for beat in beats[1:]]
        await asyncio.sleep(0)
        shed = [task for task in others if task.done()]
        assert [type(task.exception()) for task in shed] == [Unavailable] * 3
        assert all(getattr(task.exception(), "retry_after", 0) for task in shed)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        again = [
            await commits.take_in(beat)
            for beat, got in zip(beats, answers, strict=True)
            if isinstance(got, Unavailable)
        ]
    assert [isinstance(answer, Answer) for answer in answers].count(True) == 9
    assert [answer.sequence for answer in again] == [2, 2, 2]
    await connection.close()


async def test_idle_heartbeats_are_hot_updates_and_insert_nothing(
    client: httpx.AsyncClient, world: World, owner: AsyncEngine
) -> None:
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(20)]
    updated_before, hot_before, rows_before = await _written(owner)
    rounds = 10
    for _ in range(rounds):
        now = world.clock.advance(minutes=15)
        bodies = [(machine, machine.body(now, (1, 0, 0))) for machine in machines]
        sending = [client.post("/v1/heartbeats", json=body, headers=machine.headers) for machine, body in bodies]
        for (machine, _), answer in zip(bodies, await asyncio.gather(*sending), strict=True):
            machine.learn(answer.json())
    updated, hot, rows = updated_before, hot_before, rows_before
    async with asyncio.timeout(20):  # a backend tells its counters about once a second
        while updated < updated_before + rounds * len(machines):
            await asyncio.sleep(0.1)
            updated, hot, rows = await _written(owner)
    assert hot - hot_before >= 0.99 * (updated - updated_before)
    assert rows == rows_before


async def _written(owner: AsyncEngine) -> tuple[int, int, int]:
    """Updates of lines, those that were HOT, and the rows that heartbeats may insert."""
    statement = text(
        "select n_tup_upd, n_tup_hot_upd, (select count(*) from usage_entries) + (select count(*) from contact_gaps) "
        "from pg_stat_user_tables where relname = 'lines'"
    )
    async with owner.connect() as connection:
        updated, hot, rows = (await connection.execute(statement)).one()
        return int(updated), int(hot), int(rows)


async def test_a_caller_that_left_does_not_stop_the_others(commits: SharedCommits, world: World) -> None:
    one, two = await world.running((1, 0, 0), "one"), await world.running((1, 0, 0), "two")
    now = world.clock.advance(minutes=15)
    leaving, staying = (asyncio.create_task(commits.take_in(m.heartbeat(m.body(now, (3, 0, 0))))) for m in (one, two))
    await asyncio.sleep(0)
    leaving.cancel()
    async with asyncio.timeout(10):
        assert (await staying).through == 2
        with pytest.raises(asyncio.CancelledError):
            await leaving


async def test_a_refusal_is_raised_to_the_one_whom_it_concerns(commits: SharedCommits, world: World) -> None:
    machine = await world.running((1, 0, 0))
    stranger = Machine("", site_id=machine.site_id)
    now = world.clock()
    with pytest.raises(Unauthenticated):
        await commits.take_in(stranger.heartbeat(stranger.body(now, (1, 0, 0))))
    assert isinstance(await commits.take_in(machine.heartbeat(machine.body(now, (1, 0, 0)))), Answer)


async def test_while_heartbeats_queue_the_answers_ask_for_longer_intervals_and_then_no_more(
    app: FastAPI, commits: SharedCommits, world: World
) -> None:
    service: Service = app.state.service
    first, last = await world.running((1, 0, 0), "first"), await world.running((1, 0, 0), "last")
    others = [await world.running((1, 0, 0), f"site {n}") for n in range(8)]
    now = world.clock.advance(minutes=15)
    beats = [first.heartbeat(first.body(now, (1, 0, 0)))]
    for _ in range(100):  # of machines that the service does not know, with echoes that it gave
        for machine in others:
            stranger = machine.image()
            stranger.installation_id = uuid4()
            sealed = Echo(0, 1, 1).seal(world.desk.vault, machine.site_id, stranger.installation_id)
            beats.append(stranger.heartbeat(stranger.body(now, (1, 0, 0), echo=sealed)))
    async with asyncio.timeout(30):
        busy, *_ = await asyncio.gather(*(commits.take_in(beat) for beat in beats), return_exceptions=True)
        quiet = await commits.take_in(last.heartbeat(last.body(now, (1, 0, 0))))
    assert isinstance(busy, Answer)
    assert 900 <= busy.next_heartbeat_seconds < 1800
    assert quiet.next_heartbeat_seconds <= 1350
    assert not service.desk.pace.busy
