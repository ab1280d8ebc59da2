"""Child processes that never outlive this one, whichever way it ends.

The kernel ends them (PR_SET_PDEATHSIG), so kill -9 of this process is covered too. They sit in a session of
their own: Ctrl-C at the terminal reaches this process first, which then stops them in order.
"""

import contextlib
import functools
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from ops.embedded.identity import own_identity, server_identity, through_shim

_Popen = subprocess.Popen[bytes]
_Work = tuple[Future[_Popen], Callable[[], _Popen]]


class Child:
    """A process started by spawn(); every way of ending it also reaps it, so no zombie keeps its pid."""

    def __init__(self, process: _Popen) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its session and process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code (or minus the signal that ended it); TimeoutError after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} still runs after {timeout} s") from error

    def terminate(self, grace: float, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end with `sig`, kill it after `grace` seconds, and return its exit code."""
        self._process.send_signal(sig)
        try:
            return self.wait(grace)
        except TimeoutError:
            return self.kill()

    def kill(self) -> int:
        """End it and its process group at once (kill -9), and return its exit code."""
        if self.alive:  # a pid not yet reaped cannot have become another group's
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        return self.wait()


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    user_namespace: bool = False,
    death_signal: signal.Signals = signal.SIGKILL,
) -> Child:
    """Start `argv` in `/` as a child that gets `death_signal` when this process ends.

    `env` None is this process's environment; `log` None is this process's output, else a file to append to.
    With `user_namespace` root's child runs as an ordinary user (see identity.py; give() it its files first).
    Raises FileNotFoundError when there is no such program.
    """
    identity = server_identity() if user_namespace else own_identity()
    command = through_shim(_absolute(argv), identity, death_signal)

    def start() -> _Popen:
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("ab")) if log else None
            return subprocess.Popen(
                command,
                cwd="/",
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    return Child(_on_a_lasting_thread(start))


def _absolute(argv: Sequence[str | Path]) -> list[str]:
    program = shutil.which(argv[0])
    if program is None:
        raise FileNotFoundError(f"no program {argv[0]}")
    return [str(Path(program).absolute()), *map(str, argv[1:])]


def _on_a_lasting_thread(start: Callable[[], _Popen]) -> _Popen:
    """Run `start` where the thread lives as long as the process.

    To the kernel the parent is the THREAD that forked: were it one of a pool, the end of the pool would kill
    the child. The main thread lasts; any other hands the work to a thread kept for nothing else.
    """
    if threading.current_thread() is threading.main_thread():
        return start()
    future: Future[_Popen] = Future()
    _spawner(os.getpid()).put((future, start))
    return future.result()


@functools.cache
def _spawner(_pid: int) -> "queue.SimpleQueue[_Work]":
    """The work of this process's spawning thread; by pid, since a fork inherits the cache and no thread."""
    work: queue.SimpleQueue[_Work] = queue.SimpleQueue()
    threading.Thread(target=_spawn_forever, args=(work,), name="spawner", daemon=True).start()
    return work


def _spawn_forever(work: "queue.SimpleQueue[_Work]") -> None:
    while True:
        future, start = work.get()
        try:
            future.set_result(start())
        except Exception as error:  # handed to the one who waits, who raises it
            future.set_exception(error)
