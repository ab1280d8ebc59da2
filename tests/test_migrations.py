"""Migrations: up, down and up again, equal to the models, and the schema of a fresh deployment."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Column, Integer, Table, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ops import schema
from ops.ground import Ground, lay_ground
from services.db import Row
from services.reports.document import Document, cover_of, write
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


def test_reports_that_were_written_before_covers_get_the_same_one(url: str) -> None:
    schema.downgrade(url, "0341")
    days = ["2026-03-01", "2026-03-02"]
    lines = [
        {"site_id": "site_1", "flags": ["new", "voided", "estimate"], "daily": {
            "server": [1, None], "workstation": [None, None], "server_plus": [0, 2]}},
        {"site_id": "site_2", "flags": ["new"], "daily": {
            "server": [3, None], "workstation": [None, None], "server_plus": [0, 4]}},
    ]  # fmt: skip
    beside = {"number": "2026-00001", "period": {"days": days}, "corrections": [], "totals": {"sites": 2}}
    documents: dict[str, Document] = {"full": {**beside, "lines": lines}, "empty": {**beside, "lines": []}}
    covers = asyncio.run(_covers(url, documents))
    assert covers == {name: cover_of(document) for name, document in documents.items()}


async def _covers(url: str, documents: Mapping[str, Document]) -> dict[str, Any]:
    """Put reports into a database of 0341, and give their covers as the upgrade makes them."""
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.begin() as connection:
        distributor_id, at = uuid4(), datetime(2026, 3, 1, tzinfo=UTC)
        period = {"d": distributor_id, "at": at, "until": at + timedelta(days=2)}
        await connection.execute(
            text("insert into distributors (id, name, zone, created_at) values (:d, 'D', 'UTC', :at)"), period
        )
        await connection.execute(
            text("insert into closed_periods (distributor_id, starts_at, ends_at, month, zone, zone_data, cut_off_at) "
                 "values (:d, :at, :until, '2026-03', 'UTC', 'x', :until)"), period,
        )  # fmt: skip
        for name, document in documents.items():
            await connection.execute(
                text("insert into reports (id, distributor_id, starts_at, msp_id, msp_name, document) "
                     "values (gen_random_uuid(), :d, :at, gen_random_uuid(), :name, :document)"),
                {**period, "name": name, "document": write(document)},
            )  # fmt: skip
    await asyncio.to_thread(schema.upgrade, url)
    async with engine.begin() as connection:
        rows = await connection.execute(text("select msp_name, cover from reports"))
        found = {row.msp_name: row.cover for row in rows}
        for table in ("reports", "closed_periods", "distributors"):
            await connection.execute(text(f"delete from {table}"))
    await engine.dispose()
    return found


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
