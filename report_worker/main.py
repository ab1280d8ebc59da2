"""The worker, on one screen: every job, when it is rung, and how the worker lives.

Short jobs and reports have queues of their own: after a kill -9 arq rings a job again only when the longest time-out
of its worker's functions has passed. A ring that is lost is made good by the next minute's.
"""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import structlog
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.cron import CronJob, cron
from arq.typing import WorkerCoroutine
from arq.worker import Function, Worker, func
from redis.connection import parse_url
from redis.exceptions import RedisError
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from report_worker.delivering import look_after_people, send_letters, send_webhooks
from report_worker.jobs import Context, Tools, close_periods, make_partitions, sweep, tell_last_day
from report_worker.press import Press
from services import reports
from services.clock import Clock, system_clock
from services.db import Sessions, make_engine, make_sessions
from services.delivery import Attachment, Carrier, FolderMailer, Letter, Mailer, PostOffice, SmtpMailer
from services.settings import Settings
from services.signing import Vault

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and what runs in it: jobs that can be rung by name, and those rung by the clock (UTC)."""

    name: str
    jobs: list[Function]
    clockwork: list[CronJob]
    timeout_seconds: int


def _job(job: Callable[[Context], Awaitable[None]]) -> WorkerCoroutine:
    return cast(WorkerCoroutine, job)  # arq's type asks for keyword arguments that no job of ours takes


SHORT = Queue(
    name="short",
    jobs=[
        func(_job(sweep), keep_result=0),
        func(_job(look_after_people), keep_result=0),
        func(_job(make_partitions), keep_result=0),
    ],
    clockwork=[
        cron(_job(sweep), second=0, keep_result=0),
        cron(_job(look_after_people), second=30, keep_result=0),
        cron(_job(make_partitions), second=50, keep_result=0),
    ],
    timeout_seconds=60,
)
REPORTS = Queue(
    name="reports",
    jobs=[func(_job(close_periods), keep_result=0), func(_job(tell_last_day), keep_result=0)],
    clockwork=[
        cron(_job(close_periods), second=20, keep_result=0),
        cron(_job(tell_last_day), second=40, keep_result=0),
    ],
    timeout_seconds=3600,
)
# A mail server or an endpoint that is slow holds up nothing else. The jobs end by themselves well before their time.
DELIVERY = Queue(
    name="delivery",
    jobs=[func(_job(send_letters), keep_result=0), func(_job(send_webhooks), keep_result=0)],
    clockwork=[
        cron(_job(send_letters), second={5, 15, 25, 35, 45, 55}, keep_result=0),
        cron(_job(send_webhooks), second=set(range(0, 60, 5)), keep_result=0),
    ],
    timeout_seconds=120,
)
QUEUES = (SHORT, REPORTS, DELIVERY)
_JOBS_AT_ONCE = 4
_RESTART_SECONDS = 1.0
_RENDERING_PROCESSES = 2
_DRAIN_SECONDS = 30


async def run(settings: Settings, clock: Clock = system_clock, *, poll_seconds: float = 0.5) -> None:
    """Serve all queues until SIGTERM or SIGINT; then no job is begun, and those under way may end."""
    engine = make_engine(settings.database_url, settings.database_connections)
    press = Press(_RENDERING_PROCESSES)
    carrier = Carrier(private=settings.webhooks_to_private_addresses)
    tools = make_tools(settings, make_sessions(engine), clock, carrier, press)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as serving:
            for queue in QUEUES:
                serving.create_task(_serve(queue, settings, tools, poll_seconds, stop))
    finally:
        press.close()
        await carrier.close()
        await engine.dispose()


def make_tools(settings: Settings, sessions: Sessions, clock: Clock, carrier: Carrier, press: Press) -> Tools:
    """Make what the jobs work with; without a mail server and a maildir letters wait in the outbox."""
    vault = Vault(settings.master_secret.get_secret_value())
    mailer = _mailer(settings)
    office = PostOffice(mailer, vault, settings.mail_from, settings.public_url, _attach) if mailer else None
    return Tools(sessions, clock, press, vault, office, carrier)


async def _attach(db: AsyncSession, letter: Letter) -> list[Attachment]:
    """Give the files that go with a letter: a report's or a statement's PDF."""
    files = await reports.files_with(db, letter.kind, letter.values, letter.language)
    return [Attachment(*file) for file in files]


def _mailer(settings: Settings) -> Mailer | None:
    url = settings.smtp_url.get_secret_value()
    if url:
        return SmtpMailer(url)
    return FolderMailer(Path(settings.mail_folder)) if settings.mail_folder else None


async def _serve(queue: Queue, settings: Settings, tools: Tools, poll_seconds: float, stop: asyncio.Event) -> None:
    """Run a queue's worker, and another when Valkey's going away has ended it: nothing is lost with it."""
    while not stop.is_set():
        worker = make_worker(queue, settings, tools, poll_seconds=poll_seconds)
        running = asyncio.create_task(worker.async_run())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await _end(worker)
        await asyncio.wait({running})
        error = None if running.cancelled() else running.exception()
        if isinstance(error, RedisError | OSError):
            _log.warning("valkey away", queue=queue.name, error=type(error).__name__)
            await asyncio.sleep(_RESTART_SECONDS)
        elif error is not None:
            raise error


async def _end(worker: Worker) -> None:
    """Let the jobs under way end, within a time; what is cut off is done by the next worker."""
    worker.allow_pick_jobs = False
    if worker.tasks:
        await asyncio.wait(worker.tasks.values(), timeout=_DRAIN_SECONDS)
    with suppress(RedisError, OSError, asyncio.CancelledError):
        await worker.close()


def make_worker(
    queue: Queue, settings: Settings, tools: Tools, *, poll_seconds: float = 0.5, burst: bool = False
) -> Worker:
    """Make the arq worker of a queue; `burst` ends it when the queue is empty."""
    return Worker(
        functions=queue.jobs,
        queue_name=queue_name(queue, settings),
        cron_jobs=None if burst else queue.clockwork,
        redis_settings=redis_settings(settings.redis_url),
        ctx={"tools": tools},
        burst=burst,
        handle_signals=False,
        max_jobs=_JOBS_AT_ONCE,
        queue_read_limit=_JOBS_AT_ONCE,
        job_timeout=queue.timeout_seconds,
        job_serializer=_write,
        job_deserializer=json.loads,
        poll_delay=poll_seconds,
        keep_result=0,
        max_tries=1,
    )


class Bell:
    """Rings for a job now rather than at its next turn."""

    def __init__(self, settings: Settings) -> None:
        """Ring in this deployment's queues."""
        self._settings = settings
        self._pool: ArqRedis | None = None

    async def __aenter__(self) -> Self:
        """Connect to Valkey."""
        self._pool = await create_pool(
            redis_settings(self._settings.redis_url), job_serializer=_write, job_deserializer=json.loads
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Leave Valkey."""
        if self._pool is not None:
            await self._pool.aclose()

    async def ring(self, queue: Queue, job: str) -> None:
        """Ring once; a ring that is lost is only later."""
        if self._pool is None:
            raise RuntimeError("the bell is not connected")
        await self._pool.enqueue_job(job, _queue_name=queue_name(queue, self._settings))


def _write(job: dict[str, Any]) -> bytes:
    """Write a job as JSON: arq's own pickle would run what anyone with access to Valkey put there."""
    return json.dumps(job, default=str).encode()


def queue_name(queue: Queue, settings: Settings) -> str:
    """Name a queue in Valkey: two deployments may share one server."""
    return f"tidemark:{make_url(settings.database_url).database}:{queue.name}"


def redis_settings(url: str) -> RedisSettings:
    """Read a URL with redis's own parser: arq's does not decode passwords."""
    parts: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    return RedisSettings(
        host=parts.get("host", "localhost"),
        port=parts.get("port", 6379),
        unix_socket_path=parts.get("path"),
        database=parts.get("db", 0),
        username=parts.get("username"),
        password=parts.get("password"),
        ssl=url.startswith("rediss://"),
        ssl_check_hostname=url.startswith("rediss://"),
        conn_retries=1,
    )
