"""The ledger's path without HTTP: one connection, batches of 128, beside pgbench doing the same update of one row.

pgbench is the one of the embedded PostgreSQL's own wheel.
"""

import asyncio
import os
import re
import subprocess

from sqlalchemy.engine import make_url

from bench import rounds
from bench.load import NotMeasured
from bench.rows import Row, at_least, in_turn
from bench.stand import Stand
from ops.embedded.binaries import postgres_program

_SITES = 300 * rounds.BATCH
_SECONDS = 4
# Finds the row by the same primary key and changes the same columns.
_UPDATE = """\\set i random(1, {sites})
update lines set sequence = sequence + 1, nonce = decode(md5(:i::text), 'hex'), last_contact_at = now(),
    known_until_at = greatest(known_until_at, last_entry_at, now())
where site_id = bench_site(:i) and installation_id = bench_installation(:i) and line = 0;
"""


def rows(stand: Stand) -> list[Row]:
    """Measure both in turn."""
    ours, pgbench = in_turn(3, lambda: asyncio.run(_ours(stand)), lambda: _pgbench(stand))
    beside = f"{ours:,.0f}/s; pgbench, 16 clients, prepared {pgbench:,.0f}/s"
    return [at_least("ledger path without HTTP, batches of 128", ours / pgbench, "x", beside, 5)]


async def _ours(stand: Stand) -> float:
    connection = await stand.connect()
    made = await rounds.begin(stand, connection, _SITES)
    seconds = await made.go()
    await connection.close()
    return _SITES / seconds


def _pgbench(stand: Stand) -> float:
    script = stand.folder / "update.sql"
    script.write_text(_UPDATE.format(sites=stand.sites))
    url = make_url(stand.settings.database_url)
    where = ["-h", str(url.query.get("host") or url.host), "-p", str(url.query.get("port") or url.port or 5432)]
    command = [postgres_program("pgbench"), "-n", "-M", "prepared", "-c", "16", "-j", "2", "-T", str(_SECONDS)]
    done = subprocess.run(
        [*map(str, command), *where, "-U", str(url.username), "-f", str(script), str(url.database)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PGPASSWORD": url.password or ""},  # noqa: TID251 - for a child process
    )
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    if found is None:
        raise NotMeasured(f"pgbench said: {done.stdout[-500:]}{done.stderr[-500:]}")
    return float(found[1])
