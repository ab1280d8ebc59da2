"""The request that waits for its answer: frozen on disk before it is sent, and sent until it is answered.

On disk it is the body without its last member, `sent_at`, so that a repeat is the same bytes but for that.
"""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from site_manager.answers import Answer
from site_manager.chain import agree, append_current, prune, waiting
from site_manager.spool import Progress, read_progress, write_answer
from site_manager.wire import instant

ENTRIES_MAX: Final = 1000
BYTES_MAX: Final = 240_000  # the service takes 256 KiB


@dataclass(frozen=True, slots=True)
class Frozen:
    """A request on disk."""

    sequence: int
    nonce: str
    entries: int
    last_n: int
    more: bool
    resume: bool
    body: bytes

    def sent(self, at: str) -> bytes:
        """The very bytes of one sending."""
        return b'%s"sent_at":"%s"}' % (self.body, at.encode())


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes last sent, and what became of them (`receipt` and `through` once answered)."""

    body: bytes
    ended_at: str | None
    refused: str | None
    through: int | None
    receipt: bytes | None


def read_waiting(db: sqlite3.Connection) -> Frozen | None:
    """The request that waits for its answer, if there is one."""
    row = db.execute(
        "SELECT sequence, nonce, entries, last_n, more, resume, body FROM request WHERE ended_at IS NULL"
    ).fetchone()
    if row is None:
        return None
    sequence, nonce, entries, last_n, more, resume, body = row
    return Frozen(sequence, nonce, entries, last_n, bool(more), bool(resume), body)


def read_payload(db: sqlite3.Connection) -> Payload | None:
    """The bytes last sent, if anything ever was."""
    row = db.execute("SELECT body, sent_at, ended_at, refused, through, receipt FROM request").fetchone()
    if row is None:
        return None
    body, sent_at, *rest = row
    return Payload(b'%s"sent_at":"%s"}' % (body, sent_at.encode()), *rest)


def freeze(
    db: sqlite3.Connection, nonce: str, now: str, limit: int = ENTRIES_MAX, hostname: str | None = None
) -> Frozen:
    """Put what is to be said now into a request, at most `limit` entries of it, and keep it.

    A resume names the machine, so that the service can tell two copies apart to people.
    """
    progress = read_progress(db)
    if progress.deployed is None:
        append_current(db, now)
        progress = read_progress(db)
    found = waiting(db, progress.through, limit + 1)
    taken = _fitting(found, limit)
    more = len(taken) < len(found)
    body = _body(progress, nonce, taken, more, hostname if progress.resume else None)
    last_n = taken[-1][0] if taken else progress.through
    frozen = Frozen(progress.sequence + 1, nonce, len(taken), last_n, more, bool(progress.resume), body)
    db.execute(
        "INSERT OR REPLACE INTO request (only, sequence, nonce, entries, last_n, more, resume, body, sent_at)"
        " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
        (frozen.sequence, nonce, frozen.entries, last_n, more, progress.resume, body, now),
    )
    if last_n > progress.sent_through:
        db.execute("UPDATE progress SET sent_through = ?", (last_n,))
    return frozen


def _fitting(found: list[tuple[int, str, bytes]], limit: int) -> list[tuple[int, str, bytes]]:
    """The first entries that one request takes: bounded in number and bytes, one `standalones` at most."""
    room, listed = BYTES_MAX, 0
    for i, (_, kind, body) in enumerate(found):
        room -= len(body) + 1
        listed += kind == "standalones"
        if i == limit or listed > 1 or (room < 0 and i > 0):
            return found[:i]
    return found


def _body(
    progress: Progress, nonce: str, taken: list[tuple[int, str, bytes]], more: bool, hostname: str | None
) -> bytes:
    parts = []
    if progress.active is not None:
        parts.append(f'"active":{{{progress.active}}}')
    changes = [body.decode() for _, kind, body in taken if kind == "change"]
    if changes:
        parts.append(f'"changes":[{",".join(changes)}]')
    parts.append(f'"deployed":{{{progress.deployed}}},"echo":{json.dumps(progress.echo)}')
    if hostname is not None:
        parts.append(f'"hostname":{json.dumps(hostname, ensure_ascii=False)}')
    lost = [body.decode() for _, kind, body in taken if kind == "lost"]
    if lost:
        parts.append(f'"lost":[{",".join(lost)}]')
    parts.append(f'"more":{"true" if more else "false"},"nonce":"{nonce}"')
    if progress.resume:
        parts.append('"resume":true')
    parts.append(f'"sequence":{progress.sequence + 1}')
    parts.extend(f'"standalones":{body.decode()}' for _, kind, body in taken if kind == "standalones")
    return ("{" + ",".join(parts) + ",").encode()


def note_sending(db: sqlite3.Connection, frozen: Frozen, at: str) -> None:
    """Note the instant of a repeat, which is the one thing in it that is new."""
    db.execute("UPDATE request SET sent_at = ? WHERE nonce = ?", (at, frozen.nonce))


def settle(db: sqlite3.Connection, frozen: Frozen, answer: Answer, now: datetime, next_at: datetime) -> bool | None:
    """Take the answer over: the request is done. False if its receipt differs from ours.

    None, and nothing is done, if the request has been answered already (two processes on one file).
    """
    heard = instant(now)
    done = db.execute(
        "UPDATE request SET ended_at = ?, through = ?, receipt = ? WHERE nonce = ? AND ended_at IS NULL",
        (heard, answer.through, answer.receipt, frozen.nonce),
    )
    if done.rowcount == 0:
        return None
    agreed = agree(db, answer.through, answer.receipt, heard)
    write_answer(db, answer, heard, instant(next_at))
    prune(db, now, read_progress(db))
    return agreed


def thaw(db: sqlite3.Connection, frozen: Frozen, code: str, now: str) -> None:
    """Give the request up, since the service wants another one: the next has its sequence and a new nonce."""
    db.execute("UPDATE request SET ended_at = ?, refused = ? WHERE nonce = ?", (now, code, frozen.nonce))


def turn_to_resume(db: sqlite3.Connection) -> None:
    """Go back to where the echo in hand was given: from there the new line goes on."""
    db.execute("UPDATE progress SET resume = 1, through = echo_through")
