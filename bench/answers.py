"""Answers that must not tell whether an account exists: how long for somebody's address to how long for nobody's.

`rows()` lays a ground of its own and asks the API in this process, in turn; a ratio far from 1 would be a tell-tale.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median

import httpx

from bench.rows import Row
from license_api.app import create_app
from ops.ground import lay_ground
from services import partners
from services.clock import system_clock
from services.db import make_engine, make_sessions
from services.partners import VENDOR_ID, Partner, PartnerKind, Role
from services.partners.passwords import hash_password
from services.settings import Settings

_ROUNDS = 150
_ACCOUNTS = 160
_FURTHEST = 1.05
_REGISTRATION = {
    "company": "Lario Informatica S.r.l.",
    "country": "IT",
    "vat_number": "IT00743110157",
    "contact": "Anna Bianchi",
    "accepted_terms": "2026-1",
    "accepted_privacy_notice": "2026-1",
}
# What is asked, for an address.
_ASKED: dict[str, tuple[str, Callable[[str], dict[str, str]]]] = {
    "sign-in with a wrong password": ("/v1/sessions", lambda email: {"email": email, "password": "not the password"}),
    "a forgotten password": ("/v1/password-resets", lambda email: {"email": email}),
    "a registration": ("/v1/registrations", lambda email: {**_REGISTRATION, "email": email}),
}


def rows() -> list[Row]:
    """Take the measurements."""
    with lay_ground() as ground:
        return asyncio.run(_rows(ground.settings))


async def _rows(settings: Settings) -> list[Row]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await _add_accounts(settings)
        return [await _row(app, what, path, body) for what, (path, body) in _ASKED.items()]


async def _row(app: object, what: str, path: str, body: Callable[[str], dict[str, str]]) -> Row:
    taken: dict[str, list[float]] = {"somebody": [], "nobody": []}
    # Each round from a network and for an address of its own: nothing is slowed, and no letter is one too many.
    for number in range(_ROUNDS + 4):
        for who in ("somebody", "nobody") if number % 2 else ("nobody", "somebody"):
            async with _from(app, f"10.{number // 250}.{number % 250}.1") as client:
                began = time.perf_counter()
                await client.post(path, json=body(f"{who}{number % _ACCOUNTS}@bench.example"))
                taken[who].append(time.perf_counter() - began)
    somebody, nobody = (median(times[4:]) for times in taken.values())
    ratio = max(somebody, nobody) / min(somebody, nobody)
    beside = f"{somebody * 1000:.1f} ms for somebody's address, {nobody * 1000:.1f} ms for nobody's"
    name = f"{what}: the longer median to the shorter, somebody's address and nobody's"
    return Row(name, round(ratio, 3), "x", beside, f"<= {_FURTHEST:g}", ratio <= _FURTHEST)


@asynccontextmanager
async def _from(app: object, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=(address, 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        yield client


async def _add_accounts(settings: Settings) -> None:
    engine = make_engine(settings.database_url, 1)
    hashed = await hash_password("correct horse battery staple")
    async with make_sessions(engine).begin() as db:
        for number in range(_ACCOUNTS):
            await partners.add_user(
                db,
                Partner(PartnerKind.VENDOR, VENDOR_ID),
                email=f"somebody{number}@bench.example",
                name="Somebody",
                role=Role.VIEWER,
                language="it",
                password_hash=hashed,
                now=system_clock(),
            )
    await engine.dispose()
