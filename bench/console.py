"""The console with 10,000 sites of one MSP and 2,000 MSPs: its list beside that of a hundred, and each page."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx

from bench import fleet
from bench.load import NotMeasured
from bench.rows import Row, at_most, in_turn
from bench.stand import Stand, stand
from license_api.console.rooms import ROOMS
from license_api.console.route import PageRoute
from services import partners
from services.db import make_engine, make_sessions
from services.partners import VENDOR_ID, Origin, Partner, PartnerKind, Role

_SESSION = "tidemark_session"
_LARGE, _SMALL, _MSPS = 10_000, 100, 2_000
_FIRST = 20_000_000
_FILTERED = "/sites?q=site&state=active&liveness=online&sort=-name"
# What no index helps: every site is looked at, and by what a heartbeat changes.
_OTHERS = ("/sites?sort=contact", "/sites?sort=-agents&liveness=online", "/sites?liveness=overdue")
_ROUNDS = 15
_WARM = 3
_PAGE_MS_MAX = 100


def rows() -> list[Row]:
    """Measure both lists in turn, and then each page of each kind of partner."""
    with stand(_SMALL) as made, httpx.Client(base_url=made.url, timeout=30) as client:
        secrets = asyncio.run(_fill(made))
        for name in ("large", "small"):
            for _ in range(_WARM):
                _get(client, secrets[name], _FILTERED)
        ours, hundred = in_turn(
            _ROUNDS, *(lambda one=one: _get(client, secrets[one], _FILTERED) for one in ("large", "small"))
        )
        beside = f"{ours:.1f} ms; {_SMALL} sites {hundred:.1f} ms ({_FILTERED})"
        ratio = at_most(f"console: list of {_LARGE:,} sites, filtered and sorted", ours / hundred, "x", beside, 1.5)
        kinds = {"large": "the MSP's", "distributor": "the distributor's", "vendor": "the vendor's"}
        return [ratio, *(_slowest(client, secrets[name], shown) for name, shown in kinds.items())]


def _slowest(client: httpx.Client, secret: str, whose: str) -> Row:
    # Not those of nobody: what a network may ask for is counted, and there are few of it.
    own = [path for path in (*_paths(), *_OTHERS) if not _is_open(client, "", path) and _is_open(client, secret, path)]
    pages = {path: _page(client, secret, path) for path in own}
    slow = sorted(pages, key=lambda path: -pages[path])[:5]
    told = ", ".join(f"{path} {pages[path]:.0f}" for path in slow)
    return at_most(f"console: every page of {whose}", pages[slow[0]], "ms", f"of {len(pages)}: {told}", _PAGE_MS_MAX)


def _get(client: httpx.Client, secret: str, path: str) -> float:
    """Give the milliseconds that a page takes."""
    started = time.perf_counter()
    answer = client.get(path, headers={"Cookie": f"{_SESSION}={secret}"})
    taken = time.perf_counter() - started
    if answer.is_error:
        raise NotMeasured(f"{path} was answered {answer.status_code}")
    return 1000 * taken


def _is_open(client: httpx.Client, secret: str, path: str) -> bool:
    """Tell whether one may enter: some rooms are only for some partners, and some are for those who are nobody yet."""
    return client.get(path, headers={"Cookie": f"{_SESSION}={secret}"}).status_code == httpx.codes.OK


def _page(client: httpx.Client, secret: str, path: str) -> float:
    _get(client, secret, path)
    return sorted(_get(client, secret, path) for _ in range(3))[1]


def _paths() -> Sequence[str]:
    """Give the pages that need no id."""
    pages = [
        one for room in ROOMS for one in room.routes if isinstance(one, PageRoute) and "GET" in (one.methods or ())
    ]
    return [one.path for one in pages if "{" not in one.path]


async def _fill(made: Stand) -> dict[str, str]:
    """Make the MSPs, all of one distributor, and sign an admin in at those who are asked; their secrets."""
    connection: Any = await made.connect()
    engine = make_engine(made.settings.database_url)
    now = made.now()
    async with make_sessions(engine).begin() as db:
        large = await partners.add_msp(db, name="large", distributor_id=made.distributor_id, now=now)
        for number in range(_MSPS):
            await partners.add_msp(db, name=f"MSP {number}", distributor_id=made.distributor_id, now=now)
        who = {
            "large": Partner(PartnerKind.MSP, large.id),
            "small": Partner(PartnerKind.MSP, made.msp_id),
            "distributor": Partner(PartnerKind.DISTRIBUTOR, made.distributor_id),
            "vendor": Partner(PartnerKind.VENDOR, VENDOR_ID),
        }
        secrets = {name: await _sign_in(db, partner, made) for name, partner in who.items()}
    await fleet.add_sites(connection, _FIRST, _FIRST + _LARGE - 1, large.id, now)
    await connection.execute("update users set totp_confirmed_at = now()")
    await connection.execute("vacuum analyze")
    await engine.dispose()
    await connection.close()
    return secrets


async def _sign_in(db: Any, partner: Partner, made: Stand) -> str:
    own: UUID = partner.id
    user = await partners.add_user(
        db,
        partner,
        email=f"{own}@example.org",
        name="Bench",
        role=Role.ADMIN,
        language="en",
        password_hash=None,
        now=made.now(),
    )
    begun = await partners.begin_session(db, user, origin=Origin("127.0.0.1"), program=None, now=made.now())
    return begun.secret
