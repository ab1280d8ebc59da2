"""The login of API and worker: it owns nothing, and does what the service's group roles may."""

import asyncio

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

_ROLES = "tidemark_service, tidemark_tenant, tidemark_vendor"


def admit(owner_url: str, service_url: str) -> None:
    """Make the login that `service_url` names, unless it is there, and put it into the service's roles.

    Runs an event loop of its own, after the migrations, which make the roles.
    """
    asyncio.run(_admit(owner_url, service_url))


async def _admit(owner_url: str, service_url: str) -> None:
    login = make_url(service_url)
    if login.username == make_url(owner_url).username:
        return
    engine = create_async_engine(owner_url)
    async with engine.begin() as db:
        if await db.scalar(text("select 1 from pg_roles where rolname = :name"), {"name": login.username}) is None:
            await _run(db, "create role %I login password %L", login.username, login.password)
        await _run(db, f"grant {_ROLES} to %I", login.username)
    await engine.dispose()


async def _run(db: AsyncConnection, pattern: str, *values: str | None) -> None:
    """Run a statement that takes no parameters, with its names and literals quoted by the server."""
    places = "".join(f", cast(:v{number} as text)" for number in range(len(values)))
    given = {f"v{number}": value for number, value in enumerate(values)}
    statement = await db.scalar(text(f"select format('{pattern}'{places})"), given)
    await db.exec_driver_sql(str(statement))
