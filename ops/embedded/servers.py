"""Both servers together, for as long as a block lasts."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ops.embedded.cluster import make_cluster
from ops.embedded.folders import kept_folder, run_folder
from ops.embedded.identity import give, server_identity
from ops.embedded.postgres import database_url, forget_shared_memory, postgres
from ops.embedded.server import Server
from ops.embedded.valkey import redis_url, valkey

THROWAWAY = "data"
CLUSTER = "postgres"


@dataclass(frozen=True)
class Servers:
    """A PostgreSQL and a Valkey that answer, and their addresses, which survive kill and restart."""

    database_url: str
    redis_url: str
    postgres: Server
    valkey: Server


@contextlib.contextmanager
def start(data: Path | None = None) -> Iterator[Servers]:
    """Run both servers while the block lasts, on throwaway data or on what is kept in the folder `data`.

    Raises AlreadyRunning when `data` is in use, StartFailed when a server does not come up. In the main
    thread SIGTERM and SIGHUP end the block as SystemExit, unless somebody handles them already.
    """
    with _ended_by_signals(), run_folder(_forget_throwaway) as sockets, contextlib.ExitStack() as stack:
        folder = stack.enter_context(kept_folder(data)) if data else _throwaway_folder(sockets)
        _lay_out(folder, durable=data is not None)
        database = postgres(folder / CLUSTER, sockets, folder / "postgres.log")
        queue = valkey(folder / "valkey", sockets, folder / "valkey.log")
        # Throwaway data needs no checkpoint and no last write: end at once.
        stack.callback(database.stop, None if data else signal.SIGQUIT)
        stack.callback(queue.stop, None if data else signal.SIGKILL)
        database.start()
        queue.start()
        yield Servers(database_url(sockets), redis_url(sockets), database, queue)


def _throwaway_folder(run: Path) -> Path:
    """A folder for data inside the run folder, which takes it along when it goes."""
    folder = run / THROWAWAY
    folder.mkdir(mode=0o700)
    give(folder, server_identity())
    return folder


def _lay_out(folder: Path, *, durable: bool) -> None:
    make_cluster(folder / CLUSTER, durable=durable)
    (folder / "valkey").mkdir(mode=0o700, exist_ok=True)
    for part in (folder / CLUSTER, folder / "valkey"):
        give(part, server_identity())


def _forget_throwaway(run: Path) -> None:
    forget_shared_memory(run / THROWAWAY / CLUSTER)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Turn the signals that would end this process without any clean-up into SystemExit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [sig for sig in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(sig) is signal.SIG_DFL]
    for sig in ours:
        signal.signal(sig, _leave)
    try:
        yield
    finally:
        for sig in ours:
            if signal.getsignal(sig) is _leave:
                signal.signal(sig, signal.SIG_DFL)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
