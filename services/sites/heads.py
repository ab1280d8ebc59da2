"""The heads of lines in the database: locked and read, and written back, many at once.

Locks are taken in the order of the primary key; a second process doing the same cannot cross it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.sites.heartbeat import Head
from services.usage import Counts, LineId

_COLUMNS = """l.site_id, l.installation_id, l.line, l.credential_sha256, l.key_id, l.told_state, l.heartbeat_seconds,
    l.disable_after_seconds, l.renew_lease_at, l.sequence, l.nonce, l.through, l.receipt, l.server, l.workstation,
    l.server_plus, l.last_entry_at, l.known_until_at, l.said_more, l.last_contact_at, l.waiting,
    l.next_credential_sha256, l.backups"""

_LOCK = f"""
select {_COLUMNS}
from unnest($1::uuid[], $2::uuid[], $3::smallint[]) as wanted (site_id, installation_id, line)
join lines l using (site_id, installation_id, line)
order by l.site_id, l.installation_id, l.line
for update of l
"""

_LOCK_INSTALLATION = f"""
select {_COLUMNS}
from lines l
where l.site_id = $1 and l.installation_id = $2
order by l.line
for update
"""

_WRITE = """
update lines l
set sequence = w.sequence, nonce = w.nonce, through = w.through, receipt = w.receipt, server = w.server,
    workstation = w.workstation, server_plus = w.server_plus, last_entry_at = w.last_entry_at,
    known_until_at = w.known_until_at, said_more = w.said_more, last_contact_at = w.last_contact_at,
    renew_lease_at = w.renew_lease_at, told_state = w.told_state, backups = coalesce(w.backups, l.backups)
from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bytea[], $8::int[],
    $9::int[], $10::int[], $11::timestamptz[], $12::timestamptz[], $13::bool[], $14::timestamptz[],
    $15::timestamptz[], $16::text[], $17::bytea[])
    as w (site_id, installation_id, line, sequence, nonce, through, receipt, server, workstation, server_plus,
    last_entry_at, known_until_at, said_more, last_contact_at, renew_lease_at, told_state, backups)
where l.site_id = w.site_id and l.installation_id = w.installation_id and l.line = w.line
"""


@dataclass(frozen=True, slots=True)
class LockedLine:
    """A line's row under lock: its head, and what the service has written there for heartbeats to know."""

    site_id: UUID
    installation_id: UUID
    credential_sha256: bytes
    key_id: UUID
    told_state: str
    heartbeat_seconds: int
    disable_after_seconds: int
    renew_lease_at: datetime
    last_contact_at: datetime
    said_more: bool
    head: Head
    waiting: bool = False
    next_credential_sha256: bytes | None = None
    backups: bytes | None = None

    @property
    def id(self) -> LineId:
        """The primary key."""
        return self.site_id, self.installation_id, self.head.line


@dataclass(frozen=True, slots=True)
class Advance:
    """What a heartbeat changes in its line's row."""

    line_id: LineId
    head: Head
    said_more: bool
    contact_at: datetime
    renew_lease_at: datetime
    told_state: str
    backups: bytes | None


async def lock_lines(connection: AsyncConnection, wanted: Sequence[LineId]) -> dict[LineId, LockedLine]:
    """Lock and read the lines that exist among those wanted."""
    if not wanted:
        return {}
    found = await connection.exec_driver_sql(_LOCK, tuple(map(list, zip(*wanted, strict=True))))
    return {line.id: line for line in map(_locked, found)}


async def lock_installation(connection: AsyncConnection, site_id: UUID, installation_id: UUID) -> list[LockedLine]:
    """Lock and read all lines of an installation, oldest first."""
    found = await connection.exec_driver_sql(_LOCK_INSTALLATION, (site_id, installation_id))
    return [_locked(row) for row in found]


async def write_heads(connection: AsyncConnection, advances: Sequence[Advance]) -> None:
    """Write back heads that are locked, in one statement."""
    rows = [
        (
            *one.line_id,
            one.head.sequence,
            one.head.nonce,
            one.head.through,
            one.head.receipt,
            *(one.head.counts or (None, None, None)),
            one.head.last_entry_at,
            one.head.known_until_at,
            one.said_more,
            one.contact_at,
            one.renew_lease_at,
            one.told_state,
            one.backups,
        )
        for one in advances
    ]
    if rows:
        await connection.exec_driver_sql(_WRITE, tuple(map(list, zip(*rows, strict=True))))


def _locked(row: Any) -> LockedLine:
    counts = None if row.server is None else Counts(row.server, row.workstation, row.server_plus)
    return LockedLine(
        site_id=row.site_id,
        installation_id=row.installation_id,
        credential_sha256=row.credential_sha256,
        key_id=row.key_id,
        told_state=row.told_state,
        heartbeat_seconds=row.heartbeat_seconds,
        disable_after_seconds=row.disable_after_seconds,
        renew_lease_at=row.renew_lease_at,
        last_contact_at=row.last_contact_at,
        said_more=row.said_more,
        head=Head(
            line=row.line,
            sequence=row.sequence,
            nonce=row.nonce,
            through=row.through,
            receipt=row.receipt,
            counts=counts,
            last_entry_at=row.last_entry_at,
            known_until_at=row.known_until_at,
        ),
        waiting=row.waiting,
        next_credential_sha256=row.next_credential_sha256,
        backups=row.backups,
    )
