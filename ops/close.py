"""`tidemark close`: what a close would charge, and both computations where they differ."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from services import reports
from services.db import make_engine, make_sessions
from services.partners import Distributor
from services.settings import Settings


async def show_close(settings: Settings, now: datetime, distributor: str, month: str, *, explain: bool) -> bool:
    """Show a dry run of a month, or the explanation of a closed one; False if both computations differ somewhere."""
    engine = make_engine(settings.database_url, 1)
    try:
        async with make_sessions(engine)() as db:
            found = await db.scalar(select(Distributor).where(Distributor.name == distributor))
            if found is None:
                raise ValueError(f"there is no distributor named {distributor!r}")
            if explain:
                inspected: Sequence[reports.Inspected] = await reports.explain(db, found.id, month)
            else:
                inspected = await reports.dry_run(db, found.id, month, now)
    finally:
        await engine.dispose()
    _print(inspected)
    return not any(one.differences for one in inspected)


async def take_again(settings: Settings, distributor: str, month: str) -> int:
    """Take the lines of a month's held reports again, for the worker to write; gives how many."""
    engine = make_engine(settings.database_url, 1)
    try:
        async with make_sessions(engine).begin() as db:
            found = await db.scalar(select(Distributor).where(Distributor.name == distributor))
            if found is None:
                raise ValueError(f"there is no distributor named {distributor!r}")
            held = await reports.held(db, found.id, month)
            for report in held:
                await reports.take_again(db, report.id)
    finally:
        await engine.dispose()
    return len(held)


def _print(inspected: Sequence[reports.Inspected]) -> None:
    console = Console()
    table = Table("MSP", "sites", "server", "workstation", "server plus", "both computations")
    for one in inspected:
        agree = "agree" if not one.differences else f"differ at {len(one.differences)} sites"
        table.add_row(one.msp, str(one.sites), *(str(quantity) for quantity in one.charged), agree)
    console.print(table)
    for one in inspected:
        for site, difference in one.differences.items():
            console.print(f"{one.msp} {site}", style="bold")
            for name, (first, second) in difference.items():
                console.print(f"  {name}: the statement says {first}, the raw ledger {second}")
