"""The machines of the sample: real Site Managers, each with its spool and a folder of its own."""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx

from ops.sample.customers import Customer
from services.clock import Clock
from site_manager import Answered, Change, Counts, FolderMachine, Repaired, SiteManager, Spool

_ROUNDS_MAX = 8
_DEFINITIONS = "Nightly\nHourly database\nWeekly full\n"
_VERSIONS = ("7.2.1", "7.2.1", "7.2.0", "7.1.4")


@dataclass(frozen=True, slots=True)
class Station:
    """One machine: where its memory is, and from which address it calls."""

    hostname: str
    folder: Path
    address: str

    @property
    def spool(self) -> Path:
        """Its Site Manager's memory."""
        return self.folder / "site.sqlite"

    def copied(self, hostname: str, address: str) -> "Station":
        """Copy its disk as it is at this instant, for another machine to run on."""
        copy = Station(hostname, self.folder.with_name(hostname), address)
        copy.folder.mkdir()
        with sqlite3.connect(self.spool) as before, sqlite3.connect(copy.spool) as after:
            before.backup(after)
        before.close()
        after.close()
        return copy


@asynccontextmanager
async def switched_on(station: Station, http: httpx.AsyncClient, clock: Clock) -> AsyncIterator[SiteManager]:
    """Run a station's Site Manager."""
    station.folder.mkdir(exist_ok=True)
    spool = Spool.open(station.spool, durable=False)
    try:
        yield SiteManager(spool, http, clock, hostname=station.hostname, machine=FolderMachine(station.folder))
    finally:
        spool.close()


async def speak(manager: SiteManager) -> None:
    """Send what there is to be sent, and do what is asked."""
    for _ in range(_ROUNDS_MAX):
        outcome = await manager.heartbeat()
        if not isinstance(outcome, Repaired) and not (isinstance(outcome, Answered) and outcome.more):
            break
    await manager.tend()


def life_of(customer: Customer, begins_at: datetime, ends_at: datetime) -> list[Change]:
    """Make up how many agents there were: they come on working days, some are replaced, a few are taken away."""
    random = Random(customer.name)  # noqa: S311 - the same in every run
    now = [customer.agents.server, customer.agents.workstation, customer.agents.server_plus]
    changes = [Change(begins_at, Counts(*now))]
    for day in range(1, (ends_at - begins_at).days):
        at = begins_at + timedelta(days=day, seconds=random.randrange(8 * 3600))
        if at.weekday() < 5 and random.random() < 0.45:
            kind = random.choices((0, 1, 2), weights=(2, 10, 1))[0]
            step = random.choice((1, 1, 2, 3, -1, -1, -2))
            if now[kind] and now[kind] + step >= 0:
                now[kind] += step
                changes.append(Change(at, Counts(*now)))
    return changes


def furnish(station: Station, customer: Customer, counts: Counts, now: datetime) -> None:
    """Put a machine's agents and the state of its backups into its folder."""
    station.folder.mkdir(exist_ok=True)
    (station.folder / "definitions.txt").write_text(_DEFINITIONS)
    (station.folder / "inventory.json").write_text(json.dumps(_agents(customer, counts, now)))
    if customer.backups is not None:
        four = dict(zip(("ok", "warning", "failed", "overdue"), customer.backups, strict=True))
        (station.folder / "backups.json").write_text(json.dumps(four))


def _agents(customer: Customer, counts: Counts, now: datetime) -> list[dict[str, Any]]:
    random = Random(customer.name)  # noqa: S311 - the same in every run
    kinds: Sequence[tuple[str, str, int]] = (
        ("server", "SRV", counts.server),
        ("workstation", "PC", counts.workstation),
        ("server_plus", "PLUS", counts.server_plus),
    )
    _ok, warned, failed, overdue = customer.backups or (0, 0, 0, 0)
    troubles = [("failed", 0)] * failed + [("warning", 0)] * warned + [("ok", 4)] * overdue
    agents = []
    for kind, name, count in kinds:
        for number in range(1, count + 1):
            heard_at = now - timedelta(minutes=random.randrange(60))
            result, days = troubles.pop() if troubles else ("ok", 0)
            agents.append(
                {
                    "id": f"{kind}-{number}",
                    "name": f"{name}-{number:03}.{customer.host}",
                    "type": kind,
                    "version": random.choice(_VERSIONS),
                    "last_contact_at": _text(heard_at),
                    "last_backup_at": _text(now - timedelta(days=days, minutes=random.randrange(60, 900))),
                    "last_backup": result,
                }
            )
    return agents


def _text(at: datetime) -> str:
    return at.replace(microsecond=0).isoformat().replace("+00:00", "Z")
