"""The machine that a site lives on."""

from contextlib import ExitStack
from pathlib import Path

import httpx

from site_manager import SiteManager, Spool
from tests.site_manager.fake_service import Clock


class Machine:
    """Opens a site on its file as often as asked: each time as after a restart."""

    def __init__(self, path: Path, http: httpx.AsyncClient, clock: Clock, closing: ExitStack) -> None:
        self.path = path
        self._http = http
        self._clock = clock
        self._closing = closing

    def spool(self, path: Path | None = None, entries_max: int = 200_000) -> Spool:
        spool = Spool.open(path or self.path, entries_max=entries_max)
        self._closing.callback(spool.close)
        return spool

    def site(self, path: Path | None = None, entries_max: int = 200_000) -> SiteManager:
        return SiteManager(self.spool(path, entries_max), self._http, self._clock)
