"""The sweep: a hundred sites newly silent, among ten thousand and among a million."""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench import fleet
from bench.load import NotMeasured
from bench.rows import Row, at_most
from ops.ground import lay_ground
from services import partners, sites
from services.clock import system_clock
from services.db import Sessions, make_engine, make_sessions

_SMALL, _LARGE = 10_000, 1_000_000
_SILENT = 100
_DISABLE_AFTER = timedelta(days=14)
_ROUNDS = 3

_PULSE = "insert into pulse_stretches (from_at, until_at) values ($1, $2)"
# Silent since the deadline, and at the ladder's last rung.
_SOME = "where site_id in (select bench_site(i) from generate_series($1::bigint, $2) i)"
_SILENCE = (
    f"update lines set last_contact_at = $3 {_SOME}",
    "update silence_timers set due_at = $3::timestamptz + interval '14 days', silent_since_at = $3, rung = 'disable' "
    + _SOME,
)
# What was disabled before was so long ago: the breaker reads by those of a day, and a hundred are to be new.
_LONG_AGO = "update key_events set recorded_at = recorded_at - interval '2 days'"
_READ = "select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_user_tables"


@dataclass(frozen=True, slots=True)
class _Swept:
    seconds: float
    read: int


def rows() -> list[Row]:
    """Measure the small fleet, let it grow, and measure the large one."""
    with lay_ground() as ground:
        small, large = asyncio.run(_both(ground.settings.migrate_database_url, ground.settings.database_url))
    ratio = large.seconds / small.seconds
    beside = f"{1000 * large.seconds:.0f} ms; among {_SMALL:,} {1000 * small.seconds:.0f} ms"
    read = f"{large.read:,} rows; among {_SMALL:,} {small.read:,}"
    return [
        at_most(f"sweep: {_SILENT} newly silent of {_LARGE:,}", ratio, "x", beside, 2),
        at_most("sweep: rows read, same", large.read / small.read, "x", read, 2),
    ]


async def _both(owner_url: str, url: str) -> tuple[_Swept, _Swept]:
    engine = make_engine(url)
    sessions = make_sessions(engine)
    connection = await fleet.connect(owner_url)
    now = system_clock()
    await connection.execute(_PULSE, now - timedelta(days=30), now)
    async with sessions.begin() as db:
        distributor = await partners.add_distributor(db, name="Bench", zone="Europe/Rome", now=now)
        msp = await partners.add_msp(db, name="Bench", distributor_id=distributor.id, now=now)
    await fleet.add_sites(connection, 1, _SMALL, msp.id, now)
    small = await _median(sessions, connection, 1)
    await fleet.add_sites(connection, _SMALL + 1, _LARGE, msp.id, now)
    large = await _median(sessions, connection, 1 + _ROUNDS * _SILENT)
    await connection.close()
    await engine.dispose()
    return small, large


async def _median(sessions: Sessions, connection: Any, first: int) -> _Swept:
    """Sweep thrice, each time another hundred."""
    taken = []
    for n in range(_ROUNDS):
        at = first + n * _SILENT
        taken.append(await _sweep(sessions, connection, at, at + _SILENT - 1))
    return sorted(taken, key=lambda one: one.seconds)[_ROUNDS // 2]


async def _sweep(sessions: Sessions, connection: Any, first: int, last: int) -> _Swept:
    now = system_clock()
    await connection.execute(_LONG_AGO)
    for statement in _SILENCE:
        await connection.execute(statement, first, last, now - _DISABLE_AFTER - timedelta(minutes=1))
    before = await _read(connection)
    started = time.perf_counter()
    disabled = 0
    while True:
        async with sessions.begin() as db:
            swept = await sites.sweep(db, now)
        disabled += swept.disabled
        if swept.idle:
            break
    seconds = time.perf_counter() - started
    if disabled != _SILENT:
        raise NotMeasured(f"{disabled} of {_SILENT} were disabled: {swept}")
    async with sessions.begin() as db:
        await (await db.connection()).exec_driver_sql("select pg_stat_force_next_flush()")
    return _Swept(seconds, await _read(connection) - before)


async def _read(connection: Any) -> int:
    await connection.execute("select pg_stat_force_next_flush()")
    await connection.execute("select pg_stat_clear_snapshot()")
    return int(await connection.fetchval(_READ))
