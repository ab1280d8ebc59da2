"""Measure everything, print the table, write the results."""

import importlib
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import typer
from rich.console import Console

from bench.rows import Row, show, write
from bench.stand import Stand, stand

_ON_THE_STAND = ("heartbeats", "ledger", "wal", "storage", "burst", "activation")
# These lay a ground of their own. The longest is the last.
_ALONE = ("console", "answers", "sweep", "reports")
_RESULTS = Path(__file__).with_name("results.json")
_SITES = 200_000
console = Console(width=160)


def main(
    only: list[str] | None = typer.Argument(None, help="Modules of bench/ to run; all, if none is named."),
    sites: int = typer.Option(_SITES, help="Sites on the stand: fewer for a try."),
) -> None:
    """Take every measurement of "Speed" in the targets. What was taken is written even if another failed."""
    wanted = [name for name in (*_ON_THE_STAND, *_ALONE) if not only or name in only]
    console.print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores before the run")
    run = Run(keeps=not only)
    on_the_stand = [name for name in wanted if name in _ON_THE_STAND]
    if on_the_stand:
        run.attempt("the stand", partial(_take_on_the_stand, run, on_the_stand, sites))
    for name in wanted:
        if name in _ALONE:
            run.take(name)
    show(run.rows, console)
    for failure in run.failed:
        console.print(f"not measured: {failure}")
    sys.exit(1 if run.failed else 0)


class Run:
    """The rows taken so far, and what could not be measured."""

    def __init__(self, *, keeps: bool) -> None:
        """`keeps`: write each row into the results as soon as it is taken."""
        self._keeps = keeps
        self.rows: list[Row] = []
        self.failed: list[str] = []

    def take(self, name: str, *made: Stand) -> None:
        """Take a module's rows; those before one that fails stay."""
        console.print(f"{name} …")
        started = time.monotonic()
        self.attempt(name, partial(self._take_rows, name, *made))
        console.print(f"{name}: {time.monotonic() - started:.0f} s, load average {os.getloadavg()[0]:.2f}")

    def attempt(self, name: str, measure: Callable[[], None]) -> None:
        """Measure; what goes wrong is noted, and the others are measured all the same."""
        try:
            measure()
        except Exception as error:
            console.print_exception()
            self.failed.append(f"{name}: {error}")

    def _take_rows(self, name: str, *made: Stand) -> None:
        for row in importlib.import_module(f"bench.{name}").rows(*made):
            self.rows.append(row)
            console.print(f"  {row.name}: {row.value:,g} {row.unit} ({row.target}); {row.yardstick}")
            if self._keeps:
                write(self.rows, _RESULTS)


def _take_on_the_stand(run: Run, names: list[str], sites: int) -> None:
    console.print(f"the stand: {sites:,} sites …")
    with stand(sites) as made:
        for name in names:
            run.take(name, made)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
