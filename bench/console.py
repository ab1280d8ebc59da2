"""The console: the list of ten thousand sites beside that of a hundred, and how long each page takes."""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx

from bench import fleet
from bench.load import NotMeasured
from bench.rows import Row, at_most, in_turn
from bench.stand import Stand
from license_api.console.rooms import ROOMS
from license_api.console.route import PageRoute
from services import partners
from services.db import make_engine, make_sessions
from services.partners import Origin, Partner, PartnerKind, Role

_SESSION = "tidemark_session"
_LARGE, _SMALL = 10_000, 100
_FIRST = 20_000_000
_FILTERED = "/sites?q=site&state=active&liveness=online&sort=-name"
_ROUNDS = 15
_WARM = 3
_PAGE_MS_MAX = 100


def rows(stand: Stand) -> Iterator[Row]:
    """Measure both lists in turn, and then each page of the larger MSP."""
    large, small = asyncio.run(_msps(stand))
    with httpx.Client(base_url=stand.url, timeout=30) as client:
        for secret in (large, small):
            for _ in range(_WARM):
                _get(client, secret, _FILTERED)
        ours, hundred = in_turn(_ROUNDS, lambda: _get(client, large, _FILTERED), lambda: _get(client, small, _FILTERED))
        beside = f"{ours:.1f} ms; {_SMALL} sites {hundred:.1f} ms ({_FILTERED})"
        yield at_most(f"console: list of {_LARGE:,} sites, filtered and sorted", ours / hundred, "x", beside, 1.5)
        pages = {path: _page(client, large, path) for path in _paths() if _is_open(client, large, path)}
        slowest = max(pages, key=lambda path: pages[path])
        each = f"slowest of {len(pages)} is {slowest}; {_LARGE:,} sites"
        yield at_most("console: every page", pages[slowest], "ms", each, _PAGE_MS_MAX)


def _get(client: httpx.Client, secret: str, path: str) -> float:
    """Give the milliseconds that a page takes."""
    started = time.perf_counter()
    answer = client.get(path, headers={"Cookie": f"{_SESSION}={secret}"})
    taken = time.perf_counter() - started
    if answer.is_error:
        raise NotMeasured(f"{path} was answered {answer.status_code}")
    return 1000 * taken


def _is_open(client: httpx.Client, secret: str, path: str) -> bool:
    """Tell whether an MSP may enter: some rooms are the distributors' and the vendor's."""
    return client.get(path, headers={"Cookie": f"{_SESSION}={secret}"}).status_code != httpx.codes.FORBIDDEN


def _page(client: httpx.Client, secret: str, path: str) -> float:
    _get(client, secret, path)
    return sorted(_get(client, secret, path) for _ in range(3))[1]


def _paths() -> list[str]:
    """Give the pages that need no id."""
    pages = [one for room in ROOMS for one in room.routes if isinstance(one, PageRoute) and "GET" in one.methods]
    return [one.path for one in pages if "{" not in one.path]


async def _msps(stand: Stand) -> tuple[str, str]:
    """Make two MSPs of those sizes, and sign an admin in at each."""
    connection: Any = await stand.connect()
    engine = make_engine(stand.settings.database_url)
    now, first, secrets = stand.now(), _FIRST, []
    for sites in (_LARGE, _SMALL):
        async with make_sessions(engine).begin() as db:
            msp = await partners.add_msp(db, name=f"{sites} sites", distributor_id=stand.distributor_id, now=now)
            secrets.append(await _sign_in(db, msp.id, now))
        await fleet.add_sites(connection, first, first + sites - 1, msp.id, now)
        first += sites
    await engine.dispose()
    await connection.close()
    return secrets[0], secrets[1]


async def _sign_in(db: Any, msp_id: UUID, now: datetime) -> str:
    user = await partners.add_user(
        db,
        Partner(PartnerKind.MSP, msp_id),
        email=f"{msp_id}@example.org",
        name="Bench",
        role=Role.ADMIN,
        language="en",
        password_hash=None,
        now=now,
    )
    begun = await partners.begin_session(db, user, origin=Origin("127.0.0.1"), program=None, now=now)
    return begun.secret
