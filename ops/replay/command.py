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
    """Play the plan on a fresh stack and write what comes of it."""
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(plan, folder)
    started = time.monotonic()
    with lay_ground() as ground, start_stack(ground, simulated_from=plan.starts_at) as stack, _progress(console) as bar:
        task = bar.add_task("", total=(plan.periods[-1].ends_at - plan.starts_at).total_seconds())

        def show(now: datetime) -> None:
            day = f"{now:%Y-%m-%d}"
            bar.update(task, completed=(now - plan.starts_at).total_seconds(), description=day)

        figures = uvloop.run(run_replay(plan, stack, show, results.gather))
    print_report(console, results.documents)
    _print_figures(console, figures, results, time.monotonic() - started, folder)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeElapsedColumn(),
        console=console,
    )


def _print_figures(console: Console, figures: Figures, results: Results, seconds: float, folder: Path) -> None:
    events = results.events
    console.print(
        f"{figures.heartbeats:,} heartbeats, {figures.changes:,} changes, {events.get('disabled', 0)} disabled, "
        f"{events.get('enabled', 0)} enabled, {seconds:.1f} seconds. Files are in {folder}."
    )
