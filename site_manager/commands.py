"""Commands in the spool: kept with the answer that brought them, begun on disk before they are done, told once.

A command is known by its id for longer than any can be sent, so it is done at most once: also by a process that is
killed in the middle, which leaves one that was begun and never ended.
"""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from site_manager.machine import Done
from site_manager.spool import read_progress
from site_manager.wire import instant, read_instant

KINDS: Final = ("send_inventory", "run_backup", "rename", "rotate_credential")
KEEP: Final = timedelta(days=60)
RESULTS_MAX: Final = 100
TEXT_MAX: Final = 500
INTERRUPTED: Final = Done("failed", "interrupted; whether it was done is not known")


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that waits to be done."""

    id: str
    kind: str
    name: str
    expires_at: str


def receive(db: sqlite3.Connection, commands: tuple[dict[str, Any], ...], now: str) -> None:
    """Keep the commands that an answer holds; one that is here already stays as it is."""
    if commands:
        _prune(db, read_instant(now))
    for command in commands:
        fields = [command.get(field) for field in ("id", "kind", "expires_at")]
        if not all(isinstance(field, str) and 0 < len(field) <= 200 for field in fields):
            continue
        name = command.get("name")
        db.execute(
            "INSERT OR IGNORE INTO command (id, kind, expires_at, name, received_at) VALUES (?, ?, ?, ?, ?)",
            (*fields, name if isinstance(name, str) else "", now),
        )


def waiting(db: sqlite3.Connection) -> list[Asked]:
    """The commands that have not been begun, in the order in which they came."""
    rows = db.execute(
        "SELECT id, kind, name, expires_at FROM command WHERE begun_at IS NULL AND outcome IS NULL ORDER BY rowid"
    )
    return [Asked(*row) for row in rows]


def begin(db: sqlite3.Connection, asked: Asked, now: str) -> bool:
    """Begin a command; False if it was begun or has ended. The caller's transaction must be durable."""
    begun = db.execute(
        "UPDATE command SET begun_at = ? WHERE id = ? AND begun_at IS NULL AND outcome IS NULL", (now, asked.id)
    )
    return begun.rowcount == 1


def end(db: sqlite3.Connection, command_id: str, done: Done, *, told: bool = False) -> None:
    """Keep what became of a command; `told`: the service knows without being told."""
    text = "".join(c if c.isprintable() else " " for c in done.text)[:TEXT_MAX]
    db.execute(
        "UPDATE command SET outcome = ?, text = ?, told = ? WHERE id = ? AND outcome IS NULL",
        (done.outcome, text, told, command_id),
    )


def end_interrupted(db: sqlite3.Connection) -> None:
    """End what a process that died left begun; what goes on by itself (inventory, credential) is not interrupted."""
    left = db.execute(
        "SELECT id FROM command WHERE begun_at IS NOT NULL AND outcome IS NULL AND kind IN ('run_backup', 'rename')"
    ).fetchall()
    for (command_id,) in left:
        end(db, command_id, INTERRUPTED)


def end_all_of(db: sqlite3.Connection, kind: str, done: Done, *, told: bool = False) -> None:
    """End the begun commands of a kind."""
    begun = "SELECT id FROM command WHERE kind = ? AND begun_at IS NOT NULL AND outcome IS NULL"
    for (command_id,) in db.execute(begun, (kind,)).fetchall():
        end(db, command_id, done, told=told)


def results(db: sqlite3.Connection) -> str | None:
    """The JSON of the results to be told, and note that the request now made carries them."""
    rows = db.execute(
        "SELECT id, outcome, text FROM command WHERE outcome IS NOT NULL AND NOT told ORDER BY rowid LIMIT ?",
        (RESULTS_MAX,),
    ).fetchall()
    if not rows:
        return None
    db.executemany("UPDATE command SET carried = 1 WHERE id = ?", [(row[0],) for row in rows])
    return json.dumps([{"command": row[0], "outcome": row[1], "text": row[2]} for row in rows], separators=(",", ":"))


def settle_results(db: sqlite3.Connection, *, taken: bool) -> None:
    """The request that carried results has been answered, or is given up and they go into another."""
    db.execute("UPDATE command SET told = told OR ?, carried = 0 WHERE carried", (taken,))


def _prune(db: sqlite3.Connection, now: datetime) -> None:
    """Forget commands that cannot be sent any more."""
    db.execute("DELETE FROM command WHERE received_at < ?", (instant(now - KEEP),))


def service_time(db: sqlite3.Connection, now: datetime) -> datetime:
    """What the service's clock says now, by its last answer: a command's expiry is told by that clock."""
    progress = read_progress(db)
    if progress.server_time is None or progress.heard_at is None:
        return now
    return now + (read_instant(progress.server_time) - read_instant(progress.heard_at))
