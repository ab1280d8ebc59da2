"""Folders and locks: a private home for this user, a short run folder for each start, and who holds what."""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ops.embedded.identity import give, server_identity

SOCKET_PATH_BYTES_MAX = 107
LONGEST_SOCKET = "run-12345678/.s.PGSQL.5432"
RUN = "run-"


class AlreadyRunning(RuntimeError):
    """Another process runs its servers on this data folder; stop it first, or name another folder."""


class Untrusted(RuntimeError):
    """The folder for temporary servers belongs to somebody else, or others may write to it."""


def home() -> Path:
    """The user's own folder below the system's temporary one, made when missing and checked when not.

    Raises Untrusted: anybody can make a folder of that name before us, and wait for us to work in it.
    """
    folder = _home_path()
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise Untrusted(f"{folder} must be a folder of user {os.geteuid()} that nobody else can write to")
    # The real nobody has to pass through on its way to its own folders, which stay closed.
    folder.chmod(0o711 if server_identity().how == "setuid" else 0o700)
    return folder


def _home_path() -> Path:
    name = f"tidemark-{os.geteuid()}"
    folder = Path(tempfile.gettempdir()).absolute() / name
    if len(os.fsencode(folder / LONGEST_SOCKET)) > SOCKET_PATH_BYTES_MAX:
        return Path("/tmp") / name  # noqa: S108 - home() checks whose it is
    return folder


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock file `path`, which names the holder; BlockingIOError when taken and not told to wait.

    The kernel lets go of it when this process ends, however it ends.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def run_folder(before_removal: Callable[[Path], None]) -> Iterator[Path]:
    """A fresh folder of our own with a path short enough for sockets, gone afterwards.

    Sweeps up those of processes that were killed; `before_removal` is called with each folder about to go.
    """
    top = home()
    with contextlib.ExitStack() as stack:
        # Under one lock, or a sweep could take a folder between its making and its locking.
        with locked(top / "sweep.lock", wait=True):
            _sweep(top, before_removal)
            folder = Path(tempfile.mkdtemp(prefix=RUN, dir=top))
            stack.callback(_remove, folder, before_removal)
            stack.enter_context(locked(folder / "lock", wait=False))
        give(folder, server_identity())
        yield folder


def _sweep(top: Path, before_removal: Callable[[Path], None]) -> None:
    for folder in top.glob(f"{RUN}*"):
        with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(folder / "lock", wait=False):
            _remove(folder, before_removal)


def _remove(folder: Path, before_removal: Callable[[Path], None]) -> None:
    before_removal(folder)
    # A server killed a moment ago may still write. What is left over is swept at a later start.
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


@contextlib.contextmanager
def kept_folder(data: Path) -> Iterator[Path]:
    """The folder `data`, made when missing, held for us alone; raises AlreadyRunning when somebody has it."""
    fresh = not data.exists()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = data.resolve()
    if fresh:
        give(data, server_identity())
    lock = data / "tidemark.lock"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(lock, wait=False))
        except BlockingIOError as error:
            raise AlreadyRunning(f"{data} is in use by process {lock.read_text().strip()}") from error
        yield data
