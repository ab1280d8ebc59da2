"""What came of a replay: files in the output folder, and a table on the screen."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from ops.replay.rig import Msp, Plan, World
from services import keys, reports
from services.db import Sessions
from services.keys import Key
from services.usage import Period, Span, figures_of

TYPES = ("server", "workstation", "server_plus", "total")


@dataclass(slots=True)
class Results:
    """Collects what the service says, through its API and its ledger, and writes it down."""

    plan: Plan
    folder: Path
    documents: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[datetime, str, str]] = field(default_factory=list)

    async def gather(self, sessions: Sessions, world: World, url: str) -> None:
        """Write the timeline, each month's peaks, and download every issued report."""
        await self._write_timeline(sessions)
        for period in self.plan.periods:
            await self._write_peaks(sessions, world, period)
        await self._write_statements(sessions)
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            for msp in world.msps.values():
                await self._download(http, msp)

    async def _write_timeline(self, sessions: Sessions) -> None:
        async with sessions() as db:
            for key in await db.scalars(select(Key)):
                events = [(event.at, key.name, event.event) for event in await keys.timeline(db, key)]
                self.events += [event for event in events if event[2] != "issued"]
        self.events.sort()
        rows = [(show(at), name, event) for at, name, event in self.events]
        write_csv(self.folder / "timeline.csv", ("at", "site", "event"), rows)

    def count(self, event: str) -> int:
        """Give how often something happened to a key."""
        return sum(1 for _, _, happened in self.events if happened == event)

    async def _write_peaks(self, sessions: Sessions, world: World, period: Period) -> None:
        """Write the peaks as the ledger knows them at the end of the run."""
        span = Span(period.starts_at, period.ends_at, datetime.max.replace(tzinfo=period.ends_at.tzinfo))
        async with sessions() as db:
            figures = await figures_of(db, [msp.principal.msp_id for msp in world.msps.values()], span)
        rows = []
        for one in sorted(figures, key=lambda figure: world.names[figure.site_id]):
            for name in TYPES:
                peak, at = one.peaks.get(name, ("", None))
                rows.append((world.names[one.site_id], name, peak, show(at) if at else ""))
        write_csv(self.folder / f"peaks-{period.month}.csv", ("site", "type", "peak", "peak_at"), rows)

    async def _write_statements(self, sessions: Sessions) -> None:
        """Write what the distributor invoices from, month by month."""
        async with sessions() as db:
            for name, content in await reports.statement_files(db, "csv"):
                (self.folder / f"statement-{name.replace('/', '-')}.csv").write_bytes(content)

    async def _download(self, http: httpx.AsyncClient, msp: Msp) -> None:
        headers = {"Authorization": f"Bearer {msp.token}"}
        listed = await http.get("/v1/reports", params={"limit": 200}, headers=headers)
        listed.raise_for_status()
        for report in listed.json()["items"]:
            for form in ("json", "csv", "xlsx", "pdf"):
                file = await http.get(f"/v1/reports/{report['id']}/{form}", headers=headers)
                file.raise_for_status()
                name = msp.name.replace("/", "_")
                (self.folder / f"report-{report['month']}-{name}.{form}").write_bytes(file.content)
                if form == "json":
                    self.documents.append(file.json())


def show(at: datetime) -> str:
    """Write an instant as the fleet file does."""
    return at.isoformat().replace("+00:00", "Z")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def print_report(console: Console, document: dict[str, Any]) -> None:
    """Show an issued report as a table."""
    totals = document["totals"]
    title = f"{document['msp']}, {document['period']['month']}, report no. {document['number']}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.show_footer, table.show_edge, table.padding = True, False, (0, 1, 0, 0)
    table.add_column("site", f"charged: {totals['charged']:,}", no_wrap=True)
    for name, shown in (("server", "server"), ("workstation", "workstation"), ("server_plus", "server plus")):
        table.add_column(shown, f"{totals[name]:,}", justify="right", no_wrap=True)
    table.add_column("together", justify="right", no_wrap=True)
    table.add_column("known", justify="right", no_wrap=True)
    table.add_column("notes", no_wrap=True)
    for line in document["lines"]:
        table.add_row(line["site"], *_cells(line), " ".join(line["flags"]))
    console.print(table)
    console.print()


def _cells(line: dict[str, Any]) -> list[str]:
    peaks = [line[name] for name in TYPES]
    return [*("-" if peak is None else f"{peak['peak']:,}" for peak in peaks), _known(line["coverage_percent"])]


def _known(percent: str) -> str:
    return f"{percent.removesuffix('.00')}%"
