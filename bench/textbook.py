"""The textbook way, as a yardstick: FastAPI, SQLAlchemy's ORM, one transaction a request.

A heartbeat is select + update + upsert; an activation is select + three inserts. Tables of its own, keyed by integers,
with the foreign keys and indexes that a textbook would have.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import DateTime, ForeignKey, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateIndex, CreateTable

from license_api.v1.wire import ActivationRequest, HeartbeatRequest


class Base(DeclarativeBase):
    """Its own metadata."""

    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012


class BenchKey(Base):
    """A licence key."""

    __tablename__ = "bench_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    activated_at: Mapped[datetime | None]


class BenchSite(Base):
    """A site."""

    __tablename__ = "bench_sites"
    id: Mapped[int] = mapped_column(primary_key=True)
    key_id: Mapped[int | None] = mapped_column(ForeignKey("bench_keys.id"))
    installation_id: Mapped[str] = mapped_column(unique=True)
    credential_sha256: Mapped[str]
    state: Mapped[str]
    sequence: Mapped[int]
    last_seen_at: Mapped[datetime] = mapped_column(index=True)


class BenchPeak(Base):
    """The highest number of agents of a type in a month."""

    __tablename__ = "bench_peaks"
    site_id: Mapped[int] = mapped_column(ForeignKey("bench_sites.id"), primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    server: Mapped[int]
    workstation: Mapped[int]
    server_plus: Mapped[int]


class BenchEvent(Base):
    """A line of a key's history."""

    __tablename__ = "bench_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("bench_keys.id"), index=True)
    event: Mapped[str]
    at: Mapped[datetime]


async def _heartbeat(db: AsyncSession, credential: str, body: HeartbeatRequest) -> dict[str, Any]:
    _, installation_id, secret = credential.removeprefix("Bearer ").split(".")
    site = await db.scalar(select(BenchSite).where(BenchSite.installation_id == installation_id))
    if site is None or site.credential_sha256 != sha256(secret.encode()).hexdigest():
        raise HTTPException(401)
    now = datetime.now(UTC)  # noqa: TID251
    site.last_seen_at, site.sequence = now, body.sequence
    counts = body.deployed.model_dump()
    peak = insert(BenchPeak).values(site_id=site.id, month=now.strftime("%Y-%m"), **counts)
    highest = {name: func.greatest(getattr(BenchPeak, name), value) for name, value in counts.items()}
    await db.execute(peak.on_conflict_do_update(index_elements=["site_id", "month"], set_=highest))
    return {"state": site.state, "sequence": site.sequence}


async def _activate(db: AsyncSession, body: ActivationRequest) -> dict[str, Any]:
    hashed = sha256(body.license_key.encode()).hexdigest()
    key = await db.scalar(select(BenchKey).where(BenchKey.code_hash == hashed).with_for_update())
    if key is None:
        raise HTTPException(404)
    now = datetime.now(UTC)  # noqa: TID251
    key.state, key.activated_at = "active", now
    site = BenchSite(
        key_id=key.id,
        installation_id=str(body.installation_id),
        credential_sha256=body.credential_sha256,
        state="active",
        sequence=0,
        last_seen_at=now,
    )
    db.add_all([site, BenchEvent(key_id=key.id, event="activated", at=now)])
    await db.flush()
    return {"site": site.id}


def routes(database_url: str) -> dict[str, FastAPI]:
    """Make the yardstick's routes."""
    sessions = async_sessionmaker(create_async_engine(database_url, pool_size=10, max_overflow=0))
    app = FastAPI()

    async def transaction() -> AsyncIterator[AsyncSession]:
        async with sessions.begin() as db:
            yield db

    Db = Annotated[AsyncSession, Depends(transaction, scope="function")]

    @app.post("/bench/textbook")
    async def heartbeat(body: HeartbeatRequest, db: Db, authorization: Annotated[str, Header()]) -> dict[str, Any]:
        return await _heartbeat(db, authorization, body)

    @app.post("/bench/textbook/activations")
    async def activate(body: ActivationRequest, db: Db) -> dict[str, Any]:
        return await _activate(db, body)

    return {"/bench/textbook": app, "/bench/textbook/activations": app}


def tables_sql() -> list[str]:
    """Give the statements that make its tables."""
    statements = []
    for table in Base.metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=postgresql.dialect())))
        statements += [str(CreateIndex(index).compile(dialect=postgresql.dialect())) for index in table.indexes]
        statements.append(f"grant select, insert, update on {table.name} to tidemark_service")
    statements.append("grant usage on all sequences in schema public to tidemark_service")
    return statements
