"""Makes the sample: two months and a bit, in steps of days on a clock that is set, up to the present."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from license_api.app import create_app
from ops.sample import papers, people
from ops.sample.customers import Fate, customers
from ops.sample.fleet import Fleet
from ops.sample.people import Staff
from ops.sample.post import SampleCarrier, SamplePost
from ops.sample.stations import Station, speak, switched_on
from report_worker import delivering, jobs
from report_worker.jobs import Tools
from report_worker.press import Press
from services import keys, reports, sites
from services.clock import system_clock
from services.db import make_engine, make_sessions
from services.delivery import PostOffice
from services.settings import Settings
from services.signing import Vault
from services.usage import period_containing

_ZONE = "Europe/Rome"
_DAY = timedelta(days=1)
_STEP, _BY_DAYS = timedelta(days=4), timedelta(days=22)
_TURN_SECONDS = 30.0
Act = Callable[[AsyncSession, datetime], Awaitable[None]]
_STAFFED = {one.partner for one in people.PEOPLE}


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is to look at, and the stations that go on calling."""

    staff: Staff
    token: str
    code: str
    alive: list[Station]

    async def live(self, url: str) -> None:
        """Let the stations that are alive go on calling the service, until cancelled."""
        while True:
            for station in self.alive:
                transport = httpx.AsyncHTTPTransport(local_address=station.address)
                async with (
                    httpx.AsyncClient(base_url=url, transport=transport, timeout=30) as http,
                    switched_on(station, http, system_clock) as manager,
                ):
                    if manager.next_at <= system_clock():
                        await speak(manager)
            await asyncio.sleep(_TURN_SECONDS)


@dataclass(slots=True)
class SetClock:
    """A clock that stands where it is set."""

    now: datetime

    def __call__(self) -> datetime:
        """Give the instant."""
        return self.now


@dataclass(slots=True)
class Making:
    """The present of the sample, what is made so far, and what is to happen when."""

    clock: SetClock
    ends_at: datetime
    fleet: Fleet
    tools: Tools
    vault: Vault
    mail: Path
    staff: Staff
    plan: list[tuple[datetime, Act]] = field(default_factory=list)


async def make_sample(settings: Settings, folder: Path) -> Sample:
    """Fill an empty database; letters go into the maildir of the settings, machines live in the folder."""
    ends_at = system_clock()
    this = period_containing(_ZONE, ends_at)
    last = period_containing(_ZONE, this.starts_at - _DAY)
    first = period_containing(_ZONE, last.starts_at - _DAY)
    clock = SetClock(first.starts_at + timedelta(hours=7))
    engine, vault = make_engine(settings.database_url), Vault(settings.master_secret.get_secret_value())
    app, mail = create_app(settings, clock), Path(settings.mail_folder)
    office = PostOffice(SamplePost(mail), vault, settings.mail_from, settings.public_url)
    press, carrier = Press(2), SampleCarrier()
    tools = Tools(make_sessions(engine), clock, press, vault, office, carrier)
    try:
        async with app.router.lifespan_context(app):
            fleet = Fleet(app, clock, folder)
            staff, token = await _settle(tools, vault, fleet, first.month, ends_at)
            making = Making(clock, ends_at, fleet, tools, vault, mail, staff)
            making.plan = sorted(_plan(making, this.starts_at), key=lambda entry: entry[0])
            await _live(making)
    finally:
        press.close()
        await carrier.close()
        await engine.dispose()
    return Sample(staff, token, fleet.of(Fate.NEVER).code, fleet.alive)


async def _settle(tools: Tools, vault: Vault, fleet: Fleet, month: str, ends_at: datetime) -> tuple[Staff, str]:
    """Make the partners, their people, and the customers' keys."""
    now = tools.clock()
    async with tools.sessions.begin() as db:
        made = await people.add_partners(db, month, now)
        staff = await people.add_staff(db, vault, made, now)
        await papers.publish(db, staff, now)
        token = await people.add_tools(db, vault, staff, now)
        for one in customers():
            actor = staff.of(one.msp).actor if one.msp in _STAFFED else "import"
            msp_id, reference = made[one.msp].id, one.reference
            issued = await keys.create(
                db, vault, msp_id=msp_id, name=one.name, reference=reference, actor=actor, now=now
            )
            fleet.add(one, issued.key.site_id, issued.code, ends_at)
    await fleet.activate()
    return staff, token


def _plan(making: Making, this_month: datetime) -> Iterator[tuple[datetime, Act]]:
    """Give what happens when, beside machines that call."""
    fleet, staff, vault = making.fleet, making.staff, making.vault

    def before(**length: float) -> datetime:
        return making.ends_at - timedelta(**length)

    yield fleet.of(Fate.REVOKED).last_at, lambda db, now: papers.revoke(db, staff, fleet.of(Fate.REVOKED).site_id, now)
    yield this_month + timedelta(hours=12), lambda db, now: papers.dispute(db, staff, now)
    yield before(hours=30), lambda db, now: papers.register(db, vault, now)
    yield before(hours=14), lambda db, now: papers.act_on_keys(db, staff, fleet, now)
    yield before(hours=9), lambda db, now: papers.verify(db, making.mail, now)
    yield before(hours=4), lambda db, now: papers.reject(db, staff, now)
    yield before(hours=1), lambda db, now: papers.ask_void(db, staff, now)


async def _live(making: Making) -> None:
    doubled = making.ends_at - timedelta(hours=30)
    wanted = making.ends_at - timedelta(hours=4)
    for now in _steps(making):
        async with making.tools.sessions.begin() as db:
            await sites.pulse(db, now, up_since=making.clock())
        making.clock.now = now
        if now == doubled:
            await making.fleet.copy()
            await making.fleet.add_standalone()
        if now == wanted:
            await making.fleet.want()
        await making.fleet.call()
        await _work(making.tools, sweeping=now > making.ends_at - _BY_DAYS + _DAY)
        while making.plan and making.plan[0][0] <= now:
            async with making.tools.sessions.begin() as db:
                await making.plan.pop(0)[1](db, now)


def _steps(making: Making) -> list[datetime]:
    """Give the instants at which something happens, up to the present."""
    ends_at, at = making.ends_at, making.clock()
    found = {one.last_at for one in making.fleet.sites} | {due for due, _ in making.plan if due < ends_at} | {ends_at}
    while at < ends_at:
        at += _STEP if at + _BY_DAYS < ends_at else _DAY
        found.add(min(at, ends_at))
    return sorted(found)


async def _work(tools: Tools, *, sweeping: bool) -> None:
    """Do what the worker would have done by now."""
    context = {"tools": tools}
    if sweeping:
        await jobs.sweep(context)
    async with tools.sessions() as db:
        close_at = await reports.next_close_at(db)
    if close_at is not None and close_at <= tools.clock():
        await jobs.close_periods(context)
    await delivering.send_letters(context)
    await delivering.send_webhooks(context)
