"""The database: the metadata that every table joins, and how an engine is made. Only the edge commits."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, LargeBinary, MetaData, func, select
from sqlalchemy.dialects.postgresql import UUID as PgUuid
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase


class Row(DeclarativeBase):
    """What every table's class descends from. Instants are timestamptz: asyncpg refuses naive ones and gives UTC."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        datetime: DateTime(timezone=True),
        UUID: PgUuid(as_uuid=True),
        bytes: LargeBinary,
    }


Sessions = async_sessionmaker[AsyncSession]


def make_engine(url: str, connections: int = 10, **arguments: Any) -> AsyncEngine:
    """Make the engine of a process; `connections` is the most it ever holds."""
    return create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=5,
        connect_args={"server_settings": {"timezone": "UTC", "application_name": "tidemark"}, "timeout": 5},
        **arguments,
    )


def make_sessions(engine: AsyncEngine) -> Sessions:
    """Make the factory of sessions; rows stay readable after the edge has committed."""
    return async_sessionmaker(engine, expire_on_commit=False)


def is_deadlock(error: BaseException) -> bool:
    """Tell whether PostgreSQL ended this transaction to break a deadlock: nothing of it was done, it may begin anew."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == "40P01"


def in_sets(db: AsyncSession) -> AbstractAsyncContextManager[None]:
    """Let what is asked within be planned as joins of whole sets.

    Policies make each row look dear and rare to the planner, which would then go through a whole fleet row by row.
    """
    return _planned_without(db, "nestloop")


def in_order(db: AsyncSession) -> AbstractAsyncContextManager[None]:
    """Let what is asked within be planned along an index in the wanted order, until its page is full."""
    return _planned_without(db, "sort")


async def keep_plans(db: AsyncSession) -> None:
    """Let what is asked from now on keep its plan: what is about one site is planned alike for everybody.

    A guarded transaction else plans each statement anew, which for such takes longer than to answer it.
    """
    await db.execute(select(func.set_config("plan_cache_mode", "auto", True)))


@asynccontextmanager
async def _planned_without(db: AsyncSession, step: str) -> AsyncIterator[None]:
    await db.execute(select(func.set_config(f"enable_{step}", "off", True)))
    yield
    await db.execute(select(func.set_config(f"enable_{step}", "on", True)))


async def take_turn(db: AsyncSession, name: str) -> None:
    """Let whoever does something of this name wait until this transaction ends: for rows that are not there yet."""
    await db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
