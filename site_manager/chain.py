"""The numbered entries: what was recorded, in canonical JSON, each with its receipt.

Receipts are a chain, so an entry that has been sent never changes. What was never sent may be dropped (a full
spool becomes one `lost` entry) and the rest renumbered behind it.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from site_manager.spool import Progress, read_bound, read_progress
from site_manager.wire import (
    Change,
    change_entry,
    instant,
    lost_entry,
    next_receipt,
    renumbered,
    standalones_entry,
)

KEEP: Final = timedelta(days=45)
_INSERT: Final = "INSERT INTO entry (n, kind, at, body, receipt) VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Verified:
    """The receipts `first_n` to `last_n` follow from the entries; `broken_n` is the first that does not."""

    first_n: int
    last_n: int
    through: int
    broken_n: int | None
    disputed_n: int | None


def append_changes(db: sqlite3.Connection, changes: Iterable[Change]) -> int:
    """Number and keep the changes, in the order given; what changes nothing is left out. Returns how many."""
    progress = read_progress(db)
    n, receipt = _tip(db, progress)
    deployed, active = progress.deployed, progress.active
    rows = []
    for at, counts, counts_active in changes:
        now_deployed = counts.members()
        now_active = None if counts_active is None else counts_active.members()
        if now_deployed == deployed and now_active == active:
            continue
        deployed, active, n = now_deployed, now_active, n + 1
        text = instant(at)
        body = change_entry(n, text, deployed, active)
        receipt = next_receipt(receipt, body)
        rows.append((n, "change", text, body, receipt))
    if rows:
        db.executemany(_INSERT, rows)
        db.execute("UPDATE progress SET deployed = ?, active = ?", (deployed, active))
    return len(rows)


def append_current(db: sqlite3.Connection, at: str) -> None:
    """Say the present counts once more as a change of their own (no agents, if none were ever counted)."""
    progress = read_progress(db)
    deployed = progress.deployed or '"server":0,"server_plus":0,"workstation":0'
    _append(db, "change", at, lambda n: change_entry(n, at, deployed, progress.active))
    db.execute("UPDATE progress SET deployed = ?", (deployed,))


def append_lost(db: sqlite3.Connection, since: str, until: str) -> None:
    """Say that what happened in between is not known."""
    _append(db, "lost", since, lambda n: lost_entry(n, since, until))


def append_standalones(db: sqlite3.Connection, at: datetime, seen: Sequence[str]) -> None:
    """Say which standalone installations are seen from now on."""
    text = instant(at)
    _append(db, "standalones", text, lambda n: standalones_entry(n, text, seen))


def _append(db: sqlite3.Connection, kind: str, at: str, entry: Callable[[int], bytes]) -> None:
    n, receipt = _tip(db, read_progress(db))
    body = entry(n + 1)
    db.execute(_INSERT, (n + 1, kind, at, body, next_receipt(receipt, body)))


def _tip(db: sqlite3.Connection, progress: Progress) -> tuple[int, bytes]:
    row = db.execute("SELECT n, receipt FROM entry ORDER BY n DESC LIMIT 1").fetchone()
    if row is None or row[0] <= progress.anchor_n:
        return progress.anchor_n, progress.anchor_receipt
    return int(row[0]), bytes(row[1])


def waiting(db: sqlite3.Connection, through: int, limit: int) -> list[tuple[int, str, bytes]]:
    """The number, kind and body of the first entries that the service does not have."""
    rows = db.execute("SELECT n, kind, body FROM entry WHERE n > ? ORDER BY n LIMIT ?", (through, limit))
    return rows.fetchall()


def begin_at_activation(db: sqlite3.Connection, at: str, receipt_0: bytes) -> None:
    """Begin the chain: the counts at the activation are the first change, those before it are nobody's."""
    db.execute("DELETE FROM entry")
    db.execute(
        "UPDATE progress SET anchor_n = 0, anchor_receipt = ?, through = 0, sent_through = 0, disputed_n = NULL",
        (receipt_0,),
    )
    if read_progress(db).deployed is not None:
        append_current(db, at)


def bound_waiting(db: sqlite3.Connection, entries_max: int) -> None:
    """When more entries wait than the spool may hold, drop the oldest quarter of those never sent."""
    progress = read_progress(db)
    tip, _ = _tip(db, progress)
    sent = max(progress.sent_through, progress.through)
    keep_from = tip - entries_max * 3 // 4 + 1
    if tip - sent <= entries_max or keep_from <= sent + 1:
        return
    (since,) = db.execute("SELECT at FROM entry WHERE n = ?", (sent + 1,)).fetchone()
    (until,) = db.execute("SELECT at FROM entry WHERE n = ?", (keep_from,)).fetchone()
    row = db.execute("SELECT receipt FROM entry WHERE n = ?", (sent,)).fetchone()
    receipt = progress.anchor_receipt if sent <= progress.anchor_n or row is None else row[0]
    _rebuild(db, sent, receipt, keep_from, (since, until))


def agree(db: sqlite3.Connection, through: int, receipt: bytes | None, now: str) -> bool:
    """Go on after the service's `through`, whatever it is; False if its receipt is not the one kept here.

    Mostly it names an entry that is here, with the same receipt, and nothing is to be done. Otherwise the
    chain is built anew on what the service has, since its next receipts will be too.
    """
    progress = read_progress(db)
    tip, tip_receipt = _tip(db, progress)
    own = tip_receipt if through == tip else _receipt_of(db, progress, through)
    if own is not None and (receipt is None or own == receipt):
        db.execute("UPDATE progress SET through = ?", (through,))
        return True
    if receipt is None:
        receipt = progress.anchor_receipt
    if through > tip:
        _know_less(db, through, receipt, now)
    elif own is None:
        _know_more(db, through, receipt, progress, now)
    else:
        _rebuild(db, through, receipt, through + 1, None)
        _anchor(db, through, receipt)
        db.execute("UPDATE progress SET disputed_n = coalesce(disputed_n, ?)", (through,))
    db.execute("UPDATE progress SET through = ?", (through,))
    return own is None


def _receipt_of(db: sqlite3.Connection, progress: Progress, n: int) -> bytes | None:
    if n == progress.anchor_n:
        return progress.anchor_receipt
    row = db.execute("SELECT receipt FROM entry WHERE n = ?", (n,)).fetchone()
    return None if row is None else bytes(row[0])


def _know_less(db: sqlite3.Connection, through: int, receipt: bytes, now: str) -> None:
    """The service has entries that are not here (this file is an old copy): go on behind them."""
    _anchor(db, through, receipt)
    append_current(db, now)


def _know_more(db: sqlite3.Connection, through: int, receipt: bytes, progress: Progress, now: str) -> None:
    """The service asks for entries that were pruned here (it was restored from an old backup): say so."""
    first, until = db.execute("SELECT n, at FROM entry ORDER BY n LIMIT 1").fetchone() or (None, now)
    bound = read_bound(db)
    since = bound.activated_at if bound else until
    _rebuild(db, through, receipt, first or progress.anchor_n + 1, (since, until))
    _anchor(db, through, receipt)
    if first is None:
        append_current(db, now)


def _anchor(db: sqlite3.Connection, n: int, receipt: bytes) -> None:
    db.execute("UPDATE progress SET anchor_n = ?, anchor_receipt = ?", (n, receipt))


def _rebuild(
    db: sqlite3.Connection, after_n: int, receipt: bytes, keep_from: int, lost: tuple[str, str] | None
) -> None:
    """Build the chain anew after `after_n`: the lost stretch, if any, then the entries from `keep_from`."""
    kept = db.execute("SELECT n, kind, at, body FROM entry WHERE n >= ? ORDER BY n", (keep_from,)).fetchall()
    db.execute("DELETE FROM entry WHERE n > ?", (after_n,))
    rows = []
    n = after_n
    if lost is not None:
        n += 1
        body = lost_entry(n, *lost)
        receipt = next_receipt(receipt, body)
        rows.append((n, "lost", lost[0], body, receipt))
    for old, kind, at, entry in kept:
        n += 1
        body = renumbered(entry, old, n)
        receipt = next_receipt(receipt, body)
        rows.append((n, kind, at, body, receipt))
    db.executemany(_INSERT, rows)


def prune(db: sqlite3.Connection, now: datetime, progress: Progress) -> None:
    """Once a day, drop the acknowledged entries older than 45 days; the last receipt stays as the anchor."""
    today = instant(now)[:10]
    if progress.pruned_at == today:
        return
    db.execute("UPDATE progress SET pruned_at = ?", (today,))
    oldest = instant(now - KEEP)
    (keep_from,) = db.execute("SELECT min(n) FROM entry WHERE at >= ? OR n > ?", (oldest, progress.through)).fetchone()
    last = db.execute(
        "SELECT n, receipt FROM entry WHERE n < ? ORDER BY n DESC LIMIT 1",
        (keep_from if keep_from is not None else progress.through + 1,),
    ).fetchone()
    if last is not None:
        db.execute("DELETE FROM entry WHERE n <= ?", (last[0],))
        if last[0] > progress.anchor_n:
            _anchor(db, *last)


def verify(db: sqlite3.Connection) -> Verified:
    """Compute every receipt anew from the entries and compare it with the one that was kept."""
    progress = read_progress(db)
    n, receipt, broken = progress.anchor_n, progress.anchor_receipt, None
    for found_n, body, kept in db.execute(
        "SELECT n, body, receipt FROM entry WHERE n > ? ORDER BY n", (progress.anchor_n,)
    ):
        receipt = next_receipt(receipt, body)
        if found_n != n + 1 or receipt != kept:
            broken = n + 1
            break
        n = found_n
    return Verified(progress.anchor_n + 1, n, progress.through, broken, progress.disputed_n)


def count_waiting(db: sqlite3.Connection) -> int:
    """How many entries the service does not have yet."""
    (count,) = db.execute("SELECT count(*) FROM entry WHERE n > (SELECT through FROM progress)").fetchone()
    return int(count)


def present(db: sqlite3.Connection) -> dict[str, int]:
    """The counts last recorded, by type."""
    counts: dict[str, int] = json.loads("{" + (read_progress(db).deployed or "") + "}")
    return counts
