"""Migrations: up, down and up again, equal to the models, and the schema of a fresh deployment."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, Table, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ops import schema
from ops.ground import Ground, lay_ground
from services.db import Row
from services.settings import Settings
from services.sites.findings import in_english


@pytest.fixture(scope="module")
def url(ground: Ground) -> Iterator[str]:
    """A database of this module's own, on the servers that are there."""
    given = Settings(database_url=ground.settings.migrate_database_url, redis_url=ground.settings.redis_url)
    with lay_ground(given) as laid:
        yield laid.settings.migrate_database_url


async def tables(url: str) -> set[str]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        found = await connection.execute(text("select tablename from pg_tables where schemaname = 'public'"))
        return {row.tablename for row in found}


def test_up_down_and_up_again_equals_the_models(url: str) -> None:
    schema.check(url)
    schema.downgrade(url, "base")
    schema.upgrade(url)
    schema.check(url)


def test_down_leaves_an_empty_database(url: str) -> None:
    schema.downgrade(url, "base")
    assert asyncio.run(tables(url)) == {"alembic_version"}
    schema.upgrade(url)


def test_a_model_that_no_migration_makes_is_noticed(url: str) -> None:
    surplus = Table("surplus", Row.metadata, Column("id", Integer, primary_key=True))
    try:
        with pytest.raises(Exception, match="surplus"):
            schema.check(url)
    finally:
        Row.metadata.remove(surplus)


def test_there_is_one_newest_revision() -> None:
    assert schema.head()


FINDINGS = {
    "inventory of 12 agents of type server_plus, 11 deployed": {
        "kind": "inventory", "type": "server_plus", "agents": 12, "deployed": 11,
    },
    "backups of 9 machines, 1 agents deployed": {"kind": "backups", "machines": 9, "deployed": 1},
    "changes were lost 2 times": {"kind": "lost", "times": 2},
    "a, b, 2026-03-03 09:00 to 2026-03-04 10:15 UTC; ?, 2026-03-05 09:00 to 2026-03-06 09:00 UTC": {
        "kind": "clone",
        "machines": [
            {"hostname": "a, b", "first": "2026-03-03T09:00:00Z", "last": "2026-03-04T10:15:00Z"},
            {"hostname": None, "first": "2026-03-05T09:00:00Z", "last": "2026-03-06T09:00:00Z"},
        ],
    },
    "a, 2026-03-03 09:00 to 2026-03-04 10:15 UTC; two of them": None,
    "inventory of 12 agents": None,
    "": None,
}  # fmt: skip


async def flagged(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        values = "gen_random_uuid(), 'implausible', now(), :detail"
        row = f"insert into site_flags (site_id, flag, from_at, detail) values ({values})"
        for detail in FINDINGS:
            await connection.execute(text(row), {"detail": detail})


async def findings(url: str) -> dict[str, object]:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        found = await connection.execute(text("select detail, finding from site_flags"))
        await connection.execute(text("delete from site_flags"))
        return {row.detail: row.finding for row in found}


def test_what_was_found_becomes_facts_and_says_the_same(url: str) -> None:
    schema.downgrade(url, "0341")
    asyncio.run(flagged(url))
    schema.upgrade(url)
    found = asyncio.run(findings(url))
    assert found == FINDINGS
    assert {in_english(one): one for one in found.values() if one} == {d: one for d, one in FINDINGS.items() if one}  # type: ignore[arg-type]
