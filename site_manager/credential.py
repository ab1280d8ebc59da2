"""Another credential: made and kept beside the old one, offered, used, and in force once it has been accepted.

Whatever is lost on the way, one of the two that are kept is the one that the service knows.
"""

import hashlib
import sqlite3
from collections.abc import Callable
from typing import Any

from site_manager import commands
from site_manager.machine import Done
from site_manager.spool import read_identity
from site_manager.wire import base64url


def make_next(db: sqlite3.Connection, entropy: Callable[[int], bytes]) -> None:
    """Make the next secret, unless there is one. The caller's transaction must be durable."""
    db.execute("UPDATE identity SET next_secret = coalesce(next_secret, ?)", (base64url(entropy(32)),))


def offer(db: sqlite3.Connection) -> str | None:
    """What to offer of the next secret; None if there is none, or it was taken already."""
    identity = read_identity(db)
    if identity is None or identity.next_secret is None or identity.next_in_use:
        return None
    return hashlib.sha256(identity.next_secret.encode()).hexdigest()


def settle(db: sqlite3.Connection, *, offered: bool, used: str | None, notices: tuple[dict[str, Any], ...]) -> None:
    """Take over what an accepted request means: the offer was taken, or ignored, or the new one has been used."""
    identity = read_identity(db)
    if identity is None or identity.next_secret is None:
        return
    if used == identity.next_secret:
        db.execute("UPDATE identity SET secret = next_secret, next_secret = NULL, next_in_use = 0")
        commands.end_all_of(db, "rotate_credential", Done("done"), told=True)
    elif offered and any(notice.get("code") == "credential_ignored" for notice in notices):
        db.execute("UPDATE identity SET next_secret = NULL, next_in_use = 0")
        commands.end_all_of(db, "rotate_credential", Done("failed", "the offer was ignored"), told=True)
    elif offered:
        db.execute("UPDATE identity SET next_in_use = 1")


def turn(db: sqlite3.Connection) -> bool:
    """The credential in use is refused: use the other one that is kept. False if there is none."""
    turned = db.execute("UPDATE identity SET next_in_use = NOT next_in_use WHERE next_secret IS NOT NULL")
    return turned.rowcount == 1
