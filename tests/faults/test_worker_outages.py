"""Valkey goes away under the running worker: it comes back by itself, and what was due is done."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from arq.cron import cron
from redis.asyncio import Redis
from sqlalchemy.exc import DBAPIError

from ops.embedded import Servers
from report_worker import jobs, main
from report_worker.jobs import Tools
from report_worker.main import REPORTS, SHORT, Bell
from services.settings import Settings
from tests.support.world import World

MAY = datetime(2026, 5, 2, tzinfo=UTC)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another task is to do; fail if it does not."""
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - the other side is a database
            await asyncio.sleep(0.02)


async def test_a_worker_outlives_a_killed_valkey_and_closes_what_is_due(
    world: World, settings: Settings, servers: Servers
) -> None:
    await world.running((3, 0, 0))
    tools = Tools(world.sessions, world.clock)
    stop = asyncio.Event()
    serving = asyncio.create_task(main._serve(REPORTS, settings, tools, 0.01, stop))

    async def closed() -> bool:
        return len(await world.reports()) == 2 and all(one.issued_at for one in await world.reports())

    try:
        async with Bell(settings) as bell:
            await bell.ring(REPORTS, "close_periods")
        servers.valkey.kill()
        world.clock.now = MAY
        await asyncio.to_thread(servers.valkey.start)
        pool: Redis = Redis.from_url(settings.redis_url)
        await pool.flushall()
        await pool.aclose()
        async with Bell(settings) as bell:
            await bell.ring(REPORTS, "close_periods")
        await until(closed)
    finally:
        stop.set()
        await asyncio.wait_for(serving, 10)
    assert [report.number for report in await world.reports()] == ["2026-00001", "2026-00002"]


async def test_a_lost_ring_is_made_good_by_the_clock(world: World, settings: Settings) -> None:
    """The clock of the worker rings each second here, so that the test need not wait a minute."""
    machine = await world.running((3, 0, 0))
    await world.pass_time(days=15)
    every_second = cron(main._job(jobs.sweep), second=set(range(60)), keep_result=0)
    queue = replace(SHORT, clockwork=[every_second])
    stop = asyncio.Event()
    serving = asyncio.create_task(main._serve(queue, settings, Tools(world.sessions, world.clock), 0.05, stop))

    async def disabled() -> bool:
        return (await world.key_of(machine)).disabled_at is not None

    try:
        await until(disabled)
    finally:
        stop.set()
        await asyncio.wait_for(serving, 10)


async def test_a_database_that_was_away_during_a_job_is_closed_at_the_next_ring(
    world: World, settings: Settings, servers: Servers
) -> None:
    await world.running((3, 0, 0))
    world.clock.now = MAY
    servers.postgres.kill()
    with pytest.raises((OSError, DBAPIError)):
        await world.close()
    await asyncio.to_thread(servers.postgres.start)
    await world.close()
    assert [report.number for report in await world.reports()] == ["2026-00001", "2026-00002"]


async def test_the_worker_ends_in_order_at_sigterm(settings: Settings, servers: Servers) -> None:
    running = asyncio.create_task(main.run(settings, poll_seconds=0.01))
    loop = asyncio.get_running_loop()
    await until(lambda: _handles(loop))
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(running, 10)


async def _handles(loop: asyncio.AbstractEventLoop) -> bool:
    return signal.SIGTERM in getattr(loop, "_signal_handlers", {})
