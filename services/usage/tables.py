"""Tables of usage: the lines of an installation, and the ledger of their numbered entries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUuid
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row


class Line(Row):
    """The head of a line: one narrow row that a heartbeat updates and decides by.

    No foreign key, and no index on what a heartbeat changes, so that its update stays within its page (HOT). What it
    must know (`told_state`, intervals, `renew_lease_at`, `waiting`) is written here by whoever changes it.
    """

    __tablename__ = "lines"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    credential_sha256: Mapped[bytes]
    # What the installation offered when told to change its credential; in force once it is used.
    next_credential_sha256: Mapped[bytes | None]
    key_id: Mapped[UUID]
    product: Mapped[str]
    told_state: Mapped[str]
    heartbeat_seconds: Mapped[int]
    disable_after_seconds: Mapped[int]
    through: Mapped[int] = mapped_column(BigInteger)
    receipt: Mapped[bytes]
    said_more: Mapped[bool]
    # The last known counts; null before the first change.
    server: Mapped[int | None]
    workstation: Mapped[int | None]
    server_plus: Mapped[int | None]
    last_entry_at: Mapped[datetime]
    renew_lease_at: Mapped[datetime]
    # The backups as told last: four int32 in one value, for an idle heartbeat to compare.
    backups: Mapped[bytes | None]
    # Something other than the usual answer waits for the site.
    waiting: Mapped[bool]
    # Where the line's function begins, and what it inherits there from the line that it was resumed from.
    parent: Mapped[int | None] = mapped_column(SmallInteger)
    parent_through: Mapped[int | None] = mapped_column(BigInteger)
    begins_at: Mapped[datetime]
    base_server: Mapped[int | None]
    base_workstation: Mapped[int | None]
    base_server_plus: Mapped[int | None]
    # The standalones that it lists from its beginning on, and when its first request came.
    base_seen: Mapped[list[UUID] | None] = mapped_column(ARRAY(PgUuid(as_uuid=True)))
    opened_at: Mapped[datetime | None]
    # The nonce of the last resume that it took: a late duplicate of it opens no further line.
    resumed_nonce: Mapped[bytes | None]
    # What an idle heartbeat changes, together and last, which halves its WAL: the last request, when it was answered
    # (server time), and the instant up to which usage is known.
    sequence: Mapped[int] = mapped_column(BigInteger)
    last_contact_at: Mapped[datetime]
    known_until_at: Mapped[datetime | None]
    nonce: Mapped[bytes | None]
    # Of the bound Site Manager of a key: the key's MSP, so that whole fleets are read without a look at each tenure;
    # null of all others.
    msp_id: Mapped[UUID | None]

    __table_args__ = (
        Index(None, "msp_id", postgresql_where=text("msp_id is not null")),
        {"postgresql_with": {"fillfactor": "50"}},
    )


class UsageEntry(Row):
    """One numbered entry of a line, as the site sent it. Append-only: never updated, never deleted.

    `change` sets the counts from `at` on; `lost` makes them unknown from `at` until the next change; `standalones`
    lists what the Site Manager sees. `at` is the instant that counts, `entry` the canonical JSON as sent (raw instant
    and all), `receipt` the hash over this entry and all before it.
    """

    __tablename__ = "usage_entries"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    # In the key because the table is partitioned by it; a number is one's own, for the head's lock gives it.
    at: Mapped[datetime] = mapped_column(primary_key=True)
    clock_suspect: Mapped[bool]
    server: Mapped[int | None]
    workstation: Mapped[int | None]
    server_plus: Mapped[int | None]
    active_server: Mapped[int | None]
    active_workstation: Mapped[int | None]
    active_server_plus: Mapped[int | None]
    entry: Mapped[bytes]
    receipt: Mapped[bytes]
    received_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("kind in ('change', 'standalones', 'lost')", name="kind"),
        Index(None, "site_id", "installation_id", "line", "at", "n"),
        # Few: the close asks each site for one.
        Index("ix_usage_entries_suspect", "site_id", "at", postgresql_where="clock_suspect"),
        {"postgresql_partition_by": "range (at)"},
    )


class LedgerArchive(Row):
    """A time at which old months were taken out of the ledger: all before an instant, but for what is carried on."""

    __tablename__ = "ledger_archives"

    before_at: Mapped[datetime] = mapped_column(primary_key=True)
    archived_at: Mapped[datetime]
    partitions: Mapped[list[str]] = mapped_column(ARRAY(String))
    entries: Mapped[int] = mapped_column(BigInteger)
    carried: Mapped[int] = mapped_column(BigInteger)


class UncountedStretch(Row):
    """A stretch in which what an installation reports is evidence and counts nothing (half-open; null: for good).

    It was released and another Site Manager activated, it was told that its key is revoked, or its seat had ended.
    """

    __tablename__ = "uncounted_stretches"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    until_at: Mapped[datetime | None]
    why: Mapped[str]

    __table_args__ = (CheckConstraint("until_at is null or until_at >= from_at", name="interval"),)


class ContactGap(Row):
    """A stretch between two contacts of a line, and how far its usage was known in it; null: nothing of it yet.

    Written by the heartbeat that ends the stretch, and only if that heartbeat changes what was known of the past: after
    a long silence, in a burst, on a new line, or with a late entry. So what was known at an instant of the past can
    still be told, a closed month knows which sites to look at again, and an ordinary heartbeat writes nothing.
    """

    __tablename__ = "contact_gaps"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    until_at: Mapped[datetime] = mapped_column(primary_key=True)
    from_at: Mapped[datetime]
    known_until_at: Mapped[datetime | None]


class UsageConflict(Row):
    """Evidence: another entry that came under a number already taken. The first counts; this one never does."""

    __tablename__ = "usage_conflicts"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_sha256: Mapped[bytes] = mapped_column(primary_key=True)
    entry: Mapped[bytes]
    received_at: Mapped[datetime]
