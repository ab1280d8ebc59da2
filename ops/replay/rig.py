"""The rig: moves the clock, rings the worker's bell when something is due, and lets the sites live.

What is due is asked of PostgreSQL, as the worker itself does. In each window of simulated time the sweep comes first,
then the heartbeats of the sites whose turn it is, all at once, then the close.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from ops.replay.fleet import Fleet, Outages
from ops.replay.site import CutOff, ReplayFailed, ReplaySite, windows
from ops.stack import Stack
from report_worker.main import REPORTS, SHORT, Bell, Queue
from services import keys, partners, reports, sites
from services.clock import SharedClock
from services.db import Sessions, make_engine, make_sessions
from services.partners import Principal
from services.reports import Tier
from services.signing import Vault
from services.usage import Period

_PRICES = {
    "server": (Tier(0, Decimal("9.50")), Tier(100, Decimal("8.25"))),
    "workstation": (Tier(0, Decimal("2.40")), Tier(500, Decimal("1.95"))),
    "server_plus": (Tier(0, Decimal("24.00")),),
}
_WINDOW_MAX = timedelta(minutes=30)
_WAIT_SECONDS = 60
_LOOK_SECONDS = 0.01  # a look takes a millisecond of two processors: oftener would hold up who is waited for
_FAR = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be replayed."""

    fleet: Fleet
    outages: Outages
    periods: Sequence[Period]
    heartbeat: timedelta
    disable_after: timedelta

    @property
    def starts_at(self) -> datetime:
        """The first instant, at which all sites activate."""
        return self.periods[0].starts_at

    @property
    def window(self) -> timedelta:
        """How far the clock moves at a time: a heartbeat may come so much late."""
        return min(self.heartbeat / 4, _WINDOW_MAX)


@dataclass(frozen=True, slots=True)
class Msp:
    """An MSP of the fleet, in the service's terms, with the token of its program."""

    name: str
    principal: Principal
    token: str


@dataclass(frozen=True, slots=True)
class World:
    """What the service was told there is."""

    distributor_id: object
    msps: dict[str, Msp]
    codes: dict[str, str]
    names: dict[object, str]


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened in the run."""

    heartbeats: int
    changes: int


Progress = Callable[[datetime], None]


async def replay(
    plan: Plan,
    stack: Stack,
    progress: Progress,
    gather: Callable[[Sessions, World, str], Awaitable[None]],
) -> Figures:
    """Let the fleet live through the plan's months; `gather` collects what came of it before the stack ends."""
    if stack.clock is None:
        raise ValueError("a replay needs a stack on a simulated clock")
    engine = make_engine(stack.settings.database_url)
    sessions = make_sessions(engine)
    async with Bell(stack.settings) as bell:
        world = await make_world(sessions, plan, Vault(stack.settings.master_secret.get_secret_value()))
        with tempfile.TemporaryDirectory(prefix="tidemark-sites-") as folder:
            fleet = _make_sites(plan, stack, stack.clock, Path(folder))
            try:
                await _live(plan, sessions, bell, stack.clock, world, fleet, progress)
            finally:
                for site in fleet:
                    await site.close()
        await gather(sessions, world, stack.url)
    await engine.dispose()
    return Figures(sum(site.heartbeats for site in fleet), sum(site.changes for site in fleet))


async def make_world(sessions: Sessions, plan: Plan, vault: Vault) -> World:
    """Make the distributor, its MSPs and their keys; what is drawn by chance is the same in every run."""
    now, entropy = plan.starts_at, Random("keys").randbytes  # noqa: S311
    world = World(None, {}, {}, {})
    async with sessions.begin() as db:
        await partners.set_policy(
            db,
            "programme",
            heartbeat_seconds=int(plan.heartbeat.total_seconds()),
            disable_after_seconds=int(plan.disable_after.total_seconds()),
        )
        distributor = await partners.add_distributor(db, name="Distributor", zone=plan.periods[0].zone, now=now)
        await reports.set_prices(
            db,
            distributor.id,
            msp_id=None,
            currency="EUR",
            from_month=plan.periods[0].month,
            tiers=_PRICES,
            actor="replay",
            now=now,
        )
        for name in sorted(set(plan.fleet.msp_of.values())):
            msp = await partners.add_msp(db, name=name, distributor_id=distributor.id, now=now)
            token = await partners.issue_token(db, msp_id=msp.id, name="replay", now=now)
            world.msps[name] = Msp(name, await partners.principal_of(db, token, now), token)
        for site, name in sorted(plan.fleet.msp_of.items()):
            issued = await keys.create(
                db,
                vault,
                msp_id=world.msps[name].principal.msp_id,
                name=site,
                actor="replay",
                now=now,
                entropy=entropy,
            )
            world.codes[site] = issued.code
            world.names[issued.key.site_id] = site
    return world


def _make_sites(plan: Plan, stack: Stack, clock: SharedClock, folder: Path) -> list[ReplaySite]:
    made = []
    for name in sorted(plan.fleet.msp_of):
        transport = CutOff(httpx.AsyncHTTPTransport(), clock, plan.outages.get(name, ()), plan.starts_at)
        http = httpx.AsyncClient(base_url=stack.url, transport=transport, timeout=30)
        made.append(ReplaySite(name, plan.fleet.counts(name, plan.starts_at), http, clock, folder))
    return made


async def _live(
    plan: Plan,
    sessions: Sessions,
    bell: Bell,
    clock: SharedClock,
    world: World,
    fleet: Sequence[ReplaySite],
    progress: Progress,
) -> None:
    # All activate at the first instant, also those that an outage cuts off at that very moment.
    await asyncio.gather(*(site.activate(world.codes[site.name], plan.starts_at) for site in fleet))
    # A timer that is armed later than now is due as the ladder's first rung is, so no nearer one can be missed.
    first_rung = min(plan.disable_after, partners.Policy().warn_after)
    sweeping = Due(sessions, bell, SHORT, "sweep", sites.next_timer_at, look_again=first_rung)
    closing = Due(sessions, bell, REPORTS, "close_periods", reports.next_close_at)
    last_close = plan.periods[-1].ends_at + (await closing.first() - plan.periods[0].ends_at)
    before = plan.starts_at
    for now in windows(plan.starts_at, last_close, plan.window):
        # The clock leaps where the service would have lived through every minute: the rig vouches for them.
        async with sessions.begin() as db:
            await sites.pulse(db, now, up_since=before)
        clock.set(now)
        await sweeping.do(now)
        await asyncio.gather(*(site.live(now) for site in fleet if site.manager.next_at <= now))
        await closing.do(now)
        before = now
        progress(now)
    await _reports_ready(sessions)


async def _reports_ready(sessions: Sessions) -> None:
    """Wait until the worker has issued and stated all that is closed: rendering comes after the close."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while True:
            async with sessions() as db:
                if await reports.settled(db):
                    return
            await asyncio.sleep(0.05)


class Due:
    """Work of the worker's: rung for when PostgreSQL says that some is due, and waited for until none is."""

    def __init__(
        self,
        sessions: Sessions,
        bell: Bell,
        queue: Queue,
        job: str,
        next_at: Callable[[AsyncSession], Awaitable[datetime | None]],
        look_again: timedelta = timedelta.max,
    ) -> None:
        """Ask `next_at` when the next is due, and again after `look_again` at the latest."""
        self._sessions = sessions
        self._bell = bell
        self._queue = queue
        self._job = job
        self._next_at = next_at
        self._look_again = look_again
        self._known: datetime | None = None

    async def first(self) -> datetime:
        """Give when the first is due."""
        due = await self._ask()
        if due is None:
            raise ReplayFailed(f"{self._job} is never due")
        return due

    async def do(self, now: datetime) -> None:
        """Have done what is due by now."""
        if self._known is not None and self._known > now:
            return
        due = await self._ask()
        if due is not None and due <= now:
            await self._bell.ring(self._queue, self._job)
            due = await self._wait(now)
        latest = now + min(self._look_again, _FAR)
        self._known = min(due or latest, latest)

    async def _wait(self, now: datetime) -> datetime | None:
        async with asyncio.timeout(_WAIT_SECONDS):
            while (due := await self._ask()) is not None and due <= now:  # noqa: ASYNC110 - the worker's, not ours
                await asyncio.sleep(_LOOK_SECONDS)
        return due

    async def _ask(self) -> datetime | None:
        async with self._sessions() as db:
            return await self._next_at(db)
