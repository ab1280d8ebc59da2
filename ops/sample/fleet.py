"""The fleet of the sample: its sites, how they call, and what happens to some of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

import httpx
from fastapi import FastAPI

from ops.sample.customers import DARK, Customer, Fate
from ops.sample.stations import Station, furnish, life_of, speak, switched_on
from services.clock import Clock
from site_manager import Change, Counts, SiteManager

_DOWN = (*DARK, Fate.NEVER)


@dataclass(slots=True)
class SampleSite:
    """A customer's site, its machine, and the changes that are still to come."""

    customer: Customer
    site_id: UUID
    code: str
    station: Station
    last_at: datetime
    changes: list[Change]
    counts: Counts = field(default_factory=Counts)


@dataclass(slots=True)
class Fleet:
    """All sites and the machines beside them, calling an app in this process."""

    app: FastAPI
    clock: Clock
    folder: Path
    sites: list[SampleSite] = field(default_factory=list)
    beside: list[Station] = field(default_factory=list)

    def add(self, customer: Customer, site_id: UUID, code: str, ends_at: datetime) -> None:
        """Add a customer's site; it calls until its fate says so."""
        last_at = ends_at - DARK[customer.fate] if customer.fate in DARK else ends_at
        changes = life_of(customer, self.clock(), last_at)
        self.sites.append(SampleSite(customer, site_id, code, self._station(customer.host), last_at, changes))

    def of(self, fate: Fate) -> SampleSite:
        """Give the site of a fate."""
        return next(one for one in self.sites if one.customer.fate is fate)

    @property
    def alive(self) -> list[Station]:
        """The machines that go on."""
        return [*(one.station for one in self.sites if one.customer.fate not in _DOWN), *self.beside]

    async def activate(self) -> None:
        """Have every site type its key in."""
        for one in self.sites:
            if one.customer.fate is not Fate.NEVER:
                await self._activate(one, one.station, "site_manager", one.customer.name)

    async def call(self) -> None:
        """Have every machine that is not cut off tell what has happened since its last call."""
        now = self.clock()
        for one in self.sites:
            if one.customer.fate is not Fate.NEVER and now <= one.last_at:
                due = [change for change in one.changes if change.at <= now]
                one.changes = one.changes[len(due) :]
                one.counts = due[-1].deployed if due else one.counts
                if now == one.last_at:
                    furnish(one.station, one.customer, one.counts, now)
                await self._tell(one.station, due)
        for station in self.beside:
            await self._tell(station, [])

    async def copy(self) -> None:
        """Copy the machine of the site that then runs twice."""
        one = self.of(Fate.CLONE)
        self.beside.append(one.station.copied(f"{one.station.hostname}-test", self._address()))

    async def add_standalone(self) -> None:
        """Type a key into a Server Plus that stands alone."""
        one, station = self.of(Fate.STANDALONE), self._station("barbarigo-lab")
        await self._activate(one, station, "server_plus", "Laboratorio")
        await self._tell(station, [Change(self.clock(), Counts(0, 0, 1))])
        self.beside.append(station)

    async def want(self) -> None:
        """Type a key that is bound already into another machine."""
        one = self.of(Fate.WANTED)
        await self._activate(one, self._station("ferri-nuovo"), "site_manager", one.customer.name)

    async def _activate(self, one: SampleSite, station: Station, product: str, name: str) -> None:
        async with self._running(station) as manager:
            await manager.activate(
                one.code,
                hostname=station.hostname,
                name=name,
                product=product,
                console_url=f"https://{station.hostname}.example:8443/",
            )

    async def _tell(self, station: Station, changes: list[Change]) -> None:
        async with self._running(station) as manager:
            manager.record_many(changes)
            await speak(manager)

    @asynccontextmanager
    async def _running(self, station: Station) -> AsyncIterator[SiteManager]:
        transport = httpx.ASGITransport(self.app, client=(station.address, 1))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://sample") as http,
            switched_on(station, http, self.clock) as manager,
        ):
            yield manager

    def _station(self, hostname: str) -> Station:
        return Station(hostname, self.folder / hostname, self._address())

    def _address(self) -> str:
        return f"127.0.0.{10 + len(self.sites) + len(self.beside)}"
