"""Counting into the spool; what a full disk does not take waits in memory, within bounds."""

import sqlite3
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from site_manager import chain
from site_manager.spool import Spool
from site_manager.wire import Change, instant

UNSAVED_MAX: Final = 10_000


class Recorder:
    """Takes changes into the spool, in order."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._unsaved: deque[Change] = deque()
        self._dropped_from: datetime | None = None

    @property
    def unsaved(self) -> int:
        """How many changes the disk has not taken yet."""
        return len(self._unsaved)

    def record(self, changes: Iterable[Change]) -> bool:
        """Keep the changes durably, in one transaction; False if the disk did not take them (yet)."""
        for change in changes:
            instant(change.at)  # a naive time is the caller's mistake, told before anything is kept
            self._unsaved.append(change)
        try:
            with self._spool.transaction(durable=True) as db:
                self.write(db)
        except sqlite3.OperationalError:
            self._bound()
            return False
        self.forget()
        return True

    def write(self, db: sqlite3.Connection) -> None:
        """Write what waits in memory; `forget()` once the transaction has been committed."""
        if not self._unsaved:
            return
        if self._dropped_from is not None:
            chain.append_lost(db, instant(self._dropped_from), instant(self._unsaved[0].at))
        if chain.append_changes(db, self._unsaved):
            chain.bound_waiting(db, self._spool.entries_max)

    def forget(self) -> None:
        """What waited in memory is on disk now."""
        self._unsaved.clear()
        self._dropped_from = None

    def _bound(self) -> None:
        while len(self._unsaved) > UNSAVED_MAX:
            dropped = self._unsaved.popleft()
            self._dropped_from = self._dropped_from or dropped.at
