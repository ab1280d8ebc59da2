"""`tidemark bench fleet`, as it is called from a checkout."""

import subprocess
import sys
from pathlib import Path


def test_a_small_fleet_is_held_and_its_costs_are_told(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("tidemark")), "bench", "fleet"]
    asked = ["--sites", "40", "--interval", "10", "--seconds", "2"]
    done = subprocess.run([*command, *asked], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "8 in 2 s" in done.stdout
    assert all(what in done.stdout for what in ("latency p99", "CPU of API", "CPU of PostgreSQL", "WAL", "growth"))
