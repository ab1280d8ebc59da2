"""The `tidemark` command."""

import asyncio
import importlib
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import typer
import uvicorn
import yaml
from rich.console import Console

from license_api.app import create_app
from license_api.v1 import heartbeat_door
from ops import close as ops_close
from ops import ledger as ops_ledger
from ops import policy as ops_policy
from ops import schema, service_login, upkeep
from ops.demo import demo as play_demo
from ops.logs import configure_logs
from ops.replay.command import months_from, play, read_duration
from ops.replay.fleet import FLEET_COLUMNS, read_fleet, read_outages
from ops.replay.rig import Plan
from ops.stories import STORIES, play_story
from ops.up import serve
from report_worker import main as worker_main
from services.clock import Clock, SharedClock, system_clock
from services.errors import Refusal
from services.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tidemark: metered licence keys and their report.",
)
_keys = typer.Typer(no_args_is_help=True, help="Keys of the service itself.")
_users = typer.Typer(no_args_is_help=True, help="The people of the vendor.")
_letters = typer.Typer(no_args_is_help=True, help="Letters that were sent.")
_ledger = typer.Typer(no_args_is_help=True, help="The ledger of usage.")
_policy = typer.Typer(no_args_is_help=True, help="Policies of the programme, distributors, MSPs and keys.")
_msp = typer.Typer(no_args_is_help=True, help="Managed service providers.")
app.add_typer(_keys, name="keys")
app.add_typer(_ledger, name="ledger")
app.add_typer(_letters, name="letters")
app.add_typer(_msp, name="msp")
app.add_typer(_policy, name="policy")
app.add_typer(_users, name="users")
_bench = typer.Typer(no_args_is_help=True, help="What it costs, from a checkout: bench/ is not in the image.")
app.add_typer(_bench, name="bench")
_ADDRESS = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,63}")
_Level = Annotated[
    str, typer.Argument(metavar="LEVEL", help="programme, or the id of a distributor, an MSP or a key as it is shown.")
]
_Values = Annotated[
    list[str], typer.Argument(metavar="KNOB=VALUE...", help="E.g. disable_after=7d standalone_seats=9 warn_after=none")
]
_ClockFile = Annotated[Path | None, typer.Option("--clock", hidden=True)]


@app.command()
def api(clock: _ClockFile = None) -> None:
    """Serve the License API."""
    settings = _ready_settings()
    made = create_app(settings, _clock(clock))
    uvicorn.run(
        made,
        http=heartbeat_door.before(made),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the app asks the proxies that are trusted itself
        timeout_graceful_shutdown=20,
    )


@app.command()
def worker(clock: _ClockFile = None, poll_seconds: Annotated[float, typer.Option(hidden=True)] = 0.5) -> None:
    """Run the report worker."""
    settings = _ready_settings("redis_url")
    asyncio.run(worker_main.run(settings, _clock(clock), poll_seconds=poll_seconds))


@app.command()
def migrate() -> None:
    """Bring the schema up to this version."""
    settings = Settings.load()
    url = settings.migrate_database_url or settings.database_url
    if not url:
        raise typer.BadParameter("TIDEMARK_DATABASE_URL is not set")
    schema.upgrade(url)
    if settings.migrate_database_url and settings.database_url:
        service_login.admit(url, settings.database_url)
    typer.echo(f"The schema is at {schema.head()}.")


@app.command()
def openapi() -> None:
    """Print the contract of the API."""
    document = create_app(Settings()).openapi()
    yaml.safe_dump(document, sys.stdout, sort_keys=False, allow_unicode=True, width=100)


@app.command()
def demo() -> None:
    """Play a made-up month of three MSPs and show it."""
    play_demo()


@app.command()
def story(name: Annotated[str, typer.Argument(metavar="|".join(STORIES))]) -> None:
    """Play a story on the whole service with a simulated clock, and explain it; fails if its promise did not hold."""
    if name not in STORIES:
        raise typer.BadParameter(f"there are {', '.join(STORIES)}")
    if not play_story(name, Console(highlight=False)):
        raise typer.Exit(1)


@app.command()
def up(port: Annotated[int, typer.Option(help="The port of the API; another free one if it is taken.")] = 8080) -> None:
    """Serve API and worker on this machine until Ctrl-C, with an MSP to try it with."""
    serve(port)


@app.command()
def replay(
    fleet: Annotated[
        Path, typer.Argument(metavar="FLEET.csv[.gz]", help="Lives of agents: " + ",".join(FLEET_COLUMNS))
    ],
    zone: Annotated[str, typer.Option(help="The distributor's IANA time zone.")],
    first: Annotated[str, typer.Option("--from", metavar="YYYY-MM", help="The first month.")],
    out: Annotated[Path, typer.Option(help="The folder for what comes of it.")],
    months: Annotated[int, typer.Option(min=1, max=120, help="How many months.")] = 1,
    outages: Annotated[Path | None, typer.Option(help="When a site reaches nothing: site,from,until")] = None,
    heartbeat: Annotated[str, typer.Option(help="The interval between heartbeats.")] = "1h",
    disable_after: Annotated[str, typer.Option(help="The silence that disables a key.")] = "24h",
) -> None:
    """Let a fleet live through months on a simulated clock, and report them."""
    try:
        lives = read_fleet(fleet)
        plan = Plan(
            fleet=lives,
            outages=read_outages(outages, lives) if outages else {},
            periods=months_from(zone, first, months),
            heartbeat=read_duration(heartbeat),
            disable_after=read_duration(disable_after),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    play(plan, out)


@app.command()
def close(
    period: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month.")],
    distributor: Annotated[str, typer.Option(help="The distributor's name.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="What would be charged if it closed now.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Both computations of a closed month.")] = False,
    take_again: Annotated[bool, typer.Option("--take-again", help="Take held reports' lines again.")] = False,
) -> None:
    """Look into the close of a month; the worker closes by itself when a month is due."""
    if dry_run + explain + take_again != 1:
        raise typer.BadParameter("say one of --dry-run, --explain and --take-again")
    settings = _ready_settings()
    try:
        if take_again:
            taken = asyncio.run(ops_close.take_again(settings, distributor, period))
            typer.echo(f"{taken} reports taken again")
            return
        agree = asyncio.run(ops_close.show_close(settings, system_clock(), distributor, period, explain=explain))
    except (ValueError, Refusal) as error:
        raise typer.BadParameter(str(error)) from error
    if not agree:
        raise typer.Exit(1)


@app.command()
def sweep(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what it would disable, and what it holds.")
    ] = False,
    release: Annotated[UUID | None, typer.Option(metavar="MSP", help="Disable what is held of this MSP.")] = None,
) -> None:
    """Look at the sweep, or let go what its breaker holds."""
    settings = _ready_settings()
    if release is not None:
        typer.echo(f"{asyncio.run(upkeep.release_sweep(settings, release))} sites are disabled at the next sweep.")
    elif dry_run:
        for line in asyncio.run(upkeep.show_sweep(settings)):
            typer.echo(line)
    else:
        raise typer.BadParameter("say --dry-run or --release MSP; the worker sweeps of itself")


@_ledger.command("show")
def show_ledger() -> None:
    """Show the ledger's partitions."""
    for line in asyncio.run(ops_ledger.show_ledger(_ready_settings())):
        typer.echo(line)


@_ledger.command("archive")
def archive_ledger(
    before: Annotated[str, typer.Option(metavar="YYYY-MM", help="The first month that stays.")],
) -> None:
    """Take old months out of the ledger: detached, kept in the schema ledger_archive, and nothing counted changes."""
    try:
        lines = asyncio.run(ops_ledger.archive(_ready_settings(), before, system_clock()))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    for line in lines:
        typer.echo(line)


@_keys.command("rotate-signing")
def rotate_signing() -> None:
    """Make a new key to sign leases with; the old one stays valid until its leases have ended."""
    typer.echo(asyncio.run(upkeep.rotate_signing(_ready_settings())))


@_policy.command("show")
def show_policy(level: _Level) -> None:
    """Show what is in force at a level, from where each value comes, and the bounds."""
    _say(lambda: ops_policy.show(_ready_settings(), level))


@_policy.command("set")
def set_policy(level: _Level, values: _Values) -> None:
    """Set values of a level; `none` leaves that of the level above in force, what is not named stays."""
    _say(lambda: ops_policy.change(_ready_settings(), level, values))


@_policy.command("dry-run")
def try_policy(level: _Level, values: _Values) -> None:
    """Show what values would do to the present fleet at once; sets nothing."""
    _say(lambda: ops_policy.try_out(_ready_settings(), level, values))


def _say(act: Callable[[], Coroutine[Any, Any, list[str]]]) -> None:
    try:
        lines = asyncio.run(act())
    except (ValueError, Refusal) as error:
        raise typer.BadParameter(str(error)) from error
    for line in lines:
        typer.echo(line)


@_msp.command("suspend")
def suspend_msp(msp: UUID, reason: Annotated[str, typer.Option(help="What its sites are told.")]) -> None:
    """Suspend an MSP with all its keys."""
    typer.echo(f"{asyncio.run(upkeep.suspend_msp(_ready_settings(), msp, reason))} keys are suspended.")


@_msp.command("resume")
def resume_msp(msp: UUID) -> None:
    """Take an MSP's suspension back; keys suspended of themselves stay so."""
    typer.echo(f"{asyncio.run(upkeep.resume_msp(_ready_settings(), msp))} keys are resumed.")


@_letters.command("bounced")
def letter_bounced(
    which: Annotated[str | None, typer.Argument(metavar="LETTER|ADDRESS", help="Its id, or to whom it went.")] = None,
    reason: Annotated[str, typer.Option(help="What the mail system said.")] = "undeliverable",
) -> None:
    """Note that a letter came back; without a name the mail system's report is read from standard input."""
    message = b"" if which else sys.stdin.buffer.read()
    typer.echo(asyncio.run(upkeep.letter_bounced(_ready_settings(), which, reason, message)))


@_users.command("invite-admin")
def invite_admin(
    email: Annotated[str, typer.Argument(help="Whom.")],
    language: Annotated[Literal["it", "en"], typer.Option(help="The language of the letter.")] = "it",
) -> None:
    """Invite an admin of the vendor: the first one, or one in the place of those who lost their way in."""
    if not _ADDRESS.fullmatch(email):
        raise typer.BadParameter(f"{email!r} is no e-mail address")
    try:
        link = asyncio.run(upkeep.invite_admin(_ready_settings(), email, language))
    except Refusal as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"A letter goes to {email}. Its link, good once and for seven days:\n\n{link}")


@_bench.command("fleet")
def bench_fleet(
    sites: Annotated[int, typer.Option(min=1, help="How many simulated sites.")] = 10_000,
    interval: Annotated[int, typer.Option(min=10, help="Seconds between two heartbeats of a site.")] = 900,
    seconds: Annotated[int, typer.Option(min=1, help="How long to hold them.")] = 60,
) -> None:
    """Hold simulated sites at their interval; prints latencies, CPU of each process, WAL and the growth of tables."""
    sys.path.append(str(Path(__file__).parents[1]))  # the checkout: bench/ is not installed
    importlib.import_module("bench.holding").hold_fleet(sites, interval, seconds, Console(highlight=False))


def _ready_settings(*also: str) -> Settings:
    settings = Settings.load()
    for name in ("database_url", "master_secret", *also):
        if not getattr(settings, name):
            raise typer.BadParameter(f"TIDEMARK_{name.upper()} is not set")
    configure_logs(settings.log_level)
    return settings


def _clock(file: Path | None) -> Clock:
    return SharedClock(file) if file else system_clock


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
