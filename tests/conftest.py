"""What tests stand on: a PostgreSQL and a Valkey of the suite's own, clean for each test, and a clock that stands.

Every worker of xdist has servers of its own. With TIDEMARK_DATABASE_URL and TIDEMARK_REDIS_URL set those are used, and
each worker makes a database of its own there.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import httpx
import hypothesis
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from license_api.app import create_app
from ops.ground import Ground, lay_ground
from services import partners, sites
from services.db import Sessions, make_engine, make_sessions
from services.settings import Settings
from services.signing import Vault
from services.sites import Desk, LeaseSigner, Pace
from tests.support.clock import START, TestClock
from tests.support.database import commit_without_waiting, wipe
from tests.support.world import ZONE, World

# How many plays the state machine makes; other properties say for themselves. CI asks for the thorough ones.
hypothesis.settings.register_profile("usual", max_examples=40)
hypothesis.settings.register_profile("thorough", max_examples=200)
hypothesis.settings.load_profile("usual")

_addresses = itertools.count(1)


@pytest.fixture(scope="session")
def ground() -> Iterator[Ground]:
    """The servers, with the schema that the migrations make; those that tests kill are others, in tests/faults."""
    with lay_ground() as laid:
        asyncio.run(commit_without_waiting(laid.settings.migrate_database_url))
        yield laid


@pytest.fixture
def settings(ground: Ground) -> Settings:
    return ground.settings


@pytest.fixture(scope="session")
async def engine(ground: Ground) -> AsyncIterator[AsyncEngine]:
    made = make_engine(ground.settings.database_url)
    yield made
    await made.dispose()


@pytest.fixture(scope="session")
async def owner(ground: Ground) -> AsyncIterator[AsyncEngine]:
    """What the service may not do: the owner of the schema."""
    made = make_engine(ground.settings.migrate_database_url, 1)
    yield made
    await made.dispose()


@pytest.fixture
async def sessions(engine: AsyncEngine, owner: AsyncEngine) -> Sessions:
    """Sessions on an empty database. They commit for real: races and locks are what they are in production."""
    await wipe(owner)
    return make_sessions(engine)


@pytest.fixture
async def db(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


@pytest.fixture
def vault(settings: Settings) -> Vault:
    return Vault(settings.master_secret.get_secret_value())


@pytest.fixture(scope="session")
def one_clock() -> TestClock:
    return TestClock()


@pytest.fixture
def clock(one_clock: TestClock) -> TestClock:
    one_clock.now = START
    return one_clock


@pytest.fixture
async def desk(sessions: Sessions, vault: Vault, settings: Settings, clock: TestClock) -> Desk:
    async with sessions.begin() as db:
        key = await sites.signing_key(db, vault, clock())
    # The clock stands in most tests, so machines come as early as can be; test_pace.py has the rule.
    return Desk(vault, LeaseSigner(settings.issuer, key), Pace(early_allowed=1_000_000))


@pytest.fixture
async def world(sessions: Sessions, desk: Desk, clock: TestClock) -> World:
    """One distributor in Rome with one MSP; everything else is asked of it."""
    async with sessions.begin() as db:
        distributor = await partners.add_distributor(db, name="Distribuzione", zone=ZONE, now=clock())
        msp = await partners.add_msp(db, name="Adriatica IT", distributor_id=distributor.id, now=clock())
    return World(sessions, desk, clock, distributor, msp)


@pytest.fixture(scope="session")
def built_app(ground: Ground, one_clock: TestClock) -> FastAPI:
    """The app, not started: to build its routes takes two seconds, so all tests share them."""
    return create_app(ground.settings, one_clock)


@pytest.fixture
async def app(built_app: FastAPI, world: World) -> AsyncIterator[FastAPI]:
    """The app, started anew, on the world's database and clock."""
    async with built_app.router.lifespan_context(built_app):
        yield built_app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A caller at an address of its own, so that no test is slowed for another's wrong keys.

    It answers 5xx as it would over the wire, for tests to see.
    """
    number = next(_addresses)
    address = f"10.0.{number // 256}.{number % 256}"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://tidemark.test") as made:
        yield made
