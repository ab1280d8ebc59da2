"""The ledger: entries go in, set-wise, and are never changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.usage.entries import Counts, Entry, PlacedEntry
from services.usage.partitions import whole_from
from services.usage.receipts import next_receipt
from services.usage.tables import Line, UsageConflict, UsageEntry

GapRow = tuple[UUID, UUID, int, datetime, datetime, datetime | None]
"""site, installation, line; until, from; how far usage was known in between"""

LineId = tuple[UUID, UUID, int]
"""site, installation, line"""

_APPEND = """
insert into usage_entries (site_id, installation_id, line, n, kind, at, clock_suspect, server, workstation, server_plus,
    active_server, active_workstation, active_server_plus, entry, receipt, received_at)
select * from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::text[], $6::timestamptz[], $7::bool[],
    $8::int[], $9::int[], $10::int[], $11::int[], $12::int[], $13::int[], $14::bytea[], $15::bytea[],
    $16::timestamptz[])
"""
_RECORD_GAPS = """
insert into contact_gaps (site_id, installation_id, line, until_at, from_at, known_until_at)
select * from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
on conflict do nothing
"""
_NO_COUNTS = (None, None, None)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Entries of one line that one request brought."""

    line_id: LineId
    entries: Sequence[PlacedEntry]
    received_at: datetime


async def append(connection: AsyncConnection, arrivals: Sequence[Arrival]) -> None:
    """Add the entries of many lines in one statement. The caller holds the lines' locks and numbers them."""
    rows = [
        (
            *arrival.line_id,
            placed.entry.n,
            placed.entry.kind,
            placed.at,
            placed.clock_suspect,
            *(placed.entry.deployed or _NO_COUNTS),
            *(placed.entry.active or _NO_COUNTS),
            placed.entry.canonical,
            placed.receipt,
            arrival.received_at,
        )
        for arrival in arrivals
        for placed in arrival.entries
    ]
    if rows:
        await connection.exec_driver_sql(_APPEND, tuple(map(list, zip(*rows, strict=True))))


async def record_gaps(connection: AsyncConnection, gaps: Sequence[GapRow]) -> None:
    """Record stretches without contact that have ended, in one statement; most batches have none."""
    if gaps:
        await connection.exec_driver_sql(_RECORD_GAPS, tuple(map(list, zip(*gaps, strict=True))))


async def entry_at(db: AsyncSession, lines: Mapping[int, Line], line: int, n: int) -> UsageEntry | None:
    """Give entry n as a line knows it: its own, or that of the line it was resumed from.

    `lines` are all lines of the installation by number.
    """
    row = lines[_holder(lines, line, n)]
    return await db.scalar(select(UsageEntry).where(*_of(row), UsageEntry.n == n))


async def is_whole_at(db: AsyncSession, lines: Mapping[int, Line], line: int, n: int) -> bool:
    """Tell whether the ledger still has what followed from a line's entries up to n; old months may be archived."""
    archived_before = await whole_from(db)
    if n == 0 or archived_before is None:
        return True
    row = lines[_holder(lines, line, n)]
    # What is carried on is the last of its kind. So nothing that is carried may have come after entry n.
    later = exists().where(*_of(row), UsageEntry.n > n, UsageEntry.at < archived_before)
    there = exists().where(*_of(row), UsageEntry.n == n)
    return bool(await db.scalar(select(and_(there, ~later))))


async def counts_at(db: AsyncSession, lines: Mapping[int, Line], line: int, n: int) -> Counts | None:
    """Give the counts after entry n as a line knows them; None before the first change."""
    row = lines[_holder(lines, line, n)]
    change = await db.scalar(
        select(UsageEntry)
        .where(*_of(row), UsageEntry.n <= n, UsageEntry.kind == "change")
        .order_by(UsageEntry.n.desc())
        .limit(1)
    )
    if change is not None:
        return Counts(change.server or 0, change.workstation or 0, change.server_plus or 0)
    if row.base_server is None:
        return None
    return Counts(row.base_server, row.base_workstation or 0, row.base_server_plus or 0)


async def seen_at(db: AsyncSession, lines: Mapping[int, Line], line: int, n: int) -> list[UUID] | None:
    """Give the standalones that a line listed after entry n; None before the first list."""
    row = lines[_holder(lines, line, n)]
    listed = await db.scalar(
        select(UsageEntry.entry)
        .where(*_of(row), UsageEntry.n <= n, UsageEntry.kind == "standalones")
        .order_by(UsageEntry.n.desc())
        .limit(1)
    )
    return row.base_seen if listed is None else [UUID(one) for one in json.loads(listed)["seen"]]


async def keep_conflicts(
    db: AsyncSession,
    lines: Mapping[int, Line],
    line: int,
    entries: Sequence[Entry],
    *,
    first: bytes,
    now: datetime,
) -> list[int]:
    """Compare entries that are known already; keep different ones as evidence and give their numbers.

    `first` is receipt 0 of the installation.
    """
    different = []
    for entry in entries:
        known = await entry_at(db, lines, line, entry.n)
        before = await entry_at(db, lines, line, entry.n - 1)
        if known is None or next_receipt(before.receipt if before else first, entry.canonical) != known.receipt:
            different.append(entry)
    for entry in different:
        evidence = {
            "site_id": lines[line].site_id,
            "installation_id": lines[line].installation_id,
            "line": line,
            "n": entry.n,
            "entry_sha256": sha256(entry.canonical).digest(),
            "entry": entry.canonical,
            "received_at": now,
        }
        await db.execute(insert(UsageConflict).values(evidence).on_conflict_do_nothing())
    return [entry.n for entry in different]


def _of(row: Line) -> tuple[ColumnElement[bool], ...]:
    return (
        UsageEntry.site_id == row.site_id,
        UsageEntry.installation_id == row.installation_id,
        UsageEntry.line == row.line,
    )


def _holder(lines: Mapping[int, Line], line: int, n: int) -> int:
    """Give the line that holds entry n in the ancestry of a line."""
    while (parent := lines[line].parent) is not None and n <= (lines[line].parent_through or 0):
        line = parent
    return line
