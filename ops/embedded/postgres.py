"""PostgreSQL: its settings, whether it answers, and what a killed one leaves in the kernel."""

import contextlib
import ctypes
import signal
import socket
import struct
from pathlib import Path
from urllib.parse import quote

from ops.embedded.binaries import postgres_program
from ops.embedded.cluster import DATABASE, ROLE
from ops.embedded.server import Plan, Server

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
IPC_RMID = 0
ANSWER_SECONDS_MAX = 5.0

# As durable as production, so that what a fault test proves here holds there.
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # In files of the cluster: the usual /dev/shm keeps the segments of a server that was killed.
    "dynamic_shared_memory_type": "mmap",
}


def postgres(cluster: Path, sockets: Path, log: Path) -> Server:
    """A PostgreSQL, not started yet, on the files in `cluster`, listening in the folder `sockets`."""
    settings = {**SETTINGS, "unix_socket_directories": f'"{sockets}"'}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    plan = Plan(
        name="PostgreSQL",
        argv=(str(postgres_program("postgres")), "-D", str(cluster), *options),
        log=log,
        answers=lambda: _says_ready(cluster) and _lets_in(sockets / SOCKET),
        prepare=lambda: _drop_stale_pid_file(cluster),
        death_signal=signal.SIGQUIT,  # ends its own children before itself
        stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
        passing=("is still in use", 'lock file "postmaster.pid" already exists'),
    )
    return Server(plan)


def database_url(sockets: Path) -> str:
    """The address of the database, for SQLAlchemy with asyncpg; the port keeps PGPORT out of it."""
    return f"postgresql+asyncpg://{ROLE}@/{DATABASE}?port={PORT}&host={quote(str(sockets))}"


def forget_shared_memory(cluster: Path) -> None:
    """Remove the System V segment of a server that was killed; one that ended in order has done so itself."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        _key, number = (cluster / "postmaster.pid").read_text().splitlines()[6].split()
        ctypes.CDLL(None).shmctl(int(number), IPC_RMID, None)


def _says_ready(cluster: Path) -> bool:
    """Whether it has noted itself ready; asked first, since to each caller before that it logs a FATAL."""
    with contextlib.suppress(OSError, IndexError):
        return (cluster / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
    return False


def _lets_in(path: Path) -> bool:
    """Whether a client of ours is let in: the note above may be that of a server killed earlier."""
    parts = f"user\0{ROLE}\0database\0{DATABASE}\0\0".encode()
    hello = struct.pack("!ii", len(parts) + 8, 196608) + parts  # protocol 3.0
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ANSWER_SECONDS_MAX)
        client.connect(str(path))
        client.sendall(hello)
        answer = client.recv(1)
        client.sendall(b"X\0\0\0\4")  # goodbye
        return answer == b"R"
    return False


def _drop_stale_pid_file(cluster: Path) -> None:
    """Remove postmaster.pid when its process is none of ours.

    PostgreSQL itself only sees that the pid lives. In a container started again pids begin at 1, and a
    stranger has it. The System V segment still keeps a second server from the files of one whose
    backends live on.
    """
    file = cluster / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n", 1)[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return  # no file, or no such process: PostgreSQL knows what to do
    if str(cluster).encode() not in command:
        file.unlink(missing_ok=True)
