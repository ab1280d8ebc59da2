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
