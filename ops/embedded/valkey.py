"""Valkey: its settings, and whether it answers."""

import contextlib
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from ops.embedded.binaries import valkey_program
from ops.embedded.server import Plan, Server

SOCKET = "valkey.sock"
ANSWER_SECONDS_MAX = 5.0


def valkey(data: Path, sockets: Path, log: Path) -> Server:
    """A Valkey, not started yet, with its append-only file in `data`, listening in the folder `sockets`."""
    options = {
        "port": "0",
        "unixsocket": str(sockets / SOCKET),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "save": "",  # the append-only file holds everything
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    argv = [part for name, value in options.items() for part in (f"--{name}", value)]
    plan = Plan(
        name="Valkey",
        argv=(str(valkey_program()), *argv),
        log=log,
        answers=lambda: _answers(sockets / SOCKET),
        prepare=lambda: None,
        death_signal=signal.SIGKILL,
        stop_signal=signal.SIGTERM,
    )
    return Server(plan)


def redis_url(sockets: Path) -> str:
    """The address of database 0, for redis-py."""
    return f"unix://{quote(str(sockets / SOCKET))}?db=0"


def _answers(path: Path) -> bool:
    """Whether it serves: while it reads its file it answers PING with an error."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ANSWER_SECONDS_MAX)
        client.connect(str(path))
        client.sendall(b"PING\r\n")
        return client.recv(5) == b"+PONG"
    return False
