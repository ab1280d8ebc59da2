"""The ledger's path without HTTP: one connection, batches of 128, beside pgbench doing the same update of one row.

pgbench is the one of the embedded PostgreSQL's own wheel.
"""

import asyncio
import os
import re
import subprocess
import time
from datetime import datetime
from typing import Any

from sqlalchemy.engine import make_url

from bench.fleet import Site
from bench.load import NotMeasured
from bench.rows import Row, at_least, in_turn
from bench.stand import Stand
from license_api.v1.wire import HeartbeatRequest
from ops.embedded.binaries import postgres_program
from services import sites
from services.signing import SigningKey
from services.sites import Desk, Echo, Idle, LeaseSigner, read_bearer

_BATCH = 128
_BATCHES = 300
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
    await connection.execute(sites.PREPARE)
    # Sites hammered a moment ago would be too early: a minute has passed for them.
    now = await connection.fetchval("select max(last_contact_at) + interval '1 minute' from lines")
    batches = await _batches(stand, connection, now)
    desk = Desk(stand.vault, LeaseSigner(stand.settings.issuer, SigningKey.make()))
    started = time.perf_counter()
    for batch in batches:
        answers = await sites.advance_idle(connection, desk, batch, now)
        if None in answers:
            raise NotMeasured("a heartbeat that should be idle was not")
    seconds = time.perf_counter() - started
    await connection.close()
    return len(batches) * _BATCH / seconds


async def _batches(stand: Stand, connection: Any, now: datetime) -> list[list[Idle]]:
    """Read so many batches of heartbeats from their JSON, which is not part of what is measured."""
    lines = await connection.fetch(
        "select site_id, installation_id, sequence, through from lines order by installation_id limit $1",
        _BATCH * _BATCHES,
    )
    made = [_idle(stand, Site(*line), now) for line in lines]
    return [made[i : i + _BATCH] for i in range(0, len(made), _BATCH)]


def _idle(stand: Stand, site: Site, now: datetime) -> Idle:
    request = HeartbeatRequest.model_validate_json(site.body(stand.vault, now))
    return Idle(request.heartbeat(read_bearer(site.bearer)), Echo(0, site.sequence, site.through))


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
