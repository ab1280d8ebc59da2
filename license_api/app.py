"""The app: what it is made of, made at its start and ended with it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI

from license_api import console, problems
from license_api.addresses import read_networks
from license_api.attempts import Attempts
from license_api.contract import contract
from license_api.deps import Service
from license_api.idle_connection import IdleConnection
from license_api.requests import BODY_BYTES_MAX, BodyLimit, RequestIds
from license_api.shared_commits import SharedCommits
from license_api.v1 import (
    activations,
    backups,
    billing,
    claims,
    commands,
    decisions,
    distributors,
    documents,
    flags,
    health,
    heartbeats,
    inventory,
    keys,
    last_payload,
    lifecycle,
    msps,
    people,
    policies,
    records,
    refused_activations,
    registrations,
    reports,
    sessions,
    site_usage,
    tokens,
    webhooks,
)
from services import sites
from services.clock import Clock, system_clock
from services.db import Sessions, make_engine, make_sessions
from services.settings import Settings
from services.signing import Vault
from services.sites import Desk, LeaseSigner

_log = structlog.get_logger()


def create_app(settings: Settings, clock: Clock = system_clock) -> FastAPI:
    """Make the app; the clock is the machine's but in a replay."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        engine = make_engine(settings.database_url, settings.database_connections)
        idle_engine = make_engine(settings.database_url, 1)
        idle = IdleConnection(idle_engine)
        _build_routes(app)
        app.state.live = console.Live()
        try:
            app.state.service = made = await _make_service(settings, clock, make_sessions(engine), idle)
            gc.freeze()  # what is made once is never garbage: looking through it for some would hold up heartbeats
            pulse = asyncio.create_task(_keep_pulse(made))
            yield
            pulse.cancel()
            with suppress(asyncio.CancelledError):
                await pulse
        finally:
            await idle.close()
            await idle_engine.dispose()
            await engine.dispose()

    app = FastAPI(
        title="Tidemark License API",
        version="1.0.0",
        summary="Metered licence keys for backup agents",
        description="Site Managers activate keys and send heartbeats; MSPs' programs make keys and read reports.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    problems.install(app)
    app.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    app.add_middleware(RequestIds)
    for router in (
        activations.router,
        heartbeats.router,
        keys.router,
        lifecycle.router,
        policies.router,
        flags.router,
        keys.site_router,
        billing.router,  # before the forms of a report, whose path would take its own
        decisions.router,
        reports.router,
        claims.router,
        commands.router,
        backups.router,
        inventory.router,
        last_payload.router,
        refused_activations.router,
    ):
        app.include_router(router)
    for partner in (
        documents,
        registrations,
        distributors,
        msps,
        people,
        sessions,
        tokens,
        site_usage,
        webhooks,
        records,
    ):
        app.include_router(partner.router)
    app.include_router(health.router)
    console.install(app)
    app.openapi = lambda: contract(app)  # type: ignore[method-assign]
    return app


def _build_routes(app: FastAPI) -> None:
    """Have FastAPI build every route now; else the first requests wait for that, two seconds in all."""
    nowhere = {"type": "http", "method": "GET", "path": "//", "root_path": "", "headers": []}
    for route in app.routes:
        route.matches(nowhere)


async def _make_service(settings: Settings, clock: Clock, sessions: Sessions, idle: IdleConnection) -> Service:
    vault = Vault(settings.master_secret.get_secret_value())
    async with sessions.begin() as db:
        desk = Desk(vault, LeaseSigner(settings.issuer, await sites.signing_key(db, vault, clock())))
    return Service(
        sessions=sessions,
        clock=clock,
        desk=desk,
        heartbeats=SharedCommits(sessions, idle, desk, clock),
        attempts=Attempts(settings.redis_url),
        trusted_proxies=read_networks(settings.trusted_proxies),
        private_webhooks=settings.webhooks_to_private_addresses,
        public_url=settings.public_url,
    )


async def _keep_pulse(made: Service) -> None:
    """Commit the pulse once a minute. One that cannot be committed is an outage, and will show as one."""
    while True:
        try:
            async with made.sessions.begin() as db:
                await sites.pulse(db, made.clock(), counted=made.desk.pace.take_counts())
                key = await sites.signing_key(db, made.desk.vault, made.clock())
                made.desk.signer = LeaseSigner(made.desk.signer.issuer, key)
        except Exception as error:
            _log.warning("pulse failed", error=type(error).__name__)
        await asyncio.sleep(sites.PULSE_SECONDS)
