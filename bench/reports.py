"""Reports: the close of a month against a tenth of it, and the four forms of a long report.

`rows()` lays a ground of its own, takes both measurements and gives the rows. The fleet is written by SQL.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

from sqlalchemy import event, text

from bench.rows import Row
from ops.ground import lay_ground
from report_worker.jobs import Tools, make_partitions
from services import partners, reports
from services.db import Sessions, make_engine, make_sessions
from services.reports.charging import charge
from services.reports.document import Heading, compose, write
from services.reports.writing import write_next
from services.usage import recount
from services.usage.recount import Said, ToldLine

STARTS = datetime(2026, 2, 28, 23, tzinfo=UTC)
ENDS = datetime(2026, 3, 31, 22, tzinfo=UTC)
SMALL, LARGE = 10_000, 100_000
CHANGES = 60
SITES_PER_MSP = 50

_FLEET = """
insert into msps (id, name, created_at, approved_at)
select md5('m' || m)::uuid, 'MSP ' || lpad(m::text, 6, '0'), :starts, :starts from generate_series(1, :msps) m;
insert into msp_tenures (msp_id, from_at, distributor_id)
select md5('m' || m)::uuid, :starts, :distributor from generate_series(1, :msps) m;
insert into keys (site_id, id, msp_id, name, code_hash, code_sealed, code_masked, created_at, activated_at)
select md5('s' || s)::uuid, md5('k' || s)::uuid, md5('m' || 1 + s % :msps)::uuid, 'Site ' || s, '', '', '*', :starts,
    :starts
from generate_series(1, :sites) s;
insert into key_events (site_id, id, key_id, at, recorded_at, event, to_state, actor)
select md5('s' || s)::uuid, md5('e' || s)::uuid, md5('k' || s)::uuid, :starts, :starts, 'activated', 'active',
    'bench'
from generate_series(1, :sites) s;
insert into site_tenures (site_id, from_at, msp_id)
select md5('s' || s)::uuid, :starts, md5('m' || 1 + s % :msps)::uuid from generate_series(1, :sites) s;
insert into lines (site_id, installation_id, line, credential_sha256, key_id, product, told_state, heartbeat_seconds,
    disable_after_seconds, sequence, through, receipt, said_more, last_contact_at, known_until_at, last_entry_at,
    renew_lease_at, waiting, begins_at)
select md5('s' || s)::uuid, md5('i' || s)::uuid, 0, '', md5('k' || s)::uuid, 'site_manager', 'active', 900, 1209600, 1,
    60, '', false, :ends, :ends, :ends, :ends, false, :starts
from generate_series(1, :sites) s;
insert into usage_entries (site_id, installation_id, line, n, kind, at, clock_suspect, server, workstation, server_plus,
    entry, receipt, received_at)
select md5('s' || s)::uuid, md5('i' || s)::uuid, 0, n, 'change', cast(:starts as timestamptz) + n * interval '12 hours',
    false, (s + n * 7) % 50, (s * 3 + n * 11) % 200, n % 3, '{}', decode(md5(s || '-' || n), 'hex'),
    cast(:starts as timestamptz) + n * interval '12 hours'
from generate_series(1, :sites) s, generate_series(1, :changes) n;
"""


def rows() -> Iterator[Row]:
    """Take the measurements."""
    yield _forms_row()
    # A process of its own: its peak of memory is that of the close, not of what was measured before.
    with lay_ground() as ground, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as own:
        yield from own.submit(_close_both, ground.settings.migrate_database_url).result()


def _close_both(url: str) -> list[Row]:
    return asyncio.run(_close_rows(url))


async def _close_rows(url: str) -> list[Row]:
    engine = make_engine(url)
    sessions = make_sessions(engine)
    asked: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    small = await _close(sessions, SMALL, asked)
    small_rss = _rss()
    large = await _close(sessions, LARGE, asked)
    growth = _rss() / small_rss
    await engine.dispose()
    ratio = large["seconds"] / small["seconds"]
    return [
        _row(
            "close: time of 100,000 sites and 2,000 MSPs to 10,000 sites, 60 changes a site",
            round(ratio, 2), "x", f"{small['seconds']:.1f} s", 11, ratio <= 11,
        ),
        _row("close: peak memory of the worker, same", round(growth, 2), "x", f"{small_rss} KiB", 1.2, growth <= 1.2),
        _row(
            "close: statements a distributor that read the ledger for the figures", large["statements"], "", "-", 1,
            large["statements"] == 1,
        ),
    ]  # fmt: skip


async def _close(sessions: Sessions, sites: int, asked: list[str]) -> dict[str, float]:
    """Fill an empty database and close it; gives the seconds, and how many statements read the ledger for figures.

    The ground is that of a service that has run: months made ahead, tables vacuumed, no checkpoint pending.
    """
    async with sessions.begin() as db:
        tables = await db.scalars(
            text("select string_agg(quote_ident(tablename), ', ') from pg_tables where schemaname = 'public' "
                 "and tablename not in ('alembic_version', 'audit_log')")
        )  # fmt: skip
        await db.execute(text(f"truncate {tables.one()}"))
        distributor = await partners.add_distributor(db, name=f"D{sites}", zone="Europe/Rome", now=STARTS)
    await make_partitions({"tools": Tools(sessions, lambda: STARTS)})
    values = {"starts": STARTS, "ends": ENDS, "distributor": distributor.id, "sites": sites, "changes": CHANGES,
              "msps": max(1, sites // SITES_PER_MSP)}  # fmt: skip
    async with sessions.begin() as db:
        for statement in filter(str.strip, _FLEET.split(";")):
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            await db.execute(text(statement), used)
    async with sessions() as db:
        connection = await db.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        await connection.exec_driver_sql("vacuum analyze")
        await connection.exec_driver_sql("checkpoint")
    return await _measured(sessions, distributor.id, asked)


async def _measured(sessions: Sessions, distributor_id: UUID, asked: list[str]) -> dict[str, float]:
    asked.clear()
    started = time.perf_counter()
    async with sessions.begin() as db:
        assert await reports.close(db, distributor_id, ENDS + timedelta(hours=6))
    closed = time.perf_counter()
    figures = sum("usage_entries" in statement for statement in asked)
    while True:
        async with sessions.begin() as db:
            if (written := await write_next(db, distributor_id)) is None:
                break
            assert written.held is None, written.held
    done = time.perf_counter()
    print(f"figures {closed - started:.1f} s, writing {done - closed:.1f} s, {_rss()} KiB")
    return {"seconds": done - started, "statements": figures}


def _forms_row() -> Row:
    document = _long_report(500)
    reports.render(document)  # a worker's processes live on: fonts and templates are read once
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        reports.render(document)
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds)
    return _row("forms: JSON, CSV, XLSX, PDF in both languages, 500 lines", round(median, 2), "s", "-", 1, median <= 1)


def _long_report(lines: int) -> bytes:
    days = [STARTS + timedelta(days=n) for n in range(31)]
    counted = []
    for number in range(lines):
        entries = [
            Said(n, STARTS + timedelta(hours=12 * n), ((number + 7 * n) % 50, (3 * number + 11 * n) % 200, n % 3))
            for n in range(60)
        ]
        line = ToldLine(UUID(int=number), 0, STARTS, ENDS, entries=entries)
        row = SimpleNamespace(
            site_id=UUID(int=number), name=f"Site {number}", reference=f"C-{number}", key_masked="*****-V1ZJT",
            state="active", activated_at=STARTS, covered_seconds=1.0, span_seconds=1.0, gaps=[], flags=[],
        )  # fmt: skip
        counted.append(charge(row, recount([line], STARTS, ENDS, days=days), (), no_data="nothing", short=False))
    heading = Heading(
        distributor="Distributor", msp="MSP", language="it", month="2026-03", zone="Europe/Rome", zone_data="2026a",
        starts_at=STARTS, ends_at=ENDS, cut_off_at=ENDS, days=[date(2026, 3, 1) + timedelta(days=n) for n in range(31)],
        number="2026-00001", issued_at=ENDS,
    )  # fmt: skip
    return write(compose(heading, counted))


def _row(name: str, value: float, unit: str, yardstick: str, target: float, met: bool) -> Row:
    return Row(name, value, unit, yardstick, f"<= {target:g}", met)


def _rss() -> int:
    """Give the peak of this process in KiB. Not getrusage: what that says a child inherits from its parent."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
