"""One server process and its life: start until it answers, kill, start again on the same data, stop."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.embedded.child import Child, spawn

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
POLL_SECONDS = 0.005
LOG_BYTES_MAX = 8 * 1024 * 1024
LOG_LINES_SHOWN = 20

# Nothing of ours reaches a server: no PG* variable, no locale, no preload.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class StartFailed(RuntimeError):
    """A server ended or did not answer in time; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Plan:
    """What it takes to run one server."""

    name: str
    argv: tuple[str, ...]
    log: Path
    answers: Callable[[], bool]
    prepare: Callable[[], None]
    death_signal: signal.Signals
    stop_signal: signal.Signals
    # Words in the log of a start that failed only because the last server's remains were not gone yet.
    passing: tuple[str, ...] = ()


class Server:
    """A server on data of its own; safe to kill and restart at any time."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The process id of the server started last."""
        if self._child is None:
            raise RuntimeError(f"{self._plan.name} was never started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start it and wait until it answers; raises StartFailed. Nothing happens when it runs already."""
        if self.alive:
            return
        _turn_over(self._plan.log)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._started(deadline):
            time.sleep(10 * POLL_SECONDS)

    def kill(self) -> None:
        """End it as a crash would (kill -9) and reap it; backends of PostgreSQL notice within milliseconds."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """Kill it unless it is dead already, and start it again on the same data and socket."""
        self.kill()
        self.start()

    def stop(self, sig: signal.Signals | None = None) -> None:
        """Ask it to end in order (or with `sig`), kill it when that takes too long."""
        if self._child is not None and self._child.alive:
            self._child.terminate(STOP_SECONDS_MAX, sig or self._plan.stop_signal)

    def _started(self, deadline: float) -> bool:
        """Start once: True when it answers, False when it is worth another try."""
        plan = self._plan
        plan.prepare()
        before = plan.log.stat().st_size if plan.log.exists() else 0
        child = spawn(plan.argv, env=ENVIRONMENT, log=plan.log, user_namespace=True, death_signal=plan.death_signal)
        self._child = child
        while child.alive and time.monotonic() < deadline:
            if plan.answers():
                return True
            time.sleep(POLL_SECONDS)
        said = _since(plan.log, before)
        if not child.alive and time.monotonic() < deadline and any(words in said for words in plan.passing):
            return False
        how = "does not answer" if child.alive else f"ended with code {child.wait()}"
        child.kill()
        raise StartFailed(f"{plan.name} {how}; the end of {plan.log}:\n{_last_lines(said)}")


def _turn_over(log: Path) -> None:
    """Keep a log that has grown too long as the one before, and begin a new one."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_name(f"{log.name}.1"))


def _since(log: Path, position: int) -> str:
    with log.open("rb") as file:
        file.seek(position)
        return file.read(LOG_BYTES_MAX).decode(errors="replace")


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-LOG_LINES_SHOWN:])
