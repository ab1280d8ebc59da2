"""`tidemark up`: the service on this machine, with an MSP and a key to try it with. Gone when it ends."""

import asyncio
import signal
import socket
import threading

from rich.console import Console

from ops.ground import lay_ground
from ops.stack import start_stack
from services import keys, partners
from services.clock import system_clock
from services.db import make_engine, make_sessions
from services.settings import Settings
from services.signing import Vault


def serve(port: int) -> None:
    """Start everything, say how to use it, and wait for Ctrl-C or SIGTERM."""
    console = Console(highlight=False)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with console.status("starting"), lay_ground() as ground, start_stack(ground, port=_free(port)) as stack:
        token, code = asyncio.run(_seed(stack.settings))
        console.print(_GREETING.format(url=stack.url, token=token, code=code), soft_wrap=True)
        while not ended.wait(1) and stack.api.alive and stack.worker.alive:
            pass
        console.print("stopping")


_GREETING = """
[bold]Tidemark is up:[/bold] {url}

An MSP, "Adriatica Sistemi", has a token for its programs and a first key:

  export TOKEN={token}
  curl -H "Authorization: Bearer $TOKEN" {url}/v1/sites
  curl -H "Authorization: Bearer $TOKEN" {url}/v1/reports/provisional

Play its customer's Site Manager in another terminal:

  .venv/bin/site-manager activate {code} --server {url} --state site.sqlite
  .venv/bin/site-manager set-agents server=3 workstation=25 --state site.sqlite
  .venv/bin/site-manager run --state site.sqlite

Ctrl-C ends it; nothing is kept.
"""


async def _seed(settings: Settings) -> tuple[str, str]:
    """Make a distributor, an MSP with a token, and a key; give the token and the key's code."""
    engine, now = make_engine(settings.database_url), system_clock()
    vault = Vault(settings.master_secret.get_secret_value())
    async with make_sessions(engine).begin() as db:
        distributor = await partners.add_distributor(db, name="Tidemark Italia", zone="Europe/Rome", now=now)
        msp = await partners.add_msp(db, name="Adriatica Sistemi", distributor_id=distributor.id, now=now)
        token = await partners.issue_token(db, msp_id=msp.id, name="first", now=now)
        issued = await keys.create(db, vault, msp_id=msp.id, name="Officine Ferri", actor="up", now=now)
    await engine.dispose()
    return token, issued.code


def _free(port: int) -> int:
    """Give the port, or 0 for any free one if it is taken."""
    with socket.socket() as probe:
        return 0 if probe.connect_ex(("127.0.0.1", port)) == 0 else port
