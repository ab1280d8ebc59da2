"""Measure everything, print the table, write the results."""

import importlib
import os
import sys
import time
from pathlib import Path

import typer
from rich.console import Console

from bench.rows import Row, show, write
from bench.stand import Stand, stand

_ON_THE_STAND = ("heartbeats", "ledger", "wal", "storage", "burst", "activation")
# These lay a ground of their own.
_ALONE = ("console", "sweep", "reports", "answers")
_RESULTS = Path(__file__).with_name("results.json")
_SITES = 200_000
console = Console(width=160)


def main(
    only: list[str] | None = typer.Argument(None, help="Modules of bench/ to run; all, if none is named."),
) -> None:
    """Take every measurement of "Speed" in the targets."""
    wanted = [name for name in (*_ON_THE_STAND, *_ALONE) if not only or name in only]
    console.print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores before the run")
    rows: list[Row] = []
    failed: list[str] = []
    on_the_stand = [name for name in wanted if name in _ON_THE_STAND]
    if on_the_stand:
        with stand(_SITES) as made:
            for name in on_the_stand:
                _take(name, rows, failed, made)
    for name in wanted:
        if name in _ALONE:
            _take(name, rows, failed)
    show(rows, console)
    if not only:
        write(rows, _RESULTS)
    for failure in failed:
        console.print(f"not measured: {failure}")
    sys.exit(1 if failed else 0)


def _take(name: str, rows: list[Row], failed: list[str], *made: Stand) -> None:
    started = time.monotonic()
    try:
        taken = importlib.import_module(f"bench.{name}").rows(*made)
    except Exception as error:  # the others are measured all the same
        console.print_exception()
        failed.append(f"{name}: {error}")
        return
    rows.extend(taken)
    console.print(f"{name}: {time.monotonic() - started:.0f} s, load average {os.getloadavg()[0]:.2f}")
    for row in taken:
        console.print(f"  {row.name}: {row.value:,g} {row.unit} ({row.target}); {row.yardstick}")


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
