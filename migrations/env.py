"""Runs the steps: as the owner of the schema, with time-outs, one transaction a step."""

import asyncio
from typing import Any

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import services.delivery.tables
import services.partners.people_tables
import services.reports.billing_tables
import services.reports.tables
import services.sites.tables  # noqa: F401 - the models of every feature join the metadata
from services.db import Row
from services.settings import Settings


def run_steps(connection: Connection) -> None:
    """Run what alembic was asked for on a connection."""
    connection.execute(text("set lock_timeout = '5s'"))
    connection.execute(text("set statement_timeout = '10min'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        transaction_per_migration=True,
        # The ledger's months are made by the worker.
        include_name=lambda name, kind, _: not (kind == "table" and (name or "").startswith("usage_entries_")),
    )
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    """Connect to where the caller said, else to where the environment says."""
    settings = context.config.attributes.get("url") or _from_environment()
    engine = create_async_engine(settings, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run_steps)
    await engine.dispose()


def _from_environment() -> Any:
    settings = Settings.load()
    return settings.migrate_database_url or settings.database_url


asyncio.run(connect_and_run())
