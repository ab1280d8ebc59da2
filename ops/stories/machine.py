"""A machine of a story: a real Site Manager with its spool on a disk that can be copied, and a line that can be cut."""

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ops.stories.screen import Screen
from services.clock import Clock
from site_manager import Activated, Answered, Change, Counts, Repaired, SiteManager, Spool
from site_manager.messages import explain
from site_manager.outcome import ActivationOutcome, Outcome

_ROUNDS_MAX = 20


@dataclass(slots=True)
class Wire(httpx.AsyncBaseTransport):
    """The machine's line: real, from an address of its own, and it can be cut. It shows what goes over it."""

    who: str
    address: str
    screen: Screen
    cut: bool = False
    shown: bool = True
    _real: httpx.AsyncHTTPTransport = field(init=False)

    def __post_init__(self) -> None:
        """Plug it in."""
        self._real = httpx.AsyncHTTPTransport(local_address=self.address)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, or fail as an unplugged cable would."""
        if self.shown and request.method == "POST":
            self.screen.sent(self.who, request.url.path, json.loads(request.content))
        if self.cut:
            self._lost()
            raise httpx.ConnectError("the line is cut", request=request)
        try:
            response = await self._real.handle_async_request(request)
        except httpx.TransportError:
            self._lost()
            raise
        body = await response.aread()
        if self.shown and request.method == "POST":
            self.screen.answered(response.status_code, _object(body))
        return response

    async def aclose(self) -> None:
        """Unplug it."""
        await self._real.aclose()

    def _lost(self) -> None:
        if self.shown:
            self.screen.unanswered()


@dataclass(slots=True)
class Machine:
    """One machine and its Site Manager."""

    hostname: str
    disk: Path
    wire: Wire
    clock: Clock
    url: str
    manager: SiteManager = field(init=False)
    answered: Answered | None = None
    _spool: Spool = field(init=False)
    _http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        """Boot from its disk."""
        self._spool = Spool.open(self.disk, durable=False)
        self._http = httpx.AsyncClient(base_url=self.url, transport=self.wire, timeout=30)
        self.manager = SiteManager(self._spool, self._http, self.clock, hostname=self.hostname)

    async def activate(self, code: str) -> ActivationOutcome:
        """Type the key in."""
        return await self.manager.activate(code, hostname=self.hostname, name=self.hostname)

    def count(self, server: int, workstation: int) -> None:
        """Have so many agents from now on."""
        self.manager.record_many([Change(self.clock(), Counts(server, workstation, 0))])

    async def beat(self) -> Outcome:
        """Send heartbeats until nothing more is to be sent now."""
        for _ in range(_ROUNDS_MAX):
            outcome = await self.manager.heartbeat()
            if isinstance(outcome, Answered):
                self.answered = outcome
            if isinstance(outcome, Repaired):
                self._tell(outcome)
            elif not (isinstance(outcome, Answered) and outcome.more):
                break
        self._tell(outcome)
        return outcome

    async def live(self) -> None:
        """Send a heartbeat if it is time to, without a word."""
        if self.manager.next_at > self.clock():
            return
        told, self.wire.shown = self.wire.shown, False
        await self.beat()
        self.wire.shown = told

    def image(self, path: Path) -> Path:
        """Copy the disk as it is at this instant."""
        with sqlite3.connect(path) as copy:
            self._spool.db.backup(copy)
        copy.close()
        return path

    async def off(self) -> None:
        """Pull the plug."""
        self._spool.close()
        await self._http.aclose()

    def _tell(self, outcome: Outcome) -> None:
        if self.wire.shown:
            self.wire.screen.sees("its operator reads", explain(outcome))


def activated(outcome: ActivationOutcome) -> bool:
    """Tell whether an activation went well."""
    return isinstance(outcome, Activated)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
