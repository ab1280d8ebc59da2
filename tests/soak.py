"""`make soak`: kill -9 of API, worker, PostgreSQL and Valkey at random, on the real stack under load; then the sums.

Machines send changes and repeat what was not answered, months pass on a simulated clock, reports are closed and letters
sent; every so often something is killed and started again, or Valkey is emptied. At the end: no acknowledged change is
lost and none counted twice, figures are those of a plain sum over what the machines sent, each MSP has one report a
month, and each letter has one id. Anything else ends it with an error; the seed is printed.
"""

import argparse
import asyncio
import mailbox
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select

from ops.embedded import Servers
from ops.embedded.child import Child
from ops.ground import Ground, lay_ground
from ops.stack import Stack, start_stack
from report_worker.main import DELIVERY, REPORTS, SHORT, Bell
from services import partners, sites
from services.clock import SharedClock
from services.db import Sessions, make_engine, make_sessions
from services.delivery.tables import Letter
from services.reports.tables import ClosedPeriod, Report, ReportLine
from services.settings import Settings
from services.signing import Vault
from services.sites import Desk, LeaseSigner
from services.usage import UsageEntry
from tests.support.clock import START, TestClock
from tests.support.crowd import Crowd, Member, crowd
from tests.support.world import ZONE, World

MACHINES = 12
VICTIMS = ("api", "worker", "postgres", "valkey", "valkey emptied")
_TICK, _RATE = 0.005, 10
_RING_SECONDS = 0.5
_LEAP_HOURS = (6, 48)
_JOBS = ((SHORT, "sweep"), (SHORT, "make_partitions"), (REPORTS, "close_periods"), (DELIVERY, "send_letters"))
_LATER = timedelta(minutes=11)  # a letter whose sender died is claimed for ten
_ENDS_WITHIN_SECONDS = 120


@dataclass
class Soak:
    """What runs, and what has been done to it."""

    stack: Stack
    servers: Servers
    world: World
    clock: SharedClock
    people: Crowd
    random: random.Random
    living: dict[str, Child]
    killed: Counter[str] = field(default_factory=Counter)
    deck: list[str] = field(default_factory=list)
    over: bool = False

    async def run(self, kills: int, seconds: float) -> None:
        """Kill so often, or for so long; then let everything that is due be done."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._ring())
            for member in self.people.members:
                tasks.create_task(self._live(member))
            await self._kill_all(kills, seconds)
            self.over = True
        await self._finish()

    async def _live(self, member: Member) -> None:
        while not self.over:
            await member.act()

    async def _tick(self) -> None:
        """Let the simulated clock go, ten times as fast as the machine's."""
        before = time.monotonic()
        while not self.over:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            self.clock.set(self.clock() + _RATE * timedelta(seconds=now - before))
            before = now

    async def _ring(self) -> None:
        """Ring for the worker's jobs, which its own clock rings once a minute."""
        while not self.over:
            await self._ring_once()
            await asyncio.sleep(_RING_SECONDS)

    async def _ring_once(self) -> None:
        with suppress(RedisError, OSError):
            async with Bell(self.stack.settings) as bell:
                for queue, job in _JOBS:
                    await bell.ring(queue, job)

    async def _kill_all(self, kills: int, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while sum(self.killed.values()) < kills and time.monotonic() < ends:
            self.deck = self.deck or self.random.sample(VICTIMS, len(VICTIMS))
            victim = self.deck.pop()
            await asyncio.sleep(self.random.uniform(0, 0.3))
            await self._kill(victim)
            self.killed[victim] += 1
            await self._leap()
            if sum(self.killed.values()) % 10 == 0:
                print(f"{self._done()}; {self.clock():%Y-%m-%d}", flush=True)

    async def _kill(self, victim: str) -> None:
        match victim:
            case "api":
                await self._replace("api", self.stack.start_api)
            case "worker":
                await self._replace("worker", self.stack.start_worker)
            case "postgres":
                await asyncio.to_thread(self.servers.postgres.restart)
            case "valkey":
                await asyncio.to_thread(self.servers.valkey.restart)
            case _:
                async with Redis.from_url(self.stack.settings.redis_url) as valkey:
                    await valkey.flushall()

    async def _replace(self, part: str, start: Callable[[], Child]) -> None:
        self.living[part].kill()
        await asyncio.sleep(self.random.uniform(0, 0.2))
        self.living[part] = await asyncio.to_thread(start)

    async def _leap(self) -> None:
        """Let hours or days pass, once everybody has been answered; no leap goes over the end of a month and its close.

        So nothing is so late that a report has to be corrected, and the figures of the month are all there is.
        """
        before = {id(member): member.acts for member in self.people.members}
        await _until(lambda: all(member.acts > before[id(member)] for member in self.people.members))
        now = self.clock()
        wanted = now + timedelta(hours=self.random.uniform(*_LEAP_HOURS))
        ends_at = self.world.month().ends_at
        self.clock.set(ends_at + timedelta(hours=1) if now < ends_at <= wanted else wanted)
        self.world.clock.now = self.clock()

    async def _finish(self) -> None:
        """Go beyond the close of the month, and wait until no report and no letter is due."""
        last = self.world.month().ends_at
        self.clock.set(last + timedelta(hours=7))
        async with asyncio.timeout(_ENDS_WITHIN_SECONDS):
            while await self._due(last):
                await self._ring_once()
                await asyncio.sleep(_RING_SECONDS)
                self.clock.set(self.clock() + _LATER)

    async def _due(self, last: datetime) -> bool:
        letters = select(func.count()).select_from(Letter).where(Letter.next_attempt_at.is_not(None))
        reports = select(func.count()).select_from(Report).where(Report.issued_at.is_(None))
        async with self.world.sessions() as db:
            closed = await db.scalar(select(func.max(ClosedPeriod.ends_at)))
            waiting = (await db.scalar(letters) or 0) + (await db.scalar(reports) or 0)
        return waiting > 0 or closed is None or closed < last

    async def check(self) -> str:
        """Hold everything against what was promised; say what there was."""
        await self.people.check(self.world)
        months = [await self._check_figures(member) for member in self.people.members]
        reports = await self._check_reports()
        letters = await self._check_letters()
        async with self.world.sessions() as db:
            entries = await db.scalar(select(func.count()).select_from(UsageEntry))
        return f"{self._done()}; {entries:,} entries; {sum(months)} lines of {reports} reports; {letters}"

    async def _check_figures(self, member: Member) -> int:
        """Each month's peak is the highest count that the machine had in it, by plain arithmetic."""
        own = {"site_id": member.machine.site_id}
        async with self.world.sessions() as db:
            lines = (await db.scalars(select(ReportLine).filter_by(**own))).all()
            ends = {one.starts_at: one.ends_at for one in await db.scalars(select(ClosedPeriod))}
        for line in lines:
            wanted = _peak(member, line.starts_at, ends[line.starts_at])
            assert line.server == wanted, f"{line.name}, {line.starts_at:%Y-%m}: {line.server}, not {wanted}"
        assert len(lines) == len(ends)
        return len(lines)

    async def _check_reports(self) -> int:
        async with self.world.sessions() as db:
            reports = (await db.scalars(select(Report).order_by(Report.starts_at, Report.number))).all()
            periods = (await db.scalars(select(ClosedPeriod).order_by(ClosedPeriod.starts_at))).all()
        assert [one.ends_at for one in periods[:-1]] == [one.starts_at for one in periods[1:]]
        assert [one.starts_at for one in reports] == [one.starts_at for one in periods]
        numbers = [str(one.number) for one in reports]
        assert numbers == [f"{one.starts_at + timedelta(days=15):%Y}-{n:05}" for n, one in enumerate(reports, 1)], (
            numbers
        )
        return len(reports)

    async def _check_letters(self) -> str:
        """Every letter in the maildir is one of the outbox's, under its one id; one of each report."""
        async with self.world.sessions() as db:
            letters = (await db.scalars(select(Letter))).all()
        box = mailbox.Maildir(self.stack.settings.mail_folder)
        sent = Counter(str(message["Message-ID"]).strip("<>").partition("@")[0] for message in box)
        assert set(sent) == {str(letter.id) for letter in letters if letter.sent_at}
        assert all(letter.sent_at for letter in letters)
        issued = [letter for letter in letters if letter.kind == "report_issued"]
        async with self.world.sessions() as db:
            assert len(issued) == await db.scalar(select(func.count()).select_from(Report))
        twice = sum(1 for count in sent.values() if count > 1)
        return f"{len(letters)} letters, {twice} of them sent twice under their one id"

    def _done(self) -> str:
        met, kills = self.people.met, ", ".join(f"{name} {count}" for name, count in sorted(self.killed.items()))
        return (
            f"{sum(self.killed.values())} kills ({kills}); {met.answered:,} heartbeats acknowledged, "
            f"{met.broken:,} without an answer, {met.unavailable:,} told 503"
        )


def _peak(member: Member, starts_at: datetime, ends_at: datetime) -> int:
    """The highest count in a month: what held when it began, and all changes in it; at one instant the last holds."""
    changes = {datetime.fromisoformat(str(one["at"])): int(one["server"]) for one in member.changes.values()}
    before = [server for at, server in changes.items() if at < starts_at]
    return max([0, *before[-1:], *(server for at, server in changes.items() if starts_at <= at < ends_at)])


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the other side is a crowd
            await asyncio.sleep(0.01)


async def _make_world(settings: Settings, sessions: Sessions) -> World:
    """One distributor in Rome with one MSP, whose contact has an address."""
    vault = Vault(settings.master_secret.get_secret_value())
    async with sessions.begin() as db:
        distributor = await partners.add_distributor(db, name="Distribuzione", zone=ZONE, now=START)
        msp = await partners.add_msp(db, name="Adriatica IT", distributor_id=distributor.id, now=START)
        msp.technical_email = msp.billing_email = "msp@example.it"
        desk = Desk(vault, LeaseSigner(settings.issuer, await sites.signing_key(db, vault, START)))
    return World(sessions, desk, TestClock(), distributor, msp)


async def _soak(ground: Ground, stack: Stack, seed: int, kills: int, seconds: float) -> str:
    assert ground.servers is not None
    assert stack.clock is not None
    engine = make_engine(ground.settings.database_url, pool_pre_ping=True)  # its connections are killed too
    world = await _make_world(ground.settings, make_sessions(engine))
    async with crowd(world, MACHINES, [stack.url], seed=seed, clock=stack.clock) as people:
        living = {"api": stack.api, "worker": stack.worker}
        soak = Soak(stack, ground.servers, world, stack.clock, people, random.Random(seed), living)
        await soak.run(kills, seconds)
        found = await soak.check()
    await engine.dispose()
    return found


def soak(seed: int, kills: int, seconds: float) -> str:
    """Lay the ground, run, check; gives what there was. Raises whatever did not hold."""
    with (
        lay_ground(Settings(database_url="", redis_url="")) as ground,
        start_stack(ground, simulated_from=START) as stack,
    ):
        return asyncio.run(_soak(ground, stack, seed, kills, seconds))


def main() -> None:
    """Read what is wanted, and say the seed first."""
    wanted = argparse.ArgumentParser(description=__doc__)
    wanted.add_argument("--kills", type=int, default=200)
    wanted.add_argument("--seconds", type=float, default=3600, help="end after so long, whatever the kills")
    wanted.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = wanted.parse_args()
    print(f"seed {given.seed}: make soak SOAK='--seed {given.seed}' does it again", flush=True)
    print(soak(given.seed, given.kills, given.seconds))


if __name__ == "__main__":
    main()
