"""What time it is: asked once a request or job at the edge, and handed down as `now`.

The system clock serves always but in a replay, where API and worker read a simulated instant from a shared file.
"""

import mmap
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

Clock = Callable[[], datetime]
"""Gives the present instant, aware, in UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def system_clock() -> datetime:
    """Read the machine's clock."""
    return datetime.now(UTC)  # noqa: TID251 - the one place


class SharedClock:
    """A simulated clock in a file of eight bytes: one process sets it, the others read it."""

    def __init__(self, path: Path) -> None:
        """Map the file; it must exist (`SharedClock.create` makes it)."""
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 8)

    @classmethod
    def create(cls, path: Path, start: datetime) -> "SharedClock":
        """Make the file, standing at `start`."""
        path.write_bytes(struct.pack("<q", 0))
        clock = cls(path)
        clock.set(start)
        return clock

    def __call__(self) -> datetime:
        """Give the simulated instant."""
        (microseconds,) = struct.unpack("<q", self._bytes[:8])
        return _EPOCH + int(microseconds) * _MICROSECOND

    def set(self, instant: datetime) -> None:
        """Move the clock. An aligned store of eight bytes is seen whole by every reader."""
        self._bytes[:8] = struct.pack("<q", (instant - _EPOCH) // _MICROSECOND)
