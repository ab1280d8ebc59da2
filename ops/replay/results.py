"""What came of a replay: files in the output folder, and a table on the screen."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from ops.replay.rig import Msp, Plan, World
from services import keys
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
    events: dict[str, int] = field(default_factory=dict)

    async def gather(self, sessions: Sessions, world: World, url: str) -> None:
        """Write the timeline, each month's peaks, and download every issued report."""
        await self._write_timeline(sessions)
        for period in self.plan.periods:
            await self._write_peaks(sessions, world, period)
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            for msp in world.msps.values():
                await self._download(http, msp)

    async def _write_timeline(self, sessions: Sessions) -> None:
        rows = []
        async with sessions() as db:
            for key in await db.scalars(select(Key)):
                rows += [(event.at, key.name, event.event) for event in await keys.timeline(db, key)]
        rows = [row for row in rows if row[2] != "issued"]
        for _, _, event in rows:
            self.events[event] = self.events.get(event, 0) + 1
        shown = [(show(at), name, event) for at, name, event in sorted(rows)]
        write_csv(self.folder / "timeline.csv", ("at", "site", "event"), shown)

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

    async def _download(self, http: httpx.AsyncClient, msp: Msp) -> None:
        headers = {"Authorization": f"Bearer {msp.token}"}
        listed = await http.get("/v1/reports", params={"limit": 200}, headers=headers)
        listed.raise_for_status()
        for report in listed.json()["items"]:
            for form in ("json", "csv"):
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


def print_report(console: Console, documents: Sequence[dict[str, Any]]) -> None:
    """Show the issued reports as one table."""
    table = Table(title="Deployed Agents Report", title_justify="left", header_style="bold")
    table.add_column("MSP")
    table.add_column("month")
    table.add_column("site")
    for name in ("server", "workstation", "server plus", "at one time", "coverage %"):
        table.add_column(name, justify="right")
    table.add_column("notes")
    for document in documents:
        msp = f"{document['msp']}\nno. {document['number']}"
        for line in document["lines"]:
            table.add_row(msp, document["period"]["month"], line["site"], *_cells(line), " ".join(line["flags"]))
            msp = ""
        totals = document["totals"]
        charged = [str(totals[name]) for name in ("server", "workstation", "server_plus")]
        table.add_row("", "", f"charged: {totals['charged']}", *charged, "", "", "", style="bold", end_section=True)
    console.print(table)


def _cells(line: dict[str, Any]) -> list[str]:
    peaks = [line[name] for name in TYPES]
    return [*("-" if peak is None else str(peak["peak"]) for peak in peaks), line["coverage_percent"]]
