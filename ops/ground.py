"""The ground that a stack stands on: a PostgreSQL with the schema and a Valkey, fresh, and gone afterwards.

As in production, the service logs in as a role that owns nothing; `migrate_database_url` is the owner's.

Embedded servers by default. With `TIDEMARK_DATABASE_URL` and `TIDEMARK_REDIS_URL` set, a database of its own on those.
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from ops import schema, service_login
from ops.embedded import Servers
from ops.embedded import start as start_servers
from services.settings import Settings


@dataclass(frozen=True, slots=True)
class Ground:
    """Settings that point at the servers; `servers` is None where they are not ours."""

    settings: Settings
    servers: Servers | None


@contextmanager
def lay_ground(given: Settings | None = None) -> Iterator[Ground]:
    """Start or find the servers, bring up the schema, and leave nothing behind."""
    given = given or Settings.load()
    if given.database_url and given.redis_url:
        with _scratch_database(given.database_url) as url:
            yield Ground(_settings(given, url, given.redis_url), None)
        return
    with start_servers() as servers:
        yield Ground(_settings(given, servers.database_url, servers.redis_url), servers)


def _settings(given: Settings, owner_url: str, redis_url: str) -> Settings:
    """Bring up the schema, make the service's login, and give the settings of both."""
    schema.upgrade(owner_url)
    login = make_url(owner_url).set(username=_login(owner_url), password=secrets.token_hex(16))
    service_url = login.render_as_string(hide_password=False)
    service_login.admit(owner_url, service_url)
    secret = given.master_secret.get_secret_value() or secrets.token_urlsafe(32)
    values = {
        "database_url": service_url,
        "migrate_database_url": owner_url,
        "redis_url": redis_url,
        "master_secret": SecretStr(secret),
    }
    return given.model_copy(update=values)


@contextmanager
def _scratch_database(url: str) -> Iterator[str]:
    name = f"tidemark_{secrets.token_hex(4)}"
    asyncio.run(_run_alone(url, f"create database {name}"))
    scratch = make_url(url).set(database=name).render_as_string(hide_password=False)
    try:
        yield scratch
    finally:
        asyncio.run(_run_alone(url, f"drop database {name} with (force)"))
        asyncio.run(_run_alone(url, f"drop role if exists {_login(scratch)}"))


def _login(owner_url: str) -> str:
    return f"{make_url(owner_url).database}_login"


async def _run_alone(url: str, statement: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()
