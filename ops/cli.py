"""The `tidemark` command."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
import yaml

from license_api.app import create_app
from ops import schema
from ops.demo import demo as play_demo
from ops.logs import configure_logs
from ops.replay.command import months_from, play, read_duration
from ops.replay.fleet import FLEET_COLUMNS, read_fleet, read_outages
from ops.replay.rig import Plan
from ops.up import serve
from report_worker import main as worker_main
from services.clock import Clock, SharedClock, system_clock
from services.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tidemark: metered licence keys and their report.",
)
_ClockFile = Annotated[Path | None, typer.Option("--clock", hidden=True)]


@app.command()
def api(clock: _ClockFile = None) -> None:
    """Serve the License API."""
    settings = _ready_settings()
    uvicorn.run(
        create_app(settings, _clock(clock)),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
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
