"""The command `site-manager`: activate a key, run, and look at what was sent. The root of the program."""

import asyncio
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from site_manager import chain
from site_manager.lock import held_alone
from site_manager.loop import run as run_loop
from site_manager.machine import FolderMachine
from site_manager.messages import REFUSALS, STATES, explain, explain_lease, unusable
from site_manager.outcome import Activated, Answered
from site_manager.requests import read_payload
from site_manager.site import SiteManager
from site_manager.spool import Spool, read_bound, read_identity, read_progress, write_server
from site_manager.wire import Counts

app: Final = typer.Typer(help="The reference Site Manager.", no_args_is_help=True, add_completion=False)
State = Annotated[Path, typer.Option("--state", help="The file that holds this site's memory.")]
DEFAULT_STATE: Final = Path("site-manager.sqlite3")
TIMEOUT_SECONDS: Final = 30.0


def main() -> None:
    """Run the command; what the machine refuses is told in a sentence."""
    try:
        app()
    except (sqlite3.Error, OSError) as error:
        typer.echo(unusable(str(error)), err=True)
        sys.exit(1)


def machine_clock() -> datetime:
    """The clock of this machine: the one place where the program asks for the time."""
    return datetime.now(UTC)  # noqa: TID251


@app.command()
def activate(
    key: str,
    *,
    server: Annotated[str, typer.Option(help="The service's address, https://...")],
    state: State = DEFAULT_STATE,
    name: Annotated[str | None, typer.Option(help="The site's name.")] = None,
    timezone: Annotated[str | None, typer.Option(help="The site's IANA time zone.")] = None,
    console_url: Annotated[str | None, typer.Option(help="The address of this site's own console.")] = None,
    product: Annotated[str, typer.Option(help="site_manager or server_plus.")] = "site_manager",
    rotated: Annotated[bool, typer.Option(help="KEY is the new code of the key held here.")] = False,
) -> None:
    """Bind KEY to this installation; a repeat is harmless."""
    _refuse_plain_http(server)

    async def work(spool: Spool) -> None:
        async with _site(spool, server) as site:
            outcome = await site.activate(
                key,
                hostname=socket.gethostname(),
                name=name,
                timezone=timezone,
                console_url=console_url,
                product=product,
                rotated=rotated,
            )
        if isinstance(outcome, Activated):
            with spool.transaction(durable=True) as db:
                write_server(db, server)
        _tell(explain(outcome), failed=not isinstance(outcome, Activated))

    with _spool(state, make=True) as spool:
        asyncio.run(work(spool))


@app.command()
def run(
    state: State = DEFAULT_STATE,
    once: Annotated[bool, typer.Option(help="One heartbeat, now.")] = False,
    folder: Annotated[
        Path | None, typer.Option(help="The machine: a folder with inventory.json, backups.json.")
    ] = None,
    refuse_commands: Annotated[bool, typer.Option(help="Do nothing that the service provider asks for.")] = False,
) -> None:
    """Send heartbeats until SIGTERM or Ctrl-C."""

    async def work(spool: Spool, server: str) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        machine = FolderMachine(folder) if folder else None
        async with _site(spool, server, machine=machine, refuses_commands=refuse_commands) as site:
            outcome = await run_loop(site, machine_clock, typer.echo, stop, rounds=1 if once else None)
        if once and not isinstance(outcome, Answered):
            raise typer.Exit(1)

    with _spool(state) as spool, held_alone(state) as alone:
        if not alone:
            _tell("Another process runs with this state file already; stop it first.", failed=True)
        identity = read_identity(spool.db)
        if identity is None or identity.server is None:
            _tell(REFUSALS["not_activated"], failed=True)
        else:
            asyncio.run(work(spool, identity.server))


@app.command("set-agents")
def set_agents(
    counts: Annotated[list[str], typer.Argument(help="TYPE=NUMBER; types not named stay as they are.")],
    state: State = DEFAULT_STATE,
) -> None:
    """Record how many agents are deployed now, for example: server=12 workstation=140."""
    with _spool(state, make=True) as spool:
        try:
            deployed = _counts(spool, counts)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        kept = SiteManager(spool, httpx.AsyncClient(), machine_clock).record(machine_clock(), deployed)
    _tell(
        "Recorded; it goes out with the next heartbeat." if kept else "The disk is full: nothing was recorded.",
        failed=not kept,
    )


@app.command()
def status(state: State = DEFAULT_STATE) -> None:
    """Show how things stand, from this file alone."""
    with _spool(state) as spool:
        identity, bound = read_identity(spool.db), read_bound(spool.db)
        if identity is None or bound is None:
            _tell(REFUSALS["not_activated"], failed=True)
            return
        progress = read_progress(spool.db)
        site = SiteManager(spool, httpx.AsyncClient(), machine_clock)
        permission = site.permission()
        for label, value in (
            ("site", bound.site_id),
            ("installation", identity.installation_id),
            ("key", f"{bound.key_id} (ends in {bound.key_tail})"),
            ("service", identity.server or "-"),
            ("state", f"{progress.state or '-'}{f' ({progress.reason})' if progress.reason else ''}"),
            ("last answer", progress.heard_at or "never"),
            ("next heartbeat", progress.next_at or "-"),
            ("deployed", (progress.deployed or "nothing counted yet").replace('"', "").replace(",", ", ")),
            ("waiting", f"{chain.count_waiting(spool.db):,} entries"),
            ("allowed", _allowed(permission.new_agents, permission.backups)),
        ):
            typer.echo(f"{label:15} {value}")
        typer.echo(explain_lease(site.lease_in_hand()))
        typer.echo(STATES.get(progress.state or "", ""))


@app.command("show-last-payload")
def show_last_payload(state: State = DEFAULT_STATE) -> None:
    """Print the very bytes last sent (stdout), and their receipt (stderr)."""
    with _spool(state) as spool:
        payload = read_payload(spool.db)
    if payload is None:
        _tell("Nothing has been sent yet.", failed=True)
        return
    typer.echo(payload.body, nl=sys.stdout.isatty())  # a file or a pipe gets these bytes and no other
    if payload.receipt is not None:
        _tell(f"answered {payload.ended_at}, through {payload.through}, receipt {payload.receipt.hex()}")
    elif payload.refused is not None:
        _tell(f"refused {payload.ended_at}: {payload.refused}")
    else:
        _tell("not answered yet")


@app.command("verify-receipts")
def verify_receipts(state: State = DEFAULT_STATE) -> None:
    """Compute every receipt anew from the entries kept here."""
    with _spool(state) as spool:
        if read_identity(spool.db) is None:
            _tell("There is nothing to verify yet.", failed=True)
        found = chain.verify(spool.db)
    if found.disputed_n is not None:
        _tell(f"The service's receipt of entry {found.disputed_n} is another than this site's.", failed=True)
    if found.broken_n is not None:
        _tell(f"The receipt of entry {found.broken_n} does not follow from the entries.", failed=True)
    typer.echo(
        f"Receipts {found.first_n} to {found.last_n} follow from the entries; "
        f"the service has confirmed up to {found.through}."
    )


def _counts(spool: Spool, typed: list[str]) -> Counts:
    identity = read_identity(spool.db)
    counts = chain.present(spool.db) if identity is not None else {}
    for item in typed:
        name, equals, number = item.partition("=")
        if name not in Counts.__slots__ or not equals or not (number.isascii() and number.isdigit()):
            raise ValueError(f"{item!r}: say TYPE=NUMBER, with TYPE one of {', '.join(Counts.__slots__)}")
        counts[name] = int(number)
    return Counts(**counts)


def _allowed(new_agents: bool, backups: bool) -> str:
    return f"new agents {'yes' if new_agents else 'no'}, backups {'yes' if backups else 'no'}, restore yes"


def _refuse_plain_http(server: str) -> None:
    url = httpx.URL(server)
    if url.scheme != "https" and not (url.scheme == "http" and url.host in ("localhost", "127.0.0.1", "::1")):
        raise typer.BadParameter("the service's address begins with https:// (http:// for this machine only)")


def _tell(sentence: str, *, failed: bool = False) -> None:
    typer.echo(sentence, err=True)
    if failed:
        raise typer.Exit(1)


@contextmanager
def _spool(state: Path, *, make: bool = False) -> Iterator[Spool]:
    if not make and not state.exists():
        _tell(f"There is no state file {state}; {REFUSALS['not_activated']}", failed=True)
    spool = Spool.open(state)
    try:
        yield spool
    finally:
        spool.close()


@asynccontextmanager
async def _site(
    spool: Spool, server: str, *, machine: FolderMachine | None = None, refuses_commands: bool = False
) -> AsyncIterator[SiteManager]:
    async with httpx.AsyncClient(base_url=server, timeout=TIMEOUT_SECONDS) as http:
        yield SiteManager(
            spool,
            http,
            machine_clock,
            hostname=socket.gethostname(),
            machine=machine,
            refuses_commands=refuses_commands,
        )
