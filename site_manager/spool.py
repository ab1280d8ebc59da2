"""The site's memory: one SQLite file that is written before anything is sent.

A transaction that must be on the disk before the next step (a count, a frozen request, a new identity) says
`durable`; one that the service would repeat anyway (an answer) does not. Whatever was written earlier without
it becomes durable with the next one that is, since the write-ahead log is synced from its beginning.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from site_manager.answers import Answer, Binding
from site_manager.wire import base64url, first_receipt, instant

ENTRIES_MAX: Final = 200_000
SCHEMA_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE identity (only INTEGER PRIMARY KEY CHECK (only = 1),
    installation_id TEXT NOT NULL, secret TEXT NOT NULL, private_key BLOB NOT NULL, server TEXT);
CREATE TABLE binding (only INTEGER PRIMARY KEY CHECK (only = 1),
    site_id TEXT NOT NULL, key_id TEXT NOT NULL, key_sha256 BLOB NOT NULL, key_tail TEXT NOT NULL,
    activated_at TEXT NOT NULL,
    heartbeat_seconds REAL NOT NULL, warn_after_seconds REAL NOT NULL, disable_after_seconds REAL NOT NULL);
CREATE TABLE progress (only INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL, echo TEXT, echo_through INTEGER NOT NULL, resume INTEGER NOT NULL,
    through INTEGER NOT NULL, sent_through INTEGER NOT NULL,
    anchor_n INTEGER NOT NULL, anchor_receipt BLOB NOT NULL, disputed_n INTEGER, pruned_at TEXT,
    deployed TEXT, active TEXT,
    state TEXT, reason TEXT, server_time TEXT, heard_at TEXT, next_at TEXT);
CREATE TABLE lease (only INTEGER PRIMARY KEY CHECK (only = 1), token TEXT, unverified TEXT, jwks TEXT);
CREATE TABLE entry (n INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, at TEXT NOT NULL, body BLOB NOT NULL, receipt BLOB NOT NULL);
CREATE TABLE request (only INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL, nonce TEXT NOT NULL, entries INTEGER NOT NULL, last_n INTEGER NOT NULL,
    more INTEGER NOT NULL, resume INTEGER NOT NULL, body BLOB NOT NULL, sent_at TEXT NOT NULL,
    ended_at TEXT, refused TEXT, through INTEGER, receipt BLOB);
"""
_SCHEMA_2: Final = """
ALTER TABLE identity ADD COLUMN next_secret TEXT;
ALTER TABLE identity ADD COLUMN next_in_use INTEGER NOT NULL DEFAULT 0;
CREATE TABLE command (id TEXT PRIMARY KEY,
    kind TEXT NOT NULL, name TEXT NOT NULL, expires_at TEXT NOT NULL, received_at TEXT NOT NULL, begun_at TEXT,
    outcome TEXT, text TEXT, carried INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0);
CREATE TABLE inventory (only INTEGER PRIMARY KEY CHECK (only = 1),
    whole INTEGER NOT NULL, revision INTEGER NOT NULL, told_revision INTEGER);
INSERT INTO inventory VALUES (1, 0, 0, NULL);
CREATE TABLE agent (id TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this installation is: made once, before the first send."""

    installation_id: str
    secret: str
    private_key: bytes
    server: str | None
    next_secret: str | None = None
    next_in_use: int = 0

    def public_key(self) -> str:
        """The raw Ed25519 public key in base64url."""
        return base64url(Ed25519PrivateKey.from_private_bytes(self.private_key).public_key().public_bytes_raw())

    @property
    def secret_in_use(self) -> str:
        """The secret to show: the next one once its offer has been taken."""
        return self.next_secret if self.next_secret is not None and self.next_in_use else self.secret

    def credential_sha256(self) -> str:
        """What the service may know of the secret: the SHA-256 of its 43 characters."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Bound:
    """What the activation gave."""

    site_id: str
    key_id: str
    key_sha256: bytes
    key_tail: str
    activated_at: str
    heartbeat_seconds: float
    warn_after_seconds: float
    disable_after_seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the conversation is; `sequence`, `echo` and `echo_through` are of one answer."""

    sequence: int
    echo: str | None
    echo_through: int
    resume: int
    through: int
    sent_through: int
    anchor_n: int
    anchor_receipt: bytes
    disputed_n: int | None
    pruned_at: str | None
    deployed: str | None
    active: str | None
    state: str | None
    reason: str | None
    server_time: str | None
    heard_at: str | None
    next_at: str | None


class Spool:
    """The open file. Any number of processes may hold it: nothing that changes is cached."""

    def __init__(self, db: sqlite3.Connection, durable: bool, entries_max: int) -> None:
        self.db = db
        self.entries_max = entries_max
        self._durable = durable
        self._synced: bool | None = None

    @classmethod
    def open(cls, path: Path, *, durable: bool = True, entries_max: int = ENTRIES_MAX) -> "Spool":
        """Open the file, or make it, readable by its owner alone.

        `durable=False` never waits for the disk (a rig that may lose its spool with its machine);
        `entries_max` bounds the entries that wait, beyond which the oldest become one `lost` entry.
        """
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(path, isolation_level=None, timeout=10)
        db.execute("PRAGMA journal_mode = WAL")
        spool = cls(db, durable, entries_max)
        spool._make_schema()
        return spool

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end; `durable`: it is on the disk then."""
        self._sync(durable and self._durable)
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            self._roll_back()
            raise
        try:
            self.db.execute("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # A full disk may have ended the transaction already.
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")

    def _sync(self, full: bool) -> None:
        if self._synced is not full:
            mode = "FULL" if full else ("NORMAL" if self._durable else "OFF")
            self.db.execute(f"PRAGMA synchronous = {mode}")
            self._synced = full

    def _make_schema(self) -> None:
        with self.transaction(durable=True) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            steps = [_SCHEMA, _SCHEMA_2][version:] if version < SCHEMA_VERSION else []
            for statement in "".join(steps).split(";")[:-1]:
                db.execute(statement)
            if steps:
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            if version > SCHEMA_VERSION:
                raise sqlite3.DatabaseError(f"made by another version of the Site Manager (schema {version})")


def read_identity(db: sqlite3.Connection) -> Identity | None:
    """The identity, or None in a new file."""
    row = db.execute(
        "SELECT installation_id, secret, private_key, server, next_secret, next_in_use FROM identity"
    ).fetchone()
    return None if row is None else Identity(*row)


def make_identity(db: sqlite3.Connection, entropy: Callable[[int], bytes]) -> Identity:
    """Make the identity, and with it receipt 0, on which the chain of entries begins."""
    identity = Identity(
        installation_id=str(UUID(bytes=entropy(16), version=4)),
        secret=base64url(entropy(32)),
        private_key=entropy(32),
        server=None,
    )
    db.execute(
        "INSERT INTO identity (only, installation_id, secret, private_key) VALUES (1, ?, ?, ?)",
        (identity.installation_id, identity.secret, identity.private_key),
    )
    db.execute(
        "INSERT INTO progress (only, sequence, echo_through, resume, through, sent_through, anchor_n,"
        " anchor_receipt) VALUES (1, 0, 0, 0, 0, 0, 0, ?)",
        (first_receipt(identity.installation_id),),
    )
    db.execute("INSERT INTO lease (only) VALUES (1)")
    return identity


def write_server(db: sqlite3.Connection, server: str) -> None:
    """Remember the address of the service for the next command."""
    db.execute("UPDATE identity SET server = ?", (server,))


def read_bound(db: sqlite3.Connection) -> Bound | None:
    """What the activation gave, or None before it."""
    row = db.execute(
        "SELECT site_id, key_id, key_sha256, key_tail, activated_at, heartbeat_seconds, warn_after_seconds,"
        " disable_after_seconds FROM binding"
    ).fetchone()
    return None if row is None else Bound(*row)


def write_bound(db: sqlite3.Connection, binding: Binding, code: str, activated_at: str) -> None:
    """Keep what the activation gave; of the key only a hash and its last group."""
    db.execute(
        "INSERT OR REPLACE INTO binding VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            binding.site_id,
            binding.key_id,
            hashlib.sha256(code.encode()).digest(),
            code[-5:],
            activated_at,
            binding.heartbeat_seconds,
            binding.warn_after_seconds,
            binding.disable_after_seconds,
        ),
    )


def read_progress(db: sqlite3.Connection) -> Progress:
    """How far the conversation is (the identity must have been made)."""
    row = db.execute(
        "SELECT sequence, echo, echo_through, resume, through, sent_through, anchor_n, anchor_receipt,"
        " disputed_n, pruned_at, deployed, active, state, reason, server_time, heard_at, next_at"
        " FROM progress"
    ).fetchone()
    return Progress(*row)


def write_answer(db: sqlite3.Connection, answer: Answer, heard_at: str, next_at: str) -> None:
    """Take over what a 200 says."""
    db.execute(
        "UPDATE progress SET sequence = ?, echo = ?, echo_through = ?, through = ?, resume = 0,"
        " state = ?, reason = ?, server_time = ?, heard_at = ?, next_at = ?",
        (
            answer.sequence,
            answer.echo,
            answer.through,
            answer.through,
            answer.state,
            answer.reason,
            instant(answer.server_time),
            heard_at,
            next_at,
        ),
    )


@dataclass(frozen=True, slots=True)
class Leases:
    """The lease in hand, one that could not be checked yet, and the service's public keys as last fetched."""

    token: str | None
    unverified: str | None
    jwks: str | None


def read_leases(db: sqlite3.Connection) -> Leases:
    """The lease in hand and what is needed to check the next."""
    return Leases(*db.execute("SELECT token, unverified, jwks FROM lease").fetchone())


def write_leases(db: sqlite3.Connection, leases: Leases) -> None:
    """Keep the lease in hand and what is needed to check the next."""
    db.execute("UPDATE lease SET token = ?, unverified = ?, jwks = ?", (leases.token, leases.unverified, leases.jwks))


def write_unverified(db: sqlite3.Connection, token: str) -> None:
    """Keep a lease that came with an answer, until it has been checked."""
    db.execute("UPDATE lease SET unverified = ?", (token,))


def write_first_echo(db: sqlite3.Connection, echo: str, through: int) -> None:
    """Begin a conversation: the activation's echo names sequence 0."""
    db.execute("UPDATE progress SET sequence = 0, echo = ?, echo_through = ?, resume = 0", (echo, through))


def write_binding_state(db: sqlite3.Connection, state: str, server_time: str, now: str, next_at: str) -> None:
    """Take over how things stand from an activation's answer."""
    db.execute(
        "UPDATE progress SET state = ?, server_time = ?, heard_at = ?, next_at = ?",
        (state, server_time, now, next_at),
    )
