"""`tidemark bench fleet`: so many simulated sites held at their interval for a time, and what that costs.

The sites are made by SQL; their heartbeats are real ones, idle, at the phase that each site has, over connections that
a balancer would hold open. Latency counts from the instant at which a site meant to come.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from bench.cpu import cpu_seconds
from bench.fleet import Site
from bench.load import NotMeasured
from bench.stand import Stand, stand

_CONNECTIONS = 64
_HERE = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
_TABLES = "select sum(pg_total_relation_size(relid))::bigint from pg_stat_user_tables where relname !~ '^bench_'"
_INTERVAL = "update lines set heartbeat_seconds = $1::int, last_contact_at = now() - $1::int * interval '1 second'"


@dataclass(slots=True)
class Held:
    """What was seen."""

    seconds: float = 0
    latencies: list[float] = field(default_factory=list)
    sent: int = 0
    received: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    wal: int = 0
    growth: int = 0

    @property
    def beats(self) -> int:
        """How many heartbeats were answered 200."""
        return len(self.latencies)


def hold_fleet(sites: int, interval: int, seconds: int, console: Console) -> None:
    """Hold a fleet and print what it cost."""
    with console.status(f"making {sites:,} sites"), stand(sites) as made:
        held = asyncio.run(_hold(made, interval, seconds))
    show(held, sites, interval, console)


async def _hold(made: Stand, interval: int, seconds: int) -> Held:
    connection: Any = await made.connect()
    await connection.execute(_INTERVAL, interval)
    await connection.execute("vacuum lines")
    await connection.execute("checkpoint")
    fleet = await made.read_sites(made.sites)
    held = Held()
    wal, tables = await connection.fetchval(_HERE), await connection.fetchval(_TABLES)
    cpu, started = _cpu(made), time.perf_counter()
    await _send(made, fleet, len(fleet) / interval, seconds, held)
    held.seconds = time.perf_counter() - started
    held.cpu = {name: spent - cpu[name] for name, spent in _cpu(made).items()}
    held.wal = await connection.fetchval(_HERE) - wal
    held.growth = await connection.fetchval(_TABLES) - tables
    await connection.close()
    return held


def _cpu(made: Stand) -> dict[str, float]:
    spent = {"API": cpu_seconds(made.api.pid) if made.api else 0.0}
    if made.ground.servers is not None:
        spent["PostgreSQL"] = cpu_seconds(made.ground.servers.postgres.pid)
        spent["Valkey"] = cpu_seconds(made.ground.servers.valkey.pid)
    return spent


async def _send(made: Stand, fleet: Sequence[Site], rate: float, seconds: int, held: Held) -> None:
    """Send at the fleet's rate; each connection takes the next site that is due."""
    turns = _turns(fleet, rate, time.perf_counter() + 0.2, round(rate * seconds))
    await asyncio.gather(*(_keep(made, turns, held) for _ in range(_CONNECTIONS)))


def _turns(fleet: Sequence[Site], rate: float, starts: float, count: int) -> Iterator[tuple[float, Site]]:
    standing = list(fleet)
    for n in range(count):
        place = n % len(standing)
        yield starts + n / rate, standing[place]
        standing[place] = standing[place].next()


async def _keep(made: Stand, turns: Iterator[tuple[float, Site]], held: Held) -> None:
    address, vault = urlsplit(made.url), made.vault
    reader, writer = await asyncio.open_connection(str(address.hostname), int(address.port or 0))
    for due, site in turns:
        await asyncio.sleep(due - time.perf_counter())
        request = site.request(vault, made.now())
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        if b" 200 " not in head[:16]:
            raise NotMeasured(f"a heartbeat was answered {head[:40]!r}")
        held.latencies.append(1000 * (time.perf_counter() - due))
        held.sent += len(request)
        held.received += len(head) + length
    writer.close()


def show(held: Held, sites: int, interval: int, console: Console) -> None:
    """Print what it cost, in all and for each heartbeat."""
    cuts = quantiles(held.latencies, n=1000)
    table = Table("what", "in all", "a heartbeat", title=f"{sites:,} sites, a heartbeat every {interval} s")
    table.add_row("heartbeats", f"{held.beats:,} in {held.seconds:.0f} s", f"{held.beats / held.seconds:,.0f}/s")
    for name, cut in (("p50", 499), ("p90", 899), ("p99", 989), ("p99.9", 998)):
        table.add_row(f"latency {name}", f"{cuts[cut]:.1f} ms", "")
    table.add_row("latency, longest", f"{max(held.latencies):.1f} ms", "")
    for name, spent in held.cpu.items():
        table.add_row(f"CPU of {name}", f"{spent:.2f} s", f"{1e6 * spent / held.beats:,.0f} us")
    table.add_row("WAL, with full-page images", f"{held.wal:,} bytes", f"{held.wal / held.beats:,.0f} bytes")
    table.add_row("growth of all tables", f"{held.growth:,} bytes", f"{held.growth / held.beats:,.1f} bytes")
    table.add_row("sent by sites, of HTTP", f"{held.sent:,} bytes", f"{held.sent / held.beats:,.0f} bytes")
    table.add_row("received by sites", f"{held.received:,} bytes", f"{held.received / held.beats:,.0f} bytes")
    console.print(table)
