"""`tidemark up`: the service on this machine, with people and a small fleet to look at. Gone when it ends."""

import asyncio
import signal
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ops.ground import Ground, lay_ground
from ops.logs import configure_logs
from ops.sample import Sample, make_sample
from ops.sample.people import PEOPLE
from ops.stack import Stack, start_stack

_CODES_SHOWN = 4


def serve(port: int) -> None:
    """Start everything, say how to use it, and wait for Ctrl-C or SIGTERM."""
    console = Console(highlight=False)
    configure_logs("error")
    with tempfile.TemporaryDirectory(prefix="tidemark-up-") as name, lay_ground() as ground:
        port = _free(port)
        own = _with_mail(ground, Path(name) / "mail", port)
        with console.status("two months are being lived through, for there to be something to see"):
            sample = asyncio.run(make_sample(own.settings, _folder(Path(name) / "stations")))
        with start_stack(own, port=port) as stack:
            _greet(console, stack.url, sample)
            asyncio.run(_run(stack, sample))
            console.print("stopping")


async def _run(stack: Stack, sample: Sample) -> None:
    """Let the stations live until somebody ends it, or a process has ended."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    living = asyncio.create_task(sample.live(stack.url))
    while not ended.is_set() and stack.api.alive and stack.worker.alive:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 1)
    living.cancel()
    with suppress(asyncio.CancelledError):
        await living


def _greet(console: Console, url: str, sample: Sample) -> None:
    staff = sample.staff
    console.print(f"\n[bold]Tidemark is up:[/bold] {url}\n\nSign in with the password [bold]{staff.password}[/bold] as")
    people = Table(box=None, show_header=False, padding=(0, 2))
    for person in PEOPLE:
        people.add_row(person.email, person.partner, person.role)
    console.print(people)
    console.print(_FACTOR.format(codes=_lines(staff.recovery_codes), secret=staff.totp_secret), soft_wrap=True)
    console.print(_PROGRAMS.format(url=url, token=sample.token, code=sample.code), soft_wrap=True)


def _lines(codes: Mapping[str, list[str]]) -> str:
    return "\n".join(f"  {email:<22} {' '.join(own[:_CODES_SHOWN])}" for email, own in codes.items())


_FACTOR = """
The Partner Team's people give a second factor too: one of their own codes, each once,
{codes}
or what an authenticator shows for the secret {secret}
"""
_PROGRAMS = """Adriatica's programs have a token, and its customer Notaio Bellini a key that is not yet in use:

  export TOKEN={token}
  curl -H "Authorization: Bearer $TOKEN" {url}/v1/sites

  .venv/bin/site-manager activate {code} --server {url} --state site.sqlite
  .venv/bin/site-manager set-agents server=3 workstation=25 --state site.sqlite
  .venv/bin/site-manager run --state site.sqlite

Ctrl-C ends it; nothing is kept.
"""


def _with_mail(ground: Ground, mail: Path, port: int) -> Ground:
    address = f"http://127.0.0.1:{port}"
    settings = ground.settings.model_copy(update={"mail_folder": str(mail), "public_url": address})
    return replace(ground, settings=settings)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _free(port: int) -> int:
    """Give the port, or any free one if it is taken."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
