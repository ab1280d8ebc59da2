"""A site with a file of its own, a clock that stands, and a service in memory."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from site_manager import Counts, SiteManager
from tests.site_manager.fake_service import KEY, Clock, FakeService
from tests.site_manager.machine import Machine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> FakeService:
    return FakeService(clock)


@pytest.fixture
async def http(service: FakeService) -> AsyncIterator[httpx.AsyncClient]:
    async with service.client() as client:
        yield client


@pytest.fixture
def machine(tmp_path: Path, http: httpx.AsyncClient, clock: Clock) -> Iterator[Machine]:
    with ExitStack() as closing:
        yield Machine(tmp_path / "site.sqlite3", http, clock, closing)


@pytest.fixture
async def site(machine: Machine, clock: Clock) -> SiteManager:
    """An activated site with 12 servers and 140 workstations, nothing sent yet."""
    site = machine.site()
    await site.activate(KEY, hostname="backup01")
    site.record(clock(), Counts(server=12, workstation=140))
    return site
