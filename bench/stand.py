"""The stand: fresh servers, a fleet in the database, and the API under measurement as a process of its own."""

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from bench import fleet, textbook
from bench.cpu import cpu_seconds
from bench.load import Load, NotMeasured, run_load, write_requests
from ops.embedded.child import Child, spawn
from ops.ground import Ground, lay_ground
from ops.stack import environment
from services import partners
from services.clock import system_clock
from services.db import make_engine, make_sessions
from services.settings import Settings
from services.signing import Vault

_START_SECONDS = 30


@dataclass(slots=True)
class Stand:
    """What measurements are taken on."""

    ground: Ground
    folder: Path
    distributor_id: UUID
    msp_id: UUID
    sites: int
    url: str = ""
    api: Child | None = None
    _next: int = field(default=0)

    @property
    def settings(self) -> Settings:
        """Where the servers are, and the master secret."""
        return self.ground.settings

    @property
    def vault(self) -> Vault:
        """The service's keys, to make echoes with."""
        return Vault(self.settings.master_secret.get_secret_value())

    def now(self) -> datetime:
        """The present."""
        return system_clock()

    async def connect(self) -> Any:
        """Connect to the database without SQLAlchemy."""
        return await fleet.connect(self.settings.migrate_database_url)

    def heartbeats(self, count: int) -> list[tuple[str, str]]:
        """Give bearers and bodies of the next idle heartbeats, of sites that have not spoken for longest."""
        skip = self._next % self.sites
        sites = asyncio.run(self.read_sites(min(count, self.sites), skip))
        self._next += count
        return [(site.bearer, site.body(self.vault, self.now())) for site in sites]

    async def read_sites(self, count: int, skip: int = 0) -> list[fleet.Site]:
        """Read how so many sites stand."""
        connection = await self.connect()
        sites = list(await fleet.read_sites(connection, count, skip))
        if len(sites) < count:
            sites += await fleet.read_sites(connection, count - len(sites))
        await connection.close()
        return sites

    def load(self, path: str, *, seconds: float, fresh: int = 0, rate: float = 0) -> Load:
        """Send idle heartbeats to a path, `fresh` ones once each; without any, those of last time again."""
        requests = self.folder / "requests"
        if fresh:
            write_requests(requests, self.heartbeats(min(fresh, self.sites)))
        load = run_load(self.url, path, requests, seconds=seconds, rate=rate)
        if fresh and load.requests > min(fresh, self.sites):
            raise NotMeasured(f"{path} answered {load.requests} of {fresh}: it was given too few requests")
        return load

    def api_cpu(self) -> float:
        """Give the CPU seconds that the API has spent."""
        return cpu_seconds(self.api.pid) if self.api else 0.0


@contextmanager
def stand(sites: int) -> Iterator[Stand]:
    """Build the stand and take it down."""
    with lay_ground() as ground, tempfile.TemporaryDirectory(prefix="tidemark-bench-") as name:
        made = asyncio.run(_fill(ground, Path(name), sites))
        with _api(made):
            yield made


async def _fill(ground: Ground, folder: Path, sites: int) -> Stand:
    now = system_clock()
    engine = make_engine(ground.settings.database_url)
    async with make_sessions(engine).begin() as db:
        distributor = await partners.add_distributor(db, name="Bench", zone="Europe/Rome", now=now)
        msp = await partners.add_msp(db, name="Bench", distributor_id=distributor.id, now=now)
    await engine.dispose()
    connection = await fleet.connect(ground.settings.migrate_database_url)
    await fleet.add_sites(connection, 1, sites, msp.id, now)
    await _fill_textbook(connection, sites, now)
    await connection.execute("checkpoint")
    await connection.close()
    return Stand(ground, folder, distributor.id, msp.id, sites)


async def _fill_textbook(connection: Any, sites: int, now: datetime) -> None:
    for statement in textbook.tables_sql():
        await connection.execute(statement)
    await connection.execute(
        "insert into bench_sites (id, installation_id, credential_sha256, state, sequence, last_seen_at) "
        "select i, bench_installation(i)::text, encode(sha256($3::bytea), 'hex'), 'active', 1, $2 "
        "from generate_series(1, $1::bigint) i",
        sites,
        now,
        fleet.SECRET.encode(),
    )
    await connection.execute("select setval('bench_sites_id_seq', $1)", sites)
    await connection.execute("vacuum analyze bench_sites")


@contextmanager
def _api(made: Stand) -> Iterator[None]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = made.settings.model_copy(update={"host": "127.0.0.1", "port": port})
    log = made.folder / "api.log"
    variables = {**environment(settings), "PYTHONPATH": str(Path(__file__).parent.parent)}
    made.api = spawn([sys.executable, "-m", "bench.server"], env=variables, log=log)
    made.url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(made.url, made.api, log)
        yield
    finally:
        made.api.terminate(10)


def _wait_until_ready(url: str, api: Child, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and api.alive:
        try:
            if httpx.get(f"{url}/readyz", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise NotMeasured(f"the API did not come up:\n{log.read_text()[-2000:]}")
