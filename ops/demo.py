"""The demo: a made-up but lifelike month of three MSPs, and what the service made of it, on one screen."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from rich.console import Console

from ops.replay.command import months_from, run_plan
from ops.replay.fleet import Fleet
from ops.replay.results import Results, print_report
from ops.replay.rig import Plan
from services.usage import Period, zone_info

_ZONE = "Europe/Rome"
_MONTH = "2026-10"


_OPENING = """
[bold]Tidemark[/bold] licenses backup agents for managed service providers (MSPs).
A customer's Site Manager holds one metered key and reports how many agents it
has; for each type the month's highest number is charged. This is October:
"""
_CLOSING = """Together: the most at one instant; no sum, for each type has a peak of its own.
All of this was real: {heartbeats} heartbeats over HTTP, PostgreSQL, Valkey, worker.
Only the clock was simulated. Next: [bold]make up[/bold] serves it; README.md shows around.
"""


class Customer(NamedTuple):
    """A customer of an MSP, and how many agents it has to begin with."""

    msp: str
    site: str
    server: int
    workstation: int
    server_plus: int


CUSTOMERS = (
    Customer("Adriatica Sistemi", "Officine Ferri", 6, 42, 1),
    Customer("Adriatica Sistemi", "Studio Bassi", 2, 18, 0),
    Customer("Adriatica Sistemi", "Cantina Montorso", 3, 9, 1),
    Customer("Lario Informatica", "Tessitura Crespi", 9, 77, 2),
    Customer("Lario Informatica", "Comune di Valfiorita", 4, 35, 0),
    Customer("Vesuvio Backup", "Clinica San Rocco", 12, 64, 3),
    Customer("Vesuvio Backup", "Pastificio Amato", 5, 21, 1),
)
DARK = "Cantina Montorso"
_DARK_FROM, _DARK_UNTIL = timedelta(days=9, hours=11), timedelta(days=26, hours=8)


def demo() -> None:
    """Play the month and tell it."""
    console = Console(highlight=False)
    console.print(_OPENING)
    period = months_from(_ZONE, _MONTH, 1)[0]
    dark = (period.starts_at + _DARK_FROM, period.starts_at + _DARK_UNTIL)
    plan = Plan(
        fleet=_fleet(period),
        outages={DARK: [dark]},
        periods=[period],
        heartbeat=timedelta(hours=2),
        disable_after=timedelta(days=14),
    )
    with tempfile.TemporaryDirectory(prefix="tidemark-demo-") as folder:
        results, figures = run_plan(plan, Path(folder), console)
    _tell(console, results, dark, period)
    for document in results.documents:
        print_report(console, document)
    console.print(_CLOSING.format(heartbeats=f"{figures.heartbeats:,}"))


def _tell(console: Console, results: Results, dark: tuple[datetime, datetime], period: Period) -> None:
    """Tell what happened, in the order of time."""
    zone = zone_info(_ZONE)
    for at, text in sorted(_story(results, dark, period)):
        console.print(f"  [cyan]{at.astimezone(zone):%d %b %H:%M}[/cyan]  {text}")
    console.print()


def _story(results: Results, dark: tuple[datetime, datetime], period: Period) -> Iterator[tuple[datetime, str]]:
    second = timedelta(seconds=1)
    yield period.starts_at - second, f"Three MSPs make {len(CUSTOMERS)} keys, one for each customer."
    yield period.starts_at, f"{len(CUSTOMERS)} Site Managers activate."
    yield dark[0], f"{DARK}: its line is cut. It counts on, in its spool."
    for at, site, event in results.events:
        if event == "disabled":
            yield at, f"{site}: silent 14 days. [yellow]Key disabled[/yellow], restores go on."
        if event == "enabled":
            yield at, f"{site}: back. [green]Key enabled[/green], the spool is sent."
    yield period.ends_at, "The month ends, after 745 hours: the clocks went back."
    issued = datetime.fromisoformat(results.documents[0]["issued_at"])
    yield issued, "After six hours of grace: closed, every report issued."


def _fleet(period: Period) -> Fleet:
    """Make up a month: machines come on working days, some are replaced, a few are taken away."""
    random = Random("demo")  # noqa: S311
    deltas: dict[str, dict[datetime, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for customer in CUSTOMERS:
        now = [customer.server, customer.workstation, customer.server_plus]
        deltas[customer.site][period.starts_at] = list(now)
        for at in _working_hours(period, random):
            kind = random.choices((0, 1, 2), weights=(2, 10, 1))[0]
            step = random.choice((1, 1, 1, 2, -1, -1))
            if now[kind] + step >= 0:
                now[kind] += step
                deltas[customer.site][at][kind] += step
    return Fleet({customer.site: customer.msp for customer in CUSTOMERS}, deltas)


def _working_hours(period: Period, random: Random) -> Sequence[datetime]:
    days = [period.starts_at + timedelta(days=day) for day in range(31)]
    working = [day for day in days if (day + timedelta(hours=12)).weekday() < 5]
    return [day + timedelta(seconds=random.randrange(8 * 3600, 18 * 3600)) for day in working]
