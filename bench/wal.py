"""What an idle heartbeat writes: WAL, tuples in place, rows, jobs.

WAL and HOT are taken over many rounds of the same sites, so that pages fill up and are pruned as they are in a
service's long life; rows and jobs over HTTP, from all tables and all of Valkey's commands.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from redis import Redis

from bench import rounds
from bench.load import NotMeasured
from bench.rows import Row, at_least, at_most
from bench.stand import Stand

_SITES = 20 * rounds.BATCH
_ROUNDS = 16
_SECONDS = 3
_TRIES = 100
# The pulse is a row a minute and process, not a heartbeat's.
_INSERTED = """select coalesce(sum(n_tup_ins), 0)::bigint from pg_stat_user_tables
where relname not in ('pulse_stretches', 'pulse_minutes', 'arrival_watch')"""
_HERE = "select pg_current_wal_insert_lsn()::text"
_WAL = """select sum(record_length - fpi_length)::bigint
from pg_get_wal_records_info($1::text::pg_lsn, pg_current_wal_flush_lsn())"""
_UPDATED = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'lines'"


def rows(stand: Stand) -> Iterator[Row]:
    """Measure."""
    name = "idle heartbeat"
    wal, hot = asyncio.run(_in_rounds(stand))
    yield at_most(f"{name}: WAL without full-page images", wal, "bytes", f"{_ROUNDS} rounds of {_SITES:,} sites", 200)
    yield at_least(f"{name}: HOT updates", hot, "%", "same rounds", 99)
    sent, inserted, jobs = _over_http(stand)
    yield at_most(f"{name}: rows inserted", inserted, "rows", f"{sent:,} over HTTP, all tables but the pulse", 0)
    yield at_most(f"{name}: jobs queued", jobs, "commands", f"same {sent:,}, everything that reached Valkey", 0)


async def _in_rounds(stand: Stand) -> tuple[float, float]:
    connection = await stand.connect()
    await connection.execute("create extension if not exists pg_walinspect")
    made = await rounds.begin(stand, connection, _SITES, _ROUNDS)
    before, start = await connection.fetchrow(_UPDATED), await connection.fetchval(_HERE)
    for _ in range(_ROUNDS):
        await made.go()
    beats = _ROUNDS * _SITES
    wal = await connection.fetchval(_WAL, start) / beats
    updated, hot = await _updated_since(connection, before, beats)
    await connection.close()
    return wal, 100 * hot / updated


def _over_http(stand: Stand) -> tuple[int, int, int]:
    before, inserted = asyncio.run(_counters(stand))
    with Redis.from_url(stand.settings.redis_url) as valkey:
        commands = _commands(valkey)
        load = stand.load("/v1/heartbeats", seconds=_SECONDS, fresh=_SECONDS * 20_000)
        _, inserted_now = asyncio.run(_counters(stand, before, load.requests))
        jobs = _commands(valkey) - commands - 1
    return load.requests, inserted_now - inserted, jobs


async def _counters(stand: Stand, before: Any = None, expected: int = 0) -> tuple[Any, int]:
    """Give updates of lines and rows inserted, once so many updates have been counted."""
    connection = await stand.connect()
    if before is not None:
        await _updated_since(connection, before, expected)
    counted = await connection.fetchrow(_UPDATED), int(await connection.fetchval(_INSERTED))
    await connection.close()
    return counted


def _commands(valkey: Redis) -> int:
    return int(valkey.info("stats")["total_commands_processed"])


async def _updated_since(connection: Any, before: Any, expected: int) -> tuple[int, int]:
    """Give updates and those that were HOT; backends report them about a second late."""
    for _ in range(_TRIES):
        await connection.execute("select pg_stat_clear_snapshot(), pg_stat_force_next_flush()")
        now = await connection.fetchrow(_UPDATED)
        updated, hot = now[0] - before[0], now[1] - before[1]
        if updated >= expected:
            return updated, hot
        await asyncio.sleep(0.1)
    raise NotMeasured(f"PostgreSQL counted {updated} updates of {expected}")
