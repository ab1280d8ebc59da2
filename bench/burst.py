"""Ten thousand sites come back within one second, each on a connection of its own, after the service was away."""

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from bench.load import NotMeasured
from bench.rows import Row, at_most
from bench.stand import Stand

_SITES = 10_000
_AWAY = timedelta(hours=1)
_WITHIN_SECONDS = 1.0
_PATIENCE_SECONDS = 60
_AWAY_SINCE = "update lines set last_contact_at = $1, known_until_at = $1 where site_id = any($2)"
_DISABLED = "select count(*) from lines where told_state <> 'active' and site_id = any($1)"


@dataclass(slots=True)
class _Return:
    """What became of the sites: statuses, and seconds from the instant at which each meant to come."""

    statuses: Counter[int] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


def rows(stand: Stand) -> list[Row]:
    """Let them come back, once."""
    back, disabled = asyncio.run(_come_back(stand))
    p99 = quantiles(back.seconds, n=100)[-1]
    refused = _SITES - back.statuses[200]
    name = f"{_SITES:,} sites come back within one second"
    beside = f"statuses {dict(back.statuses)}, last after {max(back.seconds):.1f} s"
    return [
        at_most(f"{name}: refused or lost", refused, "sites", beside, 0),
        at_most(f"{name}: disabled", disabled, "sites", f"told {dict(back.states)}", 0),
        at_most(f"{name}: p99", p99, "s", f"from the instant of each; median {quantiles(back.seconds)[1]:.1f} s", 10),
    ]


async def _come_back(stand: Stand) -> tuple[_Return, int]:
    connection: Any = await stand.connect()
    sites = await stand.read_sites(_SITES)
    ids = [site.site_id for site in sites]
    now = stand.now()
    await connection.execute(_AWAY_SINCE, now - _AWAY, ids)
    requests = [site.request(stand.vault, now, "Connection: close\r\n") for site in sites]
    back = _Return()
    address = urlsplit(stand.url)
    begins = time.perf_counter() + 0.5
    coming = [
        _come(str(address.hostname), int(address.port or 0), begins + _WITHIN_SECONDS * n / _SITES, request, back)
        for n, request in enumerate(requests)
    ]
    await asyncio.gather(*coming)
    disabled = await connection.fetchval(_DISABLED, ids)
    await connection.close()
    return back, disabled


async def _come(host: str, port: int, at: float, request: bytes, back: _Return) -> None:
    await asyncio.sleep(at - time.perf_counter())
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError) as error:
        raise NotMeasured(f"a site got no answer: {error!r}") from error
    head, _, body = answer.partition(b"\r\n\r\n")
    back.seconds.append(time.perf_counter() - at)
    status = int(head.split(b" ", 2)[1])
    back.statuses[status] += 1
    if status == 200:
        back.states[json.loads(body)["state"]] += 1
