"""`tidemark migrate` with the owner beside the service: API and worker log in as somebody who owns nothing."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from ops.ground import Ground, lay_ground
from services.db import make_engine
from services.settings import Settings

LOGIN = "tidemark_of_an_operator"
QUOTED = "it's quoted"


@pytest.fixture
def owner_url(ground: Ground) -> Iterator[str]:
    """A database of this test's own, whose operator chooses a login."""
    given = Settings(database_url=ground.settings.migrate_database_url, redis_url=ground.settings.redis_url)
    with lay_ground(given) as laid:
        yield laid.settings.migrate_database_url
    asyncio.run(_run(ground.settings.migrate_database_url, f'drop role "{LOGIN}"'))


async def _run(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


def test_migrate_makes_the_login_of_the_service_which_reads_and_cannot_change_the_schema(
    owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service_url = make_url(owner_url).set(username=LOGIN, password=QUOTED).render_as_string(False)
    monkeypatch.setenv("TIDEMARK_DATABASE_URL", service_url)
    monkeypatch.setenv("TIDEMARK_MIGRATE_DATABASE_URL", owner_url)
    for _ in range(2):
        done = subprocess.run([sys.executable, "-m", "ops.cli", "migrate"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    asyncio.run(_look(service_url))


async def _look(service_url: str) -> None:
    engine = make_engine(service_url)
    async with engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from keys")) == 0
    for statement in ("drop table keys", "create table mine ()", "update audit_log set actor = ''"):
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError, match=r"must be owner|permission denied"):
                await connection.execute(text(statement))
    await engine.dispose()
