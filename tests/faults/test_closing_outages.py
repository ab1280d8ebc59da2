"""kill -9 of the worker and of the database at every step of a month's close, and a connection lost during COMMIT.

Whatever happens, a second worker ends the month with the reports, numbers and bytes of one that was never disturbed,
and each letter under one id. The steps are the commits: what the step is called stands in `STEPS`.
"""

import asyncio
import mailbox
import multiprocessing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ops.embedded import Servers
from ops.ground import Ground
from services import reports
from services.db import make_engine, make_sessions
from services.delivery import Event, Letter, LetterAttempt
from services.partners.tables import Distributor, Msp
from services.reports.billing_tables import Statement, StatementFile, StatementLine
from services.reports.pricing import Tier
from services.reports.tables import Charge, ClosedPeriod, Report, ReportCounter, ReportFile, ReportLine
from tests.faults import victim
from tests.faults.victim import Post
from tests.support.clock import START
from tests.support.world import World

CUT_OFF = datetime(2026, 4, 1, 4, tzinfo=UTC)
STEPS = [
    "close", "write the first", "write the second", "find no more to write",
    "issue the first", "issue the second", "find no more to cover", "state", "file the statement",
    *(f"{act} letter {number}" for number in range(1, 6) for act in ("claim", "settle")), "find no more letters",
]  # fmt: skip
# One of each: what follows of the same kind is the same step again.
_OF_EACH_KIND = [
    STEPS.index(name) + 1
    for name in ("close", "write the first", "write the second", "issue the first", "issue the second", "state",
                 "file the statement", "claim letter 1", "settle letter 1")
]  # fmt: skip
_MADE = (
    StatementFile, StatementLine, Statement, ReportFile, Charge, Report, ReportLine, ClosedPeriod, ReportCounter,
    LetterAttempt, Letter, Event,
)  # fmt: skip
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.faults.victim"])


@dataclass(frozen=True, slots=True)
class Month:
    """A month of two MSPs whose reports are due, to be closed again and again."""

    post: Post
    owner: AsyncEngine
    sessions: Any

    async def forget(self) -> None:
        """As if no worker had ever run."""
        async with self.owner.begin() as db:
            for table in _MADE:
                await db.execute(delete(table))
        for path in self.post.maildir.glob("new/*"):
            path.unlink()

    async def finish(self) -> None:
        """Let a second worker do what is left, when the claims of the first have run out."""
        later = replace(self.post, now=self.post.now + timedelta(minutes=11))
        await victim.work(victim.tools(later, self.sessions))

    async def outcome(self) -> list[Any]:
        """What came of it; the same however it came."""
        async with self.sessions() as db:
            issued = await db.execute(
                select(Report.number, Report.issued_at, ReportFile.form, ReportFile.content)
                .join(ReportFile, ReportFile.report_id == Report.id)
                .order_by(Report.number, ReportFile.form)
            )
            letters = await db.execute(
                select(Letter.kind, Letter.recipient, Letter.sent_at.is_not(None)).order_by(
                    Letter.kind, Letter.values["number"].astext, Letter.recipient
                )
            )
            stated = await db.execute(select(Statement.part, Statement.document))
            told = await db.execute(
                select(Event.kind, Event.partner_id)
                .where(Event.kind.in_(("report.issued", "report.held", "statement.ready")))
                .order_by(Event.kind, Event.partner_id)
            )
            return [[tuple(row) for row in rows] for rows in (issued, letters, stated, told)]

    async def check(self, expected: list[Any]) -> int:
        """Finish, and find everything there once; gives how many messages were sent."""
        await self.finish()
        assert await self.outcome() == expected
        sent = list(mailbox.Maildir(self.post.maildir))
        async with self.sessions() as db:
            ids = {f"<{letter_id}@b.example>" for letter_id in await db.scalars(select(Letter.id))}
        assert {message["Message-ID"] for message in sent} == ids
        return len(sent)


@pytest.fixture
async def month(world: World, ground: Ground, tmp_path: Path) -> AsyncIterator[Month]:
    other = await world.another_msp("Baltica")
    await world.running((3, 1, 0), "a")
    await world.running((2, 0, 0), "b", other)
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(billing_email="conti@msp.example"))
        await db.execute(update(Distributor).values(email="ufficio@distribuzione.example"))
        tiers = {name: [Tier(0, Decimal(2))] for name in ("server", "workstation", "server_plus")}
        await reports.set_prices(
            db, world.distributor.id, msp_id=None, currency="EUR", from_month="2026-01", tiers=tiers, actor="anna",
            now=START,
        )  # fmt: skip
    settings = ground.settings
    owner, service = (  # new connections each time: a test may have killed the old ones
        create_async_engine(url, poolclass=NullPool) for url in (settings.migrate_database_url, settings.database_url)
    )
    secret = settings.master_secret.get_secret_value()
    post = Post(settings.database_url, secret, tmp_path / "mail", CUT_OFF)
    victim.tools(post, world.sessions)  # the maildir is there
    yield Month(post, owner, make_sessions(service))


@pytest.fixture
async def expected(month: Month) -> list[Any]:
    """What an undisturbed worker makes, step by step as named."""
    commits: list[int] = []
    engine = make_engine(month.post.database_url, 2)
    victim.count_commits(engine, commits)
    await victim.work(victim.tools(month.post, make_sessions(engine)))
    await engine.dispose()
    assert len(commits) == len(STEPS)
    made = await month.outcome()
    assert sorted({number for number, *_ in made[0]}) == ["2026-00001", "2026-00002"]
    assert len(made[1]) == len(list(mailbox.Maildir(month.post.maildir))) == 5
    await month.forget()
    return made


# --- the worker ------------------------------------------------------------------------------------------------


async def _killed(month: Month, where: str, number: int) -> bool:
    """Let a worker live until it kills itself; False if it never came there."""
    process = _processes.Process(target=victim.live, args=(month.post, where, number))
    process.start()
    await asyncio.to_thread(process.join)
    assert process.exitcode in {0, -9}
    return process.exitcode == -9


@pytest.mark.parametrize("where", victim.WHERE)
async def test_a_worker_killed_at_any_step_leaves_a_month_that_the_next_one_ends(
    month: Month, expected: list[Any], where: str
) -> None:
    times = {"while rendering": [1, 2, 3], "after sending": [1, 5]}.get(where, _OF_EACH_KIND)
    for number in times:
        assert await _killed(month, where, number), (where, number)
        twice = await month.check(expected) - len(expected[1])
        # Only where it dies between sending and saying so does a letter go out twice, under its one id.
        assert twice == (where == "after sending" or _settling(where, number)), (where, number)
        await month.forget()


def _settling(where: str, number: int) -> bool:
    return where == "before the commit" and STEPS[number - 1].startswith("settle")


async def test_two_workers_at_once_make_one_report_each_and_every_letter_once(
    month: Month, expected: list[Any]
) -> None:
    both = [_processes.Process(target=victim.live, args=(month.post,)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in both] == [0, 0]
    assert await month.check(expected) == 5


# --- the database ----------------------------------------------------------------------------------------------


async def test_a_database_killed_at_any_step_leaves_a_month_that_the_next_worker_ends(
    month: Month, expected: list[Any], servers: Servers
) -> None:
    for step in _OF_EACH_KIND:
        async with _engine_that(month.post.database_url, step, servers.postgres.kill) as engine:
            with pytest.raises((OSError, DBAPIError)):
                await victim.work(victim.tools(month.post, make_sessions(engine)))
        await asyncio.to_thread(servers.postgres.start)
        await month.check(expected)
        await month.forget()


@asynccontextmanager
async def _engine_that(url: str, step: int, act: Callable[[], Any]) -> AsyncIterator[AsyncEngine]:
    """An engine at whose commit of a step something happens first."""
    engine = make_engine(url, 2)
    left = step

    def reached(_connection: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            act()

    event.listen(engine.sync_engine, "commit", reached)
    yield engine
    await engine.dispose()


# --- the connection --------------------------------------------------------------------------------------------


@dataclass
class Wire:
    """A wire to PostgreSQL that breaks at a COMMIT: before the server has it, or before its answer is back."""

    server: Path
    breaks_at: int
    heard: bool
    broken: bool = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        back, forth = await asyncio.open_unix_connection(str(self.server))
        answers = asyncio.create_task(_copy(back, writer))
        try:
            while data := await reader.read(65536):
                if b"COMMIT;" in data and self._breaks():
                    answers.cancel()
                    await asyncio.wait({answers})  # or it would still be reading the answer
                    if self.heard:
                        forth.write(data)
                        await forth.drain()
                        await back.read(65536)
                    break
                forth.write(data)
                await forth.drain()
        finally:
            answers.cancel()
            for one in (writer, forth):
                one.close()

    def _breaks(self) -> bool:
        self.breaks_at -= 1
        self.broken = self.broken or self.breaks_at == 0
        return self.breaks_at == 0


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@pytest.mark.parametrize("heard", [False, True])
async def test_a_connection_lost_during_any_commit_ends_in_one_report_and_no_number_skipped(
    month: Month, expected: list[Any], tmp_path: Path, heard: bool
) -> None:
    url = make_url(month.post.database_url)
    socket = f".s.PGSQL.{url.query['port']}"
    for number in _OF_EACH_KIND:
        wire = Wire(Path(str(url.query["host"])) / socket, number, heard)
        server = await asyncio.start_unix_server(wire.carry, str(tmp_path / socket))
        through = url.update_query_dict({"host": str(tmp_path)}).render_as_string(hide_password=False)
        engine = make_engine(through, 2)
        with pytest.raises((OSError, DBAPIError)):
            await victim.work(victim.tools(month.post, make_sessions(engine)))
        assert wire.broken
        await engine.dispose()
        server.close()
        (tmp_path / socket).unlink(missing_ok=True)
        await month.check(expected)
        await month.forget()
