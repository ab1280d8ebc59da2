"""Servers of their own for tests that kill them: embedded ones, whatever servers are given to the suite."""

from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from license_api.app import create_app
from ops.embedded import Servers
from ops.ground import Ground, lay_ground
from services.db import make_engine
from services.settings import Settings
from tests.support.clock import TestClock


@pytest.fixture(scope="package")
def ground() -> Iterator[Ground]:
    """Fragile ground, in place of the suite's."""
    with lay_ground(Settings(database_url="", redis_url="")) as laid:
        yield laid


@pytest.fixture(scope="package")
def built_app(ground: Ground, one_clock: TestClock) -> FastAPI:
    """The app on this ground, not started."""
    return create_app(ground.settings, one_clock)


@pytest.fixture
def servers(ground: Ground) -> Iterator[Servers]:
    """The servers, running again afterwards."""
    assert ground.servers is not None
    yield ground.servers
    ground.servers.postgres.start()
    ground.servers.valkey.start()


@pytest.fixture
async def engine(ground: Ground, servers: Servers) -> AsyncIterator[AsyncEngine]:
    """New connections for each test, since the last one may have killed the old ones."""
    made = make_engine(ground.settings.database_url)
    yield made
    await made.dispose()


@pytest.fixture
async def owner(ground: Ground, servers: Servers) -> AsyncIterator[AsyncEngine]:
    """As new, for the same reason."""
    made = make_engine(ground.settings.migrate_database_url, 1)
    yield made
    await made.dispose()
