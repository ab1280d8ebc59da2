"""The ledger by month: made ahead, never in the way, and archived without changing what later months say."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from ops import ledger, schema
from ops.ground import Ground, lay_ground
from report_worker import jobs
from report_worker.jobs import Tools
from services import partners, reports, usage
from services.db import make_engine, make_sessions
from services.errors import Absent
from services.partners import Principal
from services.reports.tables import Charge
from services.settings import Settings
from services.sites import Desk
from services.sites.heartbeat import ChangesMissing, LineBroken
from services.usage import FIGURES, UsageEntry, figure_parameters
from tests.support.clock import START, TestClock
from tests.support.machine import Machine, change, instant, lost
from tests.support.world import ZONE, World

APRIL = datetime(2026, 3, 31, 22, tzinfo=UTC)
MAY = datetime(2026, 4, 30, 22, tzinfo=UTC)
GRACE = timedelta(hours=6)
INSTANT = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def template(ground: Ground) -> Iterator[Ground]:
    """A database with the schema, to be copied: the tests here change what others share."""
    with lay_ground(_given(ground)) as laid:
        yield laid


@pytest.fixture
async def own(ground: Ground, template: Ground, desk: Desk, clock: TestClock) -> AsyncIterator[World]:
    """A world on a copy of the template."""
    name = await _copy(ground, make_url(template.settings.database_url).database)
    engine = make_engine(_in(template.settings.database_url, name))
    sessions = make_sessions(engine)
    async with sessions.begin() as db:
        distributor = await partners.add_distributor(db, name="Distribuzione", zone=ZONE, now=clock())
        msp = await partners.add_msp(db, name="Adriatica IT", distributor_id=distributor.id, now=clock())
    yield World(sessions, desk, clock, distributor, msp)
    await engine.dispose()
    await _on_server(ground, f"drop database {name} with (force)")


def _given(ground: Ground) -> Settings:
    return Settings(database_url=ground.settings.migrate_database_url, redis_url=ground.settings.redis_url)


def _in(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def _on_server(ground: Ground, statement: str) -> None:
    """Run a statement as the owner, who may make databases."""
    engine = create_async_engine(ground.settings.migrate_database_url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def _copy(ground: Ground, database: str | None) -> str:
    name = f"tidemark_{secrets.token_hex(4)}"
    await _on_server(ground, f"create database {name} template {database}")
    return name


def settings_of(world: World, template: Ground) -> Settings:
    """What the operator of a world has: the service's login, and the owner's."""
    engine: Any = world.sessions.kw["bind"]
    owner = _in(template.settings.migrate_database_url, engine.url.database)
    return Settings(database_url=engine.url.render_as_string(hide_password=False), migrate_database_url=owner)


async def make_partitions(world: World) -> None:
    await jobs.make_partitions({"tools": Tools(world.sessions, world.clock)})


async def bounds(world: World) -> list[tuple[str, datetime | None, datetime | None]]:
    async with world.sessions() as db:
        return [
            (one.name.removeprefix("usage_entries_"), one.from_at, one.until_at) for one in await usage.partitions(db)
        ]


async def lying_in(world: World) -> list[tuple[str, int]]:
    """Which partition each entry lies in, and its number."""
    query = text("select tableoid::regclass::text as name, n from usage_entries order by at, n")
    async with world.sessions() as db:
        return [(row.name.removeprefix("usage_entries_"), row.n) for row in await db.execute(query)]


async def archive(world: World, template: Ground, before: str) -> list[str]:
    return await ledger.archive(settings_of(world, template), before, world.clock())


async def close_at(world: World, end: datetime) -> None:
    world.clock.now = end + GRACE
    await world.close()


# --- made ahead ------------------------------------------------------------------------------------------------


async def test_months_are_made_ahead_where_most_distributors_months_begin_and_each_tiles_with_the_next(
    own: World,
) -> None:
    await make_partitions(own)
    made = await bounds(own)
    assert [name for name, *_ in made] == ["first", "2026_03", "2026_04", "2026_05", "2026_06", "2026_07"]
    assert made[2] == ("2026_04", APRIL, MAY)
    assert (made[0][1], made[-1][2]) == (None, None)
    assert all(one[2] == other[1] for one, other in pairwise(made))
    own.clock.advance(days=31)
    await make_partitions(own)
    await make_partitions(own)
    assert [name for name, *_ in await bounds(own)][-2:] == ["2026_07", "2026_08"]


async def test_at_the_turn_of_a_month_an_entry_lies_where_it_counts(own: World) -> None:
    await make_partitions(own)
    machine = await own.running((1, 0, 0))
    own.clock.now = APRIL + timedelta(minutes=1)
    told = [change(2, APRIL - INSTANT, (9, 0, 0)), change(3, APRIL, (2, 0, 0)), change(4, APRIL + INSTANT, (3, 0, 0))]
    await own.beat(machine, (3, 0, 0), told)
    assert await lying_in(own) == [("2026_03", 1), ("2026_03", 2), ("2026_04", 3), ("2026_04", 4)]
    assert (await own.peaks(machine))["server"] == (3, APRIL + INSTANT)


async def test_a_worker_away_for_three_months_costs_a_wider_partition_and_no_entry(own: World) -> None:
    await make_partitions(own)
    machine = await own.running((1, 0, 0))
    own.clock.now = START + timedelta(days=6 * 30)
    for n in range(2, 6):
        await own.beat(machine, (n, 0, 0), [change(n, own.clock.advance(days=30), (n, 0, 0))])
    assert {name for name, n in await lying_in(own) if n > 1} == {"2026_07"}
    before = await own.figures()
    await make_partitions(own)
    ends = {name: at for name, _, at in await bounds(own)}
    assert ends["2026_07"] == datetime(2027, 1, 31, 23, tzinfo=UTC)
    assert ends["2027_02"] == datetime(2027, 2, 28, 23, tzinfo=UTC)
    assert {name for name, n in await lying_in(own) if n > 1} == {"2026_07"}
    assert await own.figures() == before
    await own.beat(machine, (7, 0, 0), [change(6, own.clock.advance(days=30), (7, 0, 0))])
    assert (await lying_in(own))[-1][0] == "2027_02"


async def test_two_workers_make_each_month_once(own: World) -> None:
    await asyncio.gather(*(make_partitions(own) for _ in range(3)))
    assert [name for name, *_ in await bounds(own)][1:3] == ["2026_03", "2026_04"]


async def test_the_service_s_role_may_end_the_open_partition_and_no_more(own: World) -> None:
    end = "select end_open_partition('2026-04-01')"
    async with own.sessions.begin() as db:
        await db.execute(text("set local role tidemark_service"))
        assert await db.scalar(text(end)) == "usage_entries_2026_04"
    for role, refused in (
        ("tidemark_tenant", end),
        ("tidemark_service", "drop table usage_entries_first"),
        ("tidemark_service", "select * from usage_entries_first"),
        ("tidemark_service", "delete from ledger_archives"),
    ):
        async with own.sessions() as db:
            await db.execute(text(f"set local role {role}"))
            with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
                await db.execute(text(refused))


# --- one partition ---------------------------------------------------------------------------------------------


async def _read(world: World, statement: str, values: dict[str, Any]) -> set[str]:
    """Which partitions a statement reads, as it runs."""
    async with world.sessions() as db:
        plan = await db.scalar(text(f"explain (analyze, format json) {statement}"), values)
    return {
        name.removeprefix("usage_entries_") for name in _scanned(plan if isinstance(plan, list) else json.loads(plan))
    }


def _scanned(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _scanned(one)
    elif isinstance(node, dict):
        if node.get("Relation Name", "").startswith("usage_entries") and node.get("Actual Loops", 0) > 0:
            yield node["Relation Name"]
        for value in node.values():
            yield from _scanned(value)


async def test_a_month_s_figures_read_its_partition_and_where_the_count_came_in_from_and_no_other(own: World) -> None:
    await make_partitions(own)
    machine = await own.running((1, 0, 0))
    for day in (APRIL, MAY):
        own.clock.now = day + timedelta(days=3)
        await own.beat(machine, (2, 0, 0))
        await own.beat(machine, (1, 0, 0))
    april = replace(own.month(), starts_at=APRIL, ends_at=MAY)
    values = figure_parameters([own.msp.id], april)
    assert await _read(own, FIGURES, values) == {"2026_03", "2026_04"}
    entries = "select * from usage_entries where site_id = :site and at >= :starts_at and at < :ends_at"
    span = {"site": machine.site_id, "starts_at": APRIL, "ends_at": MAY}
    assert await _read(own, entries, span) == {"2026_04"}


async def test_the_figures_of_a_month_in_which_a_site_began_read_one_partition(own: World) -> None:
    await make_partitions(own)
    own.clock.now = APRIL + timedelta(days=3)
    await own.running((1, 0, 0))
    values = figure_parameters([own.msp.id], own.month())
    assert await _read(own, FIGURES, values) == {"2026_04"}


# --- archived --------------------------------------------------------------------------------------------------


async def _lived_through(world: World) -> None:
    """Sites of many kinds, from March to July: idle, busy, lost, late, restored, a standalone that is listed."""
    await make_partitions(world)
    async with world.sessions.begin() as db:
        who = world.distributor.id
        now = world.clock()
        await reports.set_terms(db, who, no_data="last_known", shows_amounts=False, actor="test", now=now)
    seated = await world.running((4, 5, 1), "Idle")
    seat = Machine(seated.license_key)
    await world.activate(seat, product="server_plus", version="5.1")
    await world.beat(seat, (0, 0, 1))
    seen = {"n": 2, "at": instant(world.clock()), "seen": [str(seat.installation_id)]}
    await world.beat(seated, (4, 5, 1), standalones=seen)
    await world.beat(seated, (4, 6, 1))
    busy = await world.running((1, 0, 0), "Busy")
    lossy = await world.running((1, 1, 1), "Lossy")
    late = await world.running((2, 0, 0), "Late")
    twice = await world.running((3, 0, 0), "Twice")
    image = twice.image()
    await world.beat(lossy, (1, 1, 1), lost=[lost(2, world.clock(), world.clock.advance(hours=1))])
    none = {"n": 3, "at": instant(world.clock()), "seen": []}
    await world.beat(lossy, (1, 1, 1), standalones=none)
    for n, month in enumerate((APRIL, MAY, datetime(2026, 5, 31, 22, tzinfo=UTC)), 2):
        await close_at(world, month)
        world.clock.advance(days=1)
        await world.beat(busy, (n, n, 0), [change(n, month - timedelta(hours=n), (n, n, 0))])
        await world.beat(twice, (n + 5, 0, 0))
    await world.beat(image, (30, 0, 0), resume=True)
    away = [change(2, MAY - timedelta(days=9), (7, 0, 0)), change(3, MAY + timedelta(days=9), (5, 0, 0))]
    await world.beat(late, (5, 0, 0), away)
    await world.beat(seat, (0, 0, 1))
    await world.beat(seated, (4, 6, 1))
    await world.beat(lossy, (1, 1, 1))
    await close_at(world, datetime(2026, 6, 30, 22, tzinfo=UTC))
    world.clock.now = datetime(2026, 7, 20, tzinfo=UTC)


async def _copied(world: World, ground: Ground) -> World:
    engine: Any = world.sessions.kw["bind"]
    await engine.dispose()  # a database is copied only while nobody is in it
    url = engine.url.set(database=await _copy(ground, engine.url.database))
    return replace(world, sessions=make_sessions(make_engine(url.render_as_string(hide_password=False))))


async def _said(world: World) -> Any:
    """Everything that later months say, each counted twice."""
    for month in (7, 8):
        await close_at(world, datetime(2026, month, 31, 22, tzinfo=UTC))
    async with world.sessions() as db:
        documents = [one.document for one in await world.reports()]
        columns = (Charge.server, Charge.workstation, Charge.server_plus, Charge.starts_at, Charge.origin)
        charges = sorted(tuple(row) for row in await db.execute(select(*columns)))
    assert all(documents)
    return documents, charges


async def test_after_archiving_later_months_and_their_corrections_are_the_same_bytes(
    own: World, template: Ground, ground: Ground
) -> None:
    await _lived_through(own)
    other = await _copied(own, ground)
    async with own.sessions() as db:
        before = reports.write(await own.provisional(db))
        [entries] = (await db.execute(select(func.count()).select_from(UsageEntry))).one()
    lines = await archive(own, template, "2026-05")
    assert {line.strip() for line in lines[1:-1]} == {
        f"ledger_archive.usage_entries_{name}" for name in ("first", "2026_03", "2026_04")
    }
    assert [name for name, *_ in await bounds(own)][:2] == ["before_2026_05", "2026_05"]
    async with own.sessions() as db:
        assert reports.write(await own.provisional(db)) == before
        kept = await db.scalar(select(func.count()).select_from(UsageEntry))
        assert kept is not None
        assert kept < entries
    own.clock.now = other.clock.now
    said = await _said(own)
    own.clock.now = datetime(2026, 7, 20, tzinfo=UTC)
    assert said == await _said(other)
    await _drop(other, ground)


async def _drop(world: World, ground: Ground) -> None:
    engine: Any = world.sessions.kw["bind"]
    await engine.dispose()
    await _on_server(ground, f"drop database {engine.url.database} with (force)")


async def test_archived_twice_what_was_carried_is_carried_again_and_nothing_archived_is_lost(
    own: World, template: Ground
) -> None:
    await _lived_through(own)
    async with own.sessions() as db:
        entries = await db.scalar(select(func.count()).select_from(UsageEntry))
    await archive(own, template, "2026-04")
    before = await own.figures()
    await archive(own, template, "2026-05")
    assert await own.figures() == before
    with pytest.raises(ValueError, match="is archived"):
        await archive(own, template, "2026-05")
    archived = "select * from ledger_archive.usage_entries_"
    union = " union ".join(archived + name for name in ("first", "2026_03", "2026_04", "before_2026_04"))
    engine = make_engine(settings_of(own, template).migrate_database_url)
    async with make_sessions(engine)() as db:
        put_away = await db.scalar(text(f"select count(*) from ({union}) one"))
        stayed = select(func.count()).select_from(UsageEntry).where(UsageEntry.at >= MAY)
        assert put_away + (await db.scalar(stayed) or 0) == entries
    await engine.dispose()


async def test_nothing_is_archived_that_a_close_a_report_or_a_correction_still_needs(
    own: World, template: Ground
) -> None:
    await make_partitions(own)
    await own.running((1, 0, 0))
    own.clock.now = MAY
    with pytest.raises(ledger.StillNeeded, match="2026-03 of Distribuzione is not closed"):
        await archive(own, template, "2026-04")
    await close_at(own, MAY)
    with pytest.raises(ledger.StillNeeded, match="2026-03 of Distribuzione may be corrected until 2026-06-09"):
        await archive(own, template, "2026-04")
    with pytest.raises(ValueError, match="no partition that begins with 2025-04; there are: 2026-03, 2026-04"):
        await archive(own, template, "2025-04")
    assert (await bounds(own))[0][0] == "first"


async def test_what_an_archived_month_said_is_not_guessed_at_from_what_is_left(own: World, template: Ground) -> None:
    await _lived_through(own)
    await archive(own, template, "2026-05")
    first = (await own.reports())[0]
    principal = Principal(own.msp.id, own.msp.id)
    async with own.sessions() as db:
        [key, *_] = [row.site_id for row in await own.figures()]
        with pytest.raises(Absent):
            await reports.evidence_of(db, principal, first.id, key)
        with pytest.raises(Absent, match="archived"):
            await reports.explain(db, own.distributor.id, "2026-03")
        changes = await usage.changes_of(db, principal, key, start=START, end=own.clock(), limit=100)
        assert all(one.at >= MAY for one in changes)
        day = START.date()
        days = await usage.days_of(db, key, own.msp.id, zone=ZONE, first=day, last=day, now=own.clock())
        assert [one.peaks for one in days] == [{}]


async def test_an_image_older_than_the_ledger_goes_on_on_a_line_of_its_own_and_a_younger_one_as_ever(
    own: World, template: Ground
) -> None:
    await make_partitions(own)
    machine = await own.running((1, 0, 0))
    await own.beat(machine, (2, 0, 0), sent_at=own.clock.advance(hours=1))
    old = machine.image()
    await own.beat(machine, (3, 0, 0), sent_at=own.clock.advance(hours=1))
    young = machine.image()
    await own.beat(machine, (3, 0, 0), sent_at=own.clock.advance(hours=1))
    for month in (APRIL, MAY, datetime(2026, 5, 31, 22, tzinfo=UTC)):
        await close_at(own, month)
    own.clock.now = datetime(2026, 6, 20, tzinfo=UTC)
    await archive(own, template, "2026-04")
    going_on = await own.beat(young, (3, 0, 0), resume=True)
    assert going_on.through == young.through == 3
    entry = change(3, own.clock(), (8, 0, 0))
    assert isinstance(await own.hear(old, old.body(own.clock(), (8, 0, 0), [entry])), LineBroken)
    missing = await own.hear(old, old.body(own.clock(), (8, 0, 0), [entry], resume=True))
    assert isinstance(missing, ChangesMissing)
    assert missing.members["through"] == 0
    gap = [lost(1, START, own.clock())]
    answer = await own.beat(old, (8, 0, 0), [change(2, own.clock(), (8, 0, 0))], lost=gap, resume=True)
    assert answer.through == 2
    assert (await own.peaks(machine))["server"] == (8, own.clock())


# --- the upgrade -----------------------------------------------------------------------------------------------

_ROWS = """insert into usage_entries (site_id, installation_id, line, n, kind, at, clock_suspect, server, entry,
    receipt, received_at)
select md5('s' || n % 7)::uuid, md5('i')::uuid, 0, n, 'change', timestamptz '2026-01-01' + n * interval '1 day', false,
    n, sha256(n::text::bytea), sha256(n::text::bytea), timestamptz '2026-01-02' + n * interval '1 day'
from generate_series(1, 400) n"""
_SUM = "select md5(string_agg(e::text, '' order by e.n)) from usage_entries e"


def test_the_upgrade_and_the_way_back_carry_every_entry_over(ground: Ground) -> None:
    async def ask(url: str, statement: str) -> Any:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            answer = result.scalar() if result.returns_rows else None
        await engine.dispose()
        return answer

    with lay_ground(_given(ground)) as laid:
        url = laid.settings.migrate_database_url
        schema.downgrade(url, "0200")
        asyncio.run(ask(url, _ROWS))
        before = asyncio.run(ask(url, _SUM))
        schema.upgrade(url)
        assert asyncio.run(ask(url, _SUM)) == before
        asyncio.run(ask(url, "select end_open_partition('2027-03-01')"))
        assert asyncio.run(ask(url, _SUM)) == before
        schema.downgrade(url, "0200")
        assert asyncio.run(ask(url, _SUM)) == before
