"""What an idle site takes up in a month of a heartbeat every quarter of an hour, beside a row for each of them."""

import asyncio
from typing import Any

from bench import rounds
from bench.fleet import COUNTS
from bench.rows import Row, at_most
from bench.stand import Stand

_SITES = 20 * rounds.BATCH
_ROUNDS = 16
_BEATS_A_MONTH = 30 * 24 * 4
_ROWS = 200_000
_ROW_EACH = """
create table bench_heartbeats (site_id uuid, received_at timestamptz, sequence bigint, server int, workstation int,
    server_plus int, primary key (site_id, received_at))
"""
_FILL = """
insert into bench_heartbeats select bench_site(i / 1000), now() + i * interval '15 minutes', i, $2, $3, $4
from generate_series(1, $1::bigint) i
"""
_DATABASE = "select sum(pg_total_relation_size(relid))::bigint from pg_stat_user_tables where relname !~ '^bench_'"
_LINE = "select pg_total_relation_size('lines')::float / (select count(*) from lines)"


def rows(stand: Stand) -> list[Row]:
    """Measure: the whole head of a site, with what all tables grew by, against the rows of a month."""
    head, growth, row = asyncio.run(_sizes(stand))
    month = _BEATS_A_MONTH * row
    beside = (
        f"{head:.0f} bytes a site, and {growth:,.0f} bytes of growth in {_ROUNDS * _SITES:,} heartbeats; "
        f"a row for each: {month:,.0f} bytes"
    )
    return [at_most("storage per idle site and month", (head + growth / _SITES) / month, "x", beside, 0.01)]


async def _sizes(stand: Stand) -> tuple[float, float, float]:
    connection = await stand.connect()
    made = await rounds.begin(stand, connection, _SITES, 1 + _ROUNDS)
    await made.go()  # a page's first new versions may need room; what follows is the steady state
    before = await connection.fetchval(_DATABASE)
    for _ in range(_ROUNDS):
        await made.go()
    growth = await connection.fetchval(_DATABASE) - before
    head = await connection.fetchval(_LINE)
    row = await _row(connection)
    await connection.close()
    return head, growth, row


async def _row(connection: Any) -> float:
    await connection.execute(_ROW_EACH)
    await connection.execute(_FILL, _ROWS, *COUNTS)
    size = await connection.fetchval("select pg_total_relation_size('bench_heartbeats')")
    await connection.execute("drop table bench_heartbeats")
    return float(size) / _ROWS
