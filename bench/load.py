"""Load by wrk (Debian's package of that name): each request of a file once, as fast as it goes or at a given rate."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(__file__).with_name("load.lua")


class NotMeasured(RuntimeError):
    """A measurement could not be taken."""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: latencies in milliseconds."""

    requests: int
    seconds: float
    refused: int
    broken: int
    p50: float
    p99: float
    max: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def write_requests(file: Path, requests: Sequence[tuple[str, str]]) -> None:
    """Write bearers and bodies for `run_load`."""
    file.write_text("".join(f"{bearer}\t{body}\n" for bearer, body in requests))


def run_load(
    url: str, path: str, requests: Path, *, connections: int = 64, seconds: float = 5, rate: float = 0
) -> Load:
    """Send; raises `NotMeasured` if wrk is missing, or anything but 2xx was answered."""
    if shutil.which("wrk") is None:
        raise NotMeasured("wrk is not installed (apt-get install wrk)")
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{int(seconds)}s", "--timeout", "30s", "-s", str(_SCRIPT), url]
    paced = {"BENCH_PACED": "1"} if rate else {}
    environment = {**os.environ, **paced}  # noqa: TID251 - for a child process
    done = subprocess.run(
        [*wrk, "--", str(requests), path, str(rate)], capture_output=True, text=True, env=environment, check=False
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not results:
        raise NotMeasured(f"wrk said: {done.stdout[-500:]}{done.stderr[-500:]}")
    load = Load(**json.loads(results[0].removeprefix("RESULT ")))
    if load.refused or load.broken or not load.requests:
        raise NotMeasured(f"{path}: not every request was answered 2xx: {load}")
    return load
