"""Idle heartbeats through the ledger's path without HTTP, in rounds a quarter of an hour apart."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bench.fleet import Site, read_sites
from bench.load import NotMeasured
from bench.stand import Stand
from license_api.v1.wire import HeartbeatRequest
from services import sites
from services.signing import SigningKey
from services.sites import Desk, Echo, Idle, LeaseSigner, read_bearer

BATCH = 128
INTERVAL = timedelta(minutes=15)
_HEARD = "update lines set last_contact_at = $2 where site_id = any($1)"


class Rounds:
    """Some sites of the stand, and the connection on which their heartbeats are committed."""

    def __init__(self, stand: Stand, connection: Any, chosen: Sequence[Site], now: datetime) -> None:
        """Begin at an instant; see `begin`."""
        self._stand = stand
        self._connection = connection
        self._desk = Desk(stand.vault, LeaseSigner(stand.settings.issuer, SigningKey.make()))
        self.sites = list(chosen)
        self.now = now

    async def go(self) -> float:
        """Let each site send one idle heartbeat; gives the seconds, without those of reading the JSON."""
        beats = [self._idle(site) for site in self.sites]
        started = time.perf_counter()
        for i in range(0, len(beats), BATCH):
            answers = await sites.advance_idle(self._connection, self._desk, beats[i : i + BATCH], self.now)
            if None in answers:
                raise NotMeasured("a heartbeat that should be idle was not")
        seconds = time.perf_counter() - started
        self.sites = [site.next() for site in self.sites]
        self.now += INTERVAL
        return seconds

    def _idle(self, site: Site) -> Idle:
        request = HeartbeatRequest.model_validate_json(site.body(self._stand.vault, self.now))
        return Idle(request.heartbeat(read_bearer(site.bearer)), Echo(0, site.sequence, site.through))


async def begin(stand: Stand, connection: Any, count: int, rounds: int = 1) -> Rounds:
    """Choose sites, and begin so long ago that the last round is over when the present comes."""
    await connection.execute(sites.PREPARE)
    chosen = await read_sites(connection, count)
    first = stand.now() - rounds * INTERVAL
    await connection.execute(_HEARD, [site.site_id for site in chosen], first - INTERVAL)
    return Rounds(stand, connection, chosen, first)
