"""The console with 10,000 sites of one MSP and 2,000 MSPs: its list beside that of a hundred, and each page.

The MSP's last month is closed and issued, with a line for each site.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from string import Formatter
from typing import Any
from uuid import UUID

import httpx

from bench import fleet
from bench.load import NotMeasured
from bench.rows import Row, at_most, in_turn
from bench.stand import Stand, stand
from license_api.console.rooms import ROOMS
from license_api.console.route import PageRoute
from services import ids, partners, reports
from services.db import Sessions, make_engine, make_sessions
from services.partners import VENDOR_ID, Origin, Partner, PartnerKind, Role

_SESSION = "tidemark_session"
_LARGE, _SMALL, _MSPS = 10_000, 100, 2_000
_FIRST = 20_000_000
_FILTERED = "/sites?q=site&state=active&liveness=online&sort=-name"
# What no index helps: every site is looked at, and by what a heartbeat changes.
_OTHERS = ("/sites?sort=contact", "/sites?sort=-agents&liveness=online", "/sites?liveness=overdue")
_NO_PAGES = ("live/{of}", "{form}", "/json")
"""A stream and files."""
_ROUNDS = 15
_WARM = 3
_PAGE_MS_MAX = 100
# One change when the site began, and a heartbeat of just now.
_USED = (
    """insert into usage_entries (site_id, installation_id, line, n, kind, at, clock_suspect, server, workstation,
        server_plus, entry, receipt, received_at)
    select site_id, installation_id, line, 1, 'change', $2, false, server, workstation, server_plus, '{}', receipt, $2
    from lines where msp_id = $1 and $3::timestamptz is not null""",
    "update lines set last_contact_at = $3, known_until_at = $3 where msp_id = $1 and begins_at = $2",
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Who signed in, by name, and the id of one of each kind that a page may be about."""

    secrets: Mapping[str, str]
    shown: Mapping[str, str]


def rows() -> list[Row]:
    """Measure both lists in turn, and then each page of each kind of partner."""
    with stand(_SMALL) as made, httpx.Client(base_url=made.url, timeout=30) as client:
        ground = asyncio.run(_fill(made))
        for name in ("large", "small"):
            for _ in range(_WARM):
                _get(client, ground.secrets[name], _FILTERED)
        ours, hundred = in_turn(
            _ROUNDS, *(lambda one=one: _get(client, ground.secrets[one], _FILTERED) for one in ("large", "small"))
        )
        beside = f"{ours:.1f} ms; {_SMALL} sites {hundred:.1f} ms ({_FILTERED})"
        ratio = at_most(f"console: list of {_LARGE:,} sites, filtered and sorted", ours / hundred, "x", beside, 1.5)
        kinds = {"large": "the MSP's", "distributor": "the distributor's", "vendor": "the vendor's"}
        return [ratio, *(_slowest(client, ground, name, shown) for name, shown in kinds.items())]


def _slowest(client: httpx.Client, ground: Ground, who: str, whose: str) -> Row:
    # Not those of nobody: what a network may ask for is counted, and there are few of it.
    secret = ground.secrets[who]
    paths = (*_paths(ground.shown), *_OTHERS)
    own = [path for path in paths if not _is_open(client, "", path) and _is_open(client, secret, path)]
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


def _paths(shown: Mapping[str, str]) -> Sequence[str]:
    """Give the pages that are about nothing of their own, or about something that there is."""
    pages = [
        one.path for room in ROOMS for one in room.routes if isinstance(one, PageRoute) and "GET" in (one.methods or ())
    ]
    about = {path: {name for _, name, _, _ in Formatter().parse(path) if name} for path in pages}
    return [
        path.format_map(shown)
        for path in dict.fromkeys(pages)
        if about[path] <= set(shown) and not any(part in path for part in _NO_PAGES)
    ]


async def _fill(made: Stand) -> Ground:
    """Make the MSPs, all of one distributor, close a month, and sign an admin in at those who are asked."""
    connection: Any = await made.connect()
    engine = make_engine(made.settings.migrate_database_url)
    sessions = make_sessions(engine)
    now = made.now()
    begins = now - timedelta(days=62)
    async with sessions.begin() as db:
        distributor = await partners.add_distributor(db, name="Distributor", zone="Europe/Rome", now=begins)
        large = await partners.add_msp(db, name="large", distributor_id=distributor.id, now=begins)
        for number in range(_MSPS):
            await partners.add_msp(db, name=f"MSP {number}", distributor_id=distributor.id, now=now)
        who = {
            "large": Partner(PartnerKind.MSP, large.id),
            "small": Partner(PartnerKind.MSP, made.msp_id),
            "distributor": Partner(PartnerKind.DISTRIBUTOR, distributor.id),
            "vendor": Partner(PartnerKind.VENDOR, VENDOR_ID),
        }
        secrets = {name: await _sign_in(db, partner, made) for name, partner in who.items()}
    await fleet.add_sites(connection, _FIRST, _FIRST + _LARGE - 1, large.id, begins)
    for statement in _USED:
        await connection.execute(statement, large.id, begins, now)
    report_id = await _close(sessions, distributor.id, now)
    site_id = await connection.fetchval("select site_id from keys where msp_id = $1 order by id limit 1", large.id)
    await connection.execute("update users set totp_confirmed_at = now()")
    await connection.execute("vacuum analyze")
    await engine.dispose()
    await connection.close()
    shown = {"site": site_id, "key": site_id, "msp": large.id, "distributor": distributor.id, "report": report_id}
    return Ground(secrets, {f"{kind}_id": ids.show(kind, value) for kind, value in shown.items()})


async def _close(sessions: Sessions, distributor_id: UUID, now: datetime) -> UUID:
    """Close and issue what is due; gives the id of the newest report."""
    report_id = None
    while True:
        async with sessions.begin() as db:
            if await reports.close(db, distributor_id, now) is None:
                break
        async with sessions.begin() as db:
            while await reports.write_next(db, distributor_id):
                pass
        async with sessions.begin() as db:
            while (unissued := await reports.next_unissued(db)) is not None:
                report_id = unissued.report_id
                await reports.issue(db, report_id, {"json": unissued.document})
    if report_id is None:
        raise NotMeasured("no month was closed")
    return report_id


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
