"""The console with 10,000 sites and 2,000 MSPs: its pages, and a list of 10,000 against one of 100, in server time."""

import asyncio
import time
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

import httpx
from fastapi import FastAPI

from bench import fleet
from bench.rows import Row, at_most
from license_api.app import create_app
from ops.ground import Ground, lay_ground
from services import partners
from services.clock import system_clock
from services.ids import show
from services.partners import Origin, Partner, PartnerKind, Role

_SITES, _SMALL, _MSPS = 10_000, 100, 2_000
_ROUNDS, _PAGE_MS, _RATIO = 15, 100, 1.5
_COOKIE = "tidemark_session"
# Filtered and sorted: what must be found among all of them before fifty rows are read.
_LISTS = ("/sites?sort=name&liveness=online", "/sites?sort=-contact", "/sites?q=9&sort=-name")


def rows() -> list[Row]:
    """Take the measurements."""
    with lay_ground() as ground:
        return asyncio.run(_measure(ground))


async def _measure(ground: Ground) -> list[Row]:
    app = create_app(ground.settings)
    async with app.router.lifespan_context(app):
        big, small = await _fill(ground, app)
        paths = {path: path for path in ("/", "/sites", "/keys", *_LISTS)}
        paths["/sites/{site}"] = f"/sites/{show('site', UUID('0190f5fe-0000-7000-8000-000000000001'))}"
        measured = {name: (await _times(path, big))[0] for name, path in paths.items()}
        ratios = []
        for path in _LISTS:
            many, few = await _times(path, big, small)
            ratios.append(many / few)
    worst = max(measured, key=lambda name: measured[name])
    beside = ", ".join(f"{name} {value:.0f}" for name, value in measured.items())
    return [
        at_most("server time of a page, 10,000 sites, 2,000 MSPs", measured[worst], "ms", beside, _PAGE_MS),
        at_most(
            "console list of 10,000 sites, filtered and sorted",
            max(ratios),
            "x",
            f"the list of 100; {', '.join(f'{one:.2f}' for one in ratios)}",
            _RATIO,
        ),
    ]


async def _fill(ground: Ground, app: FastAPI) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    now, made = system_clock(), app.state.service
    async with made.sessions.begin() as db:
        distributor = await partners.add_distributor(db, name="Bench", zone="Europe/Rome", now=now)
        msps = [
            await partners.add_msp(db, name=f"MSP {number}", distributor_id=distributor.id, now=now)
            for number in range(_MSPS)
        ]
    connection = await fleet.connect(ground.settings.migrate_database_url)
    await fleet.add_sites(connection, 1, _SITES, msps[0].id, now)
    await fleet.add_sites(connection, _SITES + 1, _SITES + _SMALL, msps[1].id, now)
    # Some hours ago, most of them lately: each kind of liveness is among them.
    await connection.execute(
        "update lines set last_contact_at = $1::timestamptz - random() ^ 8 * interval '9 days'", now
    )
    await connection.execute("vacuum analyze")
    await connection.close()
    return await _enter(app, msps[0].id, now), await _enter(app, msps[1].id, now)


async def _enter(app: FastAPI, msp_id: UUID, now: datetime) -> httpx.AsyncClient:
    """Sign a person of an MSP in."""
    async with app.state.service.sessions.begin() as db:
        user = await partners.add_user(
            db, Partner(PartnerKind.MSP, msp_id), email=f"{msp_id.hex}@example.org", name="Bench", role=Role.ADMIN,
            language="it", password_hash=None, now=now - timedelta(minutes=1),
        )  # fmt: skip
        begun = await partners.begin_session(db, user, origin=Origin(), program=None, now=now)
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://bench", cookies={_COOKIE: begun.secret})


async def _times(path: str, *clients: httpx.AsyncClient) -> list[float]:
    """Give each client's median in milliseconds, taken in turn."""
    taken: list[list[float]] = [[] for _ in clients]
    for number in range(_ROUNDS + 2):
        for values, client in zip(taken, clients, strict=True):
            began = time.perf_counter()
            answer = await client.get(path)
            values.append((time.perf_counter() - began) * 1000)
            if answer.status_code != 200:
                raise RuntimeError(f"{path} answered {answer.status_code}")
        if number == 1:
            taken = [[] for _ in clients]
    return [median(values) for values in taken]
