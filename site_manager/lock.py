"""One running process a state file (short commands beside it are welcome: SQLite keeps them in order)."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held_alone(state: Path) -> Iterator[bool]:
    """Hold the file's lock while inside; False if another process holds it. It ends with the process."""
    with state.with_name(state.name + ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
