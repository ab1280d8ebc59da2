"""A small world on a real database: a distributor, its MSPs, their keys, and machines that speak.

Each act is a transaction of its own, as at the service's edge.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from report_worker import jobs
from report_worker.jobs import Tools
from services import keys, partners, reports, sites
from services.db import Sessions
from services.errors import Refusal
from services.keys import IssuedKey, Key
from services.partners import Distributor, Msp
from services.partners.policy import PROGRAMME_ID
from services.reports.document import Document
from services.reports.tables import Report
from services.sites import Activated, Answer, Desk, Swept, standing
from services.usage import SiteFigures, Span, figures_of, period_containing
from tests.support.clock import TestClock
from tests.support.machine import Body, Machine, Three

ZONE = "Europe/Rome"


@dataclass
class World:
    """Builders and acts; `distributor` and `msp` are there from the start."""

    sessions: Sessions
    desk: Desk
    clock: TestClock
    distributor: Distributor
    msp: Msp

    # --- partners and keys ---------------------------------------------------------------------------------

    async def another_msp(self, name: str, distributor: Distributor | None = None) -> Msp:
        async with self.sessions.begin() as db:
            under = (distributor or self.distributor).id
            return await partners.add_msp(db, name=name, distributor_id=under, now=self.clock())

    async def another_distributor(self, name: str, zone: str = ZONE) -> Distributor:
        async with self.sessions.begin() as db:
            return await partners.add_distributor(db, name=name, zone=zone, now=self.clock())

    async def token(self, msp: Msp | None = None, *, expires_at: datetime | None = None) -> str:
        """A token of an MSP's program."""
        async with self.sessions.begin() as db:
            msp_id = (msp or self.msp).id
            return await partners.issue_token(db, msp_id=msp_id, name="p", now=self.clock(), expires_at=expires_at)

    async def policy(self, **values: int) -> None:
        """Set values of the programme."""
        async with self.sessions.begin() as db:
            await partners.set_policy(db, "programme", PROGRAMME_ID, **values)

    async def key(self, name: str = "Hotel Adria", msp: Msp | None = None, reference: str | None = None) -> IssuedKey:
        async with self.sessions.begin() as db:
            return await keys.create(
                db,
                self.desk.vault,
                msp_id=(msp or self.msp).id,
                name=name,
                reference=reference,
                actor="test",
                now=self.clock(),
            )

    async def key_of(self, machine: Machine) -> Key:
        """The key's row as it is now."""
        async with self.sessions() as db:
            return (await db.scalars(select(Key).where(Key.site_id == machine.site_id))).one()

    async def timeline(self, machine: Machine) -> list[tuple[str, datetime, str]]:
        """What happened to the machine's key: event, when, by whom."""
        key = await self.key_of(machine)
        async with self.sessions() as db:
            return [(event.event, event.at, event.actor) for event in await keys.timeline(db, key)]

    async def mark_key(self, machine: Machine, **instants: Any) -> None:
        """Set a key's instants (`suspended_at`, `revoked_at`, `reason`) and tell its lines; no operation does yet."""
        async with self.sessions.begin() as db:
            key = await keys.of_site_for_update(db, machine.site_id)
            for name, value in instants.items():
                setattr(key, name, value)
            await db.flush()
            await standing.tell(db, key)

    # --- machines ------------------------------------------------------------------------------------------

    async def activate(self, machine: Machine, **fields: Any) -> Activated:
        async with self.sessions.begin() as db:
            activated = await sites.activate(db, self.desk, machine.activation(**fields), self.clock())
        machine.learn(activated)
        return activated

    async def activated(self, name: str = "Hotel Adria", msp: Msp | None = None) -> Machine:
        """A machine on a key of its own."""
        machine = Machine((await self.key(name, msp)).code)
        await self.activate(machine)
        return machine

    async def running(self, deployed: Three, name: str = "Hotel Adria", msp: Msp | None = None) -> Machine:
        """A machine that has sent its first heartbeat, with so many agents from its activation on."""
        machine = await self.activated(name, msp)
        await self.beat(machine, deployed)
        return machine

    async def hear(self, machine: Machine, body: Body) -> Answer | Refusal:
        """Take in a body; the machine learns nothing."""
        async with self.sessions.begin() as db:
            [answer] = await sites.take_in(db, self.desk, [(machine.heartbeat(body), self.clock())])
        return answer

    async def beat(
        self, machine: Machine, deployed: Three, changes: Iterable[Body] | None = None, /, **fields: Any
    ) -> Answer:
        """Send the machine's next heartbeat; it is accepted, and the machine learns the answer."""
        sent_at = fields.pop("sent_at", None) or self.clock()
        answer = await self.hear(machine, machine.body(sent_at, deployed, changes, **fields))
        assert isinstance(answer, Answer), answer
        machine.learn(answer)
        return answer

    # --- time ----------------------------------------------------------------------------------------------

    async def pulse(self, *, up_since: datetime | None = None) -> None:
        async with self.sessions.begin() as db:
            await sites.pulse(db, self.clock(), up_since=up_since)

    async def pass_time(self, **length: float) -> None:
        """Let time pass with the service up all along."""
        before = self.clock()
        self.clock.advance(**length)
        await self.pulse(up_since=before)

    async def sweep(self, limit: int = 500) -> Swept:
        async with self.sessions.begin() as db:
            return await sites.sweep(db, self.clock(), limit=limit)

    # --- months --------------------------------------------------------------------------------------------

    async def figures(self, msps: Sequence[Msp] = (), span: Span | None = None) -> list[SiteFigures]:
        """The figures of the month that holds the present, as known now."""
        async with self.sessions() as db:
            return await figures_of(db, [msp.id for msp in msps or [self.msp]], span or self.month())

    def month(self) -> Span:
        period = period_containing(self.distributor.zone, self.clock())
        return Span(period.starts_at, period.ends_at, self.clock())

    async def peaks(self, machine: Machine, span: Span | None = None) -> dict[str, tuple[int, datetime]]:
        return next(one.peaks for one in await self.figures(span=span) if one.site_id == machine.site_id)

    async def provisional(self, db: AsyncSession) -> Document:
        principal = partners.Principal(self.msp.id, self.msp.id)
        document: Document = json.loads((await reports.provisional(db, principal, self.msp.id, self.clock())).document)
        return document

    async def line_now(self) -> dict[str, Any]:
        """The only line of the provisional report."""
        async with self.sessions() as db:
            [line] = (await self.provisional(db))["lines"]
        assert isinstance(line, dict)
        return line

    async def close(self) -> None:
        """Run the job that closes, writes and issues what is due."""
        await jobs.close_periods({"tools": Tools(self.sessions, self.clock)})

    async def last_day(self) -> None:
        """Run the job that tells MSPs of the last day."""
        await jobs.tell_last_day({"tools": Tools(self.sessions, self.clock)})

    async def reports(self) -> list[Report]:
        """All reports, in the order of their numbers."""
        async with self.sessions() as db:
            return list(await db.scalars(select(Report).order_by(Report.distributor_id, Report.number)))
