"""The stage of a story: the whole service on this machine with a simulated clock, an MSP, and its distributor."""

import asyncio
import itertools
import mailbox
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncSession

from ops.replay.rig import Due
from ops.stack import Stack
from ops.stories.machine import Machine, Wire
from ops.stories.screen import ZONE, Screen
from report_worker.main import DELIVERY, REPORTS, SHORT, Bell
from services import partners, reports, sites
from services.clock import SharedClock
from services.db import Sessions, make_engine, make_sessions
from services.delivery import Letter
from services.usage import month_period

MONTH = "2026-10"
_STEP = timedelta(hours=1)
_LOCAL = itertools.count(2)


@dataclass(slots=True)
class Stage:
    """Where a story is played."""

    stack: Stack
    clock: SharedClock
    screen: Screen
    sessions: Sessions
    http: httpx.AsyncClient
    folder: Path
    sweeping: Due
    posting: Due
    closing: Due
    closes: bool = False
    machines: list[Machine] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    async def site(self, name: str) -> tuple[str, Machine]:
        """Have the MSP make a key, and a customer's new machine to type it into; give the key's code."""
        made = await self.http.post("/v1/keys", json={"name": name})
        made.raise_for_status()
        return made.json()["code"], self.machine(name.lower().replace(" ", "-"), self.folder / f"{name}.sqlite")

    def machine(self, hostname: str, disk: Path) -> Machine:
        """Boot a machine from a disk, at an address of its own."""
        wire = Wire(hostname, f"127.0.0.{next(_LOCAL)}", self.screen)
        machine = Machine(hostname, disk, wire, self.clock, self.stack.url)
        self.machines.append(machine)
        return machine

    async def pass_time(self, *, pulsing: bool = True, **length: float) -> None:
        """Let a length of time pass, hour by hour."""
        await self.until(self.clock() + timedelta(**length), pulsing=pulsing)

    async def until(self, until: datetime, *, pulsing: bool = True, step: timedelta = _STEP) -> None:
        """Let time pass by steps; machines that are on send their heartbeats, the worker does what is due."""
        while (before := self.clock()) < until:
            now = min(before + step, until)
            if pulsing:
                async with self.sessions.begin() as db:
                    await sites.pulse(db, now, up_since=before)
            self.clock.set(now)
            for machine in self.machines:
                await machine.live()
            await self.sweeping.do(now)
            if self.closes:
                await self.closing.do(now)
            await self.posting.do(now)

    async def view(self, name: str) -> dict[str, Any]:
        """Give what the MSP's program reads of a site."""
        listed = (await self.http.get("/v1/sites", params={"text": name})).json()["items"]
        found: dict[str, Any] = listed[0]
        return found

    async def timeline(self, name: str) -> list[dict[str, Any]]:
        """Give what the MSP's program reads of what happened to a site's key."""
        key = (await self.view(name))["key_id"]
        items: list[dict[str, Any]] = (await self.http.get(f"/v1/keys/{key}/timeline")).json()["items"]
        return items

    async def line(self, name: str) -> dict[str, Any]:
        """Give a site's line of the report as it would be now."""
        report = (await self.http.get("/v1/reports/provisional")).json()
        found: dict[str, Any] = next(line for line in report["lines"] if line["site"] == name)
        return found

    def letters(self) -> list[EmailMessage]:
        """Read the letters that have come since the last time."""
        box = mailbox.Maildir(self.stack.settings.mail_folder, create=True)
        new = sorted(set(box.keys()) - self.read, key=lambda name: Path(name).name)
        self.read.update(new)
        return [_letter(box, name) for name in new]

    def show_letters(self) -> list[EmailMessage]:
        """Read the new letters and show them."""
        found = self.letters()
        for letter in found:
            self.screen.sees(f"letter to {letter['To']}", str(letter["Subject"]))
        return found


@asynccontextmanager
async def set_stage(stack: Stack, screen: Screen, folder: Path) -> AsyncIterator[Stage]:
    """Make the partners, and end every machine afterwards."""
    if stack.clock is None:
        raise ValueError("a story needs a stack on a simulated clock")
    engine = make_engine(stack.settings.database_url)
    sessions = make_sessions(engine)
    token = await _make_partners(sessions, stack.clock())
    async with (
        Bell(stack.settings) as bell,
        httpx.AsyncClient(base_url=stack.url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http,
    ):
        sweeping = Due(sessions, bell, SHORT, "sweep", sites.next_timer_at, look_again=_STEP)
        posting = Due(sessions, bell, DELIVERY, "send_letters", _next_letter_at, look_again=_STEP)
        closing = Due(sessions, bell, REPORTS, "close_periods", reports.next_close_at)
        stage = Stage(stack, stack.clock, screen, sessions, http, folder, sweeping, posting, closing)
        try:
            yield stage
        finally:
            await asyncio.gather(*(machine.off() for machine in stage.machines))
            await engine.dispose()


def opens_at() -> datetime:
    """Give when every story begins: mid-morning on the second day of a month."""
    return month_period(ZONE, MONTH).starts_at + timedelta(days=1, hours=9)


async def _make_partners(sessions: Sessions, now: datetime) -> str:
    async with sessions.begin() as db:
        await partners.set_policy(db, "programme", heartbeat_seconds=3600)
        distributor = await partners.add_distributor(db, name="Tidemark Italia", zone=ZONE, now=now)
        distributor.email, distributor.language = "distributor@example.it", "en"
        msp = await partners.add_msp(db, name="Adriatica Sistemi", distributor_id=distributor.id, now=now)
        msp.technical_email, msp.language = "msp@example.it", "en"
        return await partners.issue_token(db, msp_id=msp.id, name="story", now=now)


async def _next_letter_at(db: AsyncSession) -> datetime | None:
    """Give when a letter is next to be sent; one that the worker has claimed is waited for until it has gone."""
    claimed = (Letter.attempts > 0) & Letter.failure.is_(None)
    due_at = case((claimed, Letter.posted_at), else_=Letter.next_attempt_at)
    return await db.scalar(select(due_at).where(Letter.next_attempt_at.is_not(None)).order_by(due_at).limit(1))


def _letter(box: mailbox.Maildir, name: str) -> EmailMessage:
    return message_from_bytes(box.get_bytes(name), policy=policy.default)
