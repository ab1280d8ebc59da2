"""The worker: real arq on a real Valkey rings the jobs; PostgreSQL alone says what is due."""

import asyncio
from datetime import UTC, datetime

import pytest
from arq.worker import Worker
from redis.asyncio import Redis
from sqlalchemy import update

from report_worker.jobs import Tools
from report_worker.main import QUEUES, REPORTS, SHORT, Bell, Queue, make_worker, queue_name, redis_settings
from services import sites
from services.keys import KeyState
from services.reports.tables import Report
from services.settings import Settings
from tests.support.world import World

MAY = datetime(2026, 5, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def clean_queues(settings: Settings) -> None:
    """A worker of another test's stack may have left a job behind."""
    await empty(settings)


def worker(world: World, settings: Settings, queue: Queue, *, burst: bool = True) -> Worker:
    return make_worker(queue, settings, Tools(world.sessions, world.clock), poll_seconds=0.01, burst=burst)


async def ring(settings: Settings, queue: Queue, job: str) -> None:
    async with Bell(settings) as bell:
        await bell.ring(queue, job)


async def burst(world: World, settings: Settings, queue: Queue) -> int:
    """Run what is in a queue; give how many jobs ran, of which none failed."""
    one = worker(world, settings, queue)
    try:
        await one.async_run()
        assert one.jobs_failed == 0
        return one.jobs_complete
    finally:
        await one.close()


async def test_a_ring_closes_the_months_that_are_due(world: World, settings: Settings) -> None:
    await world.running((3, 0, 0))
    world.clock.now = MAY
    await ring(settings, REPORTS, "close_periods")
    assert await burst(world, settings, REPORTS) == 1
    assert [(report.number, report.issued_at is not None) for report in await world.reports()] == [
        ("2026-00001", True),
        ("2026-00002", True),
    ]


async def test_a_ring_covers_a_report_that_the_version_before_wrote_while_a_deployment_rolled(
    world: World, settings: Settings
) -> None:
    await world.running((3, 0, 0))
    world.clock.now = MAY
    await world.close()
    covers = {report.id: report.cover for report in await world.reports()}
    async with world.sessions.begin() as db:
        await db.execute(update(Report).values(cover=None))
    await ring(settings, REPORTS, "close_periods")
    assert await burst(world, settings, REPORTS) == 1
    assert {report.id: report.cover for report in await world.reports()} == covers
    assert None not in covers.values()


async def test_a_ring_sweeps(world: World, settings: Settings) -> None:
    machine = await world.running((3, 0, 0))
    await world.pass_time(days=15)
    await ring(settings, SHORT, "sweep")
    assert await burst(world, settings, SHORT) == 1
    assert (await world.key_of(machine)).state is KeyState.DISABLED


async def test_a_sweep_of_more_sites_than_one_transaction_takes_ends_with_all(world: World, settings: Settings) -> None:
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(10)]  # as many as the breaker lets through
    await world.pass_time(days=15)
    async with world.sessions.begin() as db:
        assert (await sites.sweep(db, world.clock(), limit=5)).rearmed == 5
    await ring(settings, SHORT, "sweep")
    await burst(world, settings, SHORT)
    assert {(await world.key_of(machine)).state for machine in machines} == {KeyState.DISABLED}


async def test_rung_twice_and_by_two_workers_at_once_is_done_once(world: World, settings: Settings) -> None:
    await world.running((3, 0, 0))
    world.clock.now = MAY
    for _ in range(4):
        await ring(settings, REPORTS, "close_periods")
    done = await asyncio.gather(*(burst(world, settings, REPORTS) for _ in range(2)))
    assert sum(done) == 4
    assert [report.number for report in await world.reports()] == ["2026-00001", "2026-00002"]


async def test_the_same_job_can_be_rung_again_at_once(world: World, settings: Settings) -> None:
    for _ in range(2):
        await ring(settings, SHORT, "sweep")
        assert await burst(world, settings, SHORT) == 1


async def test_with_an_emptied_valkey_everything_is_done_at_the_next_ring(world: World, settings: Settings) -> None:
    await world.running((3, 0, 0))
    world.clock.now = MAY
    await ring(settings, REPORTS, "close_periods")
    await empty(settings)
    assert await burst(world, settings, REPORTS) == 0
    assert await world.reports() == []
    await ring(settings, REPORTS, "close_periods")
    await burst(world, settings, REPORTS)
    assert len(await world.reports()) == 2


async def empty(settings: Settings) -> None:
    """Lose what is in this deployment's queues; a server that was given may hold others'."""
    pool: Redis = Redis.from_url(settings.redis_url)
    names = [name async for name in pool.scan_iter() if b"arq:" in name or name.startswith(b"tidemark:")]
    if names:
        await pool.delete(*names)
    await pool.aclose()


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.name)
def test_every_job_is_rung_by_the_clock_each_minute_and_keeps_no_result(queue: Queue) -> None:
    by_name = {job.name for job in queue.jobs}
    by_clock = {job.name.removeprefix("cron:") for job in queue.clockwork}
    assert by_name == by_clock
    assert all(job.keep_result_s == 0 for job in queue.jobs)
    assert all(job.minute is None and job.hour is None for job in queue.clockwork)


def test_short_jobs_never_wait_for_reports() -> None:
    """After kill -9 arq rings again only when the longest time-out of its queue has passed."""
    assert SHORT.timeout_seconds <= 60 < REPORTS.timeout_seconds
    assert {job.name for job in SHORT.jobs}.isdisjoint(job.name for job in REPORTS.jobs)


def test_two_deployments_on_one_valkey_have_queues_of_their_own(settings: Settings) -> None:
    other = settings.model_copy(update={"database_url": "postgresql+asyncpg://u@h/other"})
    assert queue_name(SHORT, settings) != queue_name(SHORT, other) != queue_name(REPORTS, other)


def test_a_redis_url_is_read_with_its_password_decoded_and_tls_checks_the_host() -> None:
    read = redis_settings("rediss://user:p%40ss@host:6380/2")
    assert (read.host, read.port, read.database) == ("host", 6380, 2)
    assert (read.username, read.password, read.ssl, read.ssl_check_hostname) == ("user", "p@ss", True, True)
    plain = redis_settings("redis://localhost/0")
    assert (plain.port, plain.ssl) == (6379, False)


async def test_a_bell_that_is_not_connected_says_so(settings: Settings) -> None:
    with pytest.raises(RuntimeError, match="not connected"):
        await Bell(settings).ring(SHORT, "sweep")
