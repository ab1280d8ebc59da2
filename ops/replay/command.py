"""`tidemark replay`: reads what it is given, shows how far it is, and ends with the report on the screen."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ops.ground import lay_ground
from ops.replay.results import Results, print_report
from ops.replay.rig import Figures, Plan
from ops.replay.rig import replay as run_replay
from ops.stack import start_stack
from services.usage import Period, month_period, next_period

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def read_duration(text: str) -> timedelta:
    """Read a length of time like `15m`, `24h` or `14d`; `ValueError` for another form."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdigit()) or int(number) == 0:
        raise ValueError(f"{text!r} is not a length of time like 15m, 24h or 14d")
    return timedelta(seconds=int(number) * _UNITS[unit])


def months_from(zone: str, first: str, count: int) -> list[Period]:
    """Give so many periods from a month on; `ValueError` for a zone or a month that is none."""
    periods = [month_period(zone, first)]
    while len(periods) < count:
        periods.append(next_period(periods[-1]))
    return periods


def play(plan: Plan, folder: Path) -> None:
    """Play the plan on a fresh stack, write what comes of it, and show it."""
    console = Console()
    started = time.monotonic()
    results, figures = run_plan(plan, folder, console)
    console.print("\n[bold]Deployed Agents Report[/bold]\n")
    for document in results.documents:
        print_report(console, document)
    console.print(
        f"{figures.heartbeats:,} heartbeats, {figures.changes:,} changes, {results.count('disabled')} disabled, "
        f"{results.count('enabled')} enabled, {time.monotonic() - started:.1f} seconds. Files are in {folder}."
    )


def run_plan(plan: Plan, folder: Path, console: Console) -> tuple[Results, Figures]:
    """Play the plan on a fresh stack with a bar that moves, and write what comes of it."""
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(plan, folder)
    with _progress(console) as bar:
        task = bar.add_task("starting", total=(plan.periods[-1].ends_at - plan.starts_at).total_seconds())

        def show(now: datetime) -> None:
            bar.update(task, completed=(now - plan.starts_at).total_seconds(), description=f"{now:%Y-%m-%d}")

        with lay_ground() as ground, start_stack(ground, simulated_from=plan.starts_at) as stack:
            figures = uvloop.run(run_replay(plan, stack, show, results.gather))
    return results, figures


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        console=console,
        refresh_per_second=4,
        transient=True,
    )
