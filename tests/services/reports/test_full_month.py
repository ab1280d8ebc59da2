"""Months full of late usage, voids, disputes, excuses and adjustments: everything issued and corrected is the truth.

The truth is counted here, from what the machines were made to have, and shares nothing with the service.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from services import ids, reports
from services.errors import Invalid
from services.partners import Principal
from services.reports.claims import Stretch
from services.reports.tables import Adjustment, Charge
from tests.support.clock import START
from tests.support.machine import Machine, change
from tests.support.months import APRIL, DAY, GRACE, HOUR, JUNE, MARCH, MAY
from tests.support.world import World

JULY = datetime.fromisoformat("2026-06-30T22:00:00Z")
Bounds = tuple[datetime, datetime]


@dataclass
class Site:
    """A machine, what it had from when on, what of it waits to be sent, and what is taken out of what is charged."""

    machine: Machine
    had: list[tuple[datetime, int]]
    waiting: list[dict[str, Any]] = field(default_factory=list)
    out: list[Bounds] = field(default_factory=list)

    def truth(self, starts_at: datetime, ends_at: datetime) -> int:
        """The highest it had in a period, outside of what is taken out."""
        instants = [at for at, _ in self.had] + [starts_at] + [until for _, until in self.out]
        return max(
            (
                [count for since, count in self.had if since <= at][-1]
                for at in instants
                if max(starts_at, START) <= at < ends_at and not any(start <= at < end for start, end in self.out)
            ),
            default=0,
        )


class Months:
    """Lets sites live and partners quarrel, as chance has it."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.chance, self.sites = world, Random(seed), list[Site]()
        self.ours = Principal(world.msp.id, world.msp.id)

    async def begin(self) -> None:
        for number in range(6):
            machine = await self.world.running((number, 0, 0), f"site {number}")
            self.sites.append(Site(machine, [(START, number)]))

    def draw(self, starts_at: datetime, ends_at: datetime) -> None:
        """Have each site change a few times in a month; it is not sent yet."""
        begin = max(starts_at, START) + HOUR
        for site in self.sites:
            hours = int((ends_at - begin) / HOUR)
            for hour in sorted(self.chance.sample(range(hours), self.chance.randrange(6))):
                count, at = self.chance.randrange(20), begin + hour * HOUR
                site.had.append((at, count))
                n = site.machine.through + len(site.waiting) + 1
                site.waiting.append(change(n, at, (count, 0, 0)))

    async def send(self, sites: Sequence[Site]) -> None:
        for site in sites:
            await self.world.beat(site.machine, (site.had[-1][1], 0, 0), site.waiting)
            site.waiting = []

    def stretch(self, site: Site, starts_at: datetime, ends_at: datetime) -> Stretch:
        start = max(starts_at, START) + self.chance.random() * (ends_at - max(starts_at, START) - 5 * DAY)
        return Stretch(site.machine.site_id, start, start + self.chance.randrange(1, 5) * DAY, "as agreed")

    async def void(self, starts_at: datetime, ends_at: datetime) -> None:
        """Ask for two voids, of which the distributor grants one."""
        for granted, site in zip((True, False), self.chance.sample(self.sites, 2), strict=True):
            asked = self.stretch(site, starts_at, ends_at)
            async with self.world.sessions.begin() as db:
                row = await reports.ask_void(db, self.ours, asked, self.world.clock())
                await reports.decide_void(
                    db, self.world.distributor.id, row.id, granted=granted, reason="so", actor="d",
                    now=self.world.clock(),
                )  # fmt: skip
            if granted:
                site.out.append((asked.from_at, asked.until_at))

    async def dispute(self) -> None:
        """Dispute two lines of the last report; the distributor upholds one and refuses one."""
        report = (await self.world.reports())[-1]
        for upheld, site in zip((True, False), self.chance.sample(self.sites, 2), strict=True):
            claimed = (self.chance.randrange(9), 0, 0)
            async with self.world.sessions.begin() as db:
                row = await reports.dispute(
                    db, self.ours, report.id, site.machine.site_id, claimed, reason="no", now=self.world.clock()
                )
                await reports.decide_dispute(
                    db, row, "distributor", upheld=upheld, reason="so", actor="d", now=self.world.clock()
                )

    async def excuse(self, starts_at: datetime, ends_at: datetime) -> None:
        """Excuse two stretches of a closed month, and think better of one."""
        for kept, site in zip((True, False), self.chance.sample(self.sites, 2), strict=True):
            asked = self.stretch(site, starts_at, ends_at)
            async with self.world.sessions.begin() as db:
                row = await reports.excuse(db, asked, actor="d", now=self.world.clock())
            if kept:
                site.out.append((asked.from_at, asked.until_at))
                continue
            self.world.clock.advance(hours=1)
            async with self.world.sessions.begin() as db:
                await reports.withdraw_excuse(db, asked.site_id, row.id, reason="no", actor="d", now=self.world.clock())

    async def adjust(self, starts_at: datetime) -> None:
        for site in self.chance.sample(self.sites, 2):
            by = (self.chance.choice([-3, -2, 2, 3]), 0, 0)
            async with self.world.sessions() as db:
                try:
                    await reports.adjust(
                        db, self.world.distributor.id, site.machine.site_id, starts_at, by, reason="so", actor="d",
                        now=self.world.clock(),
                    )  # fmt: skip
                    await db.commit()
                except Invalid:
                    await db.rollback()  # no more is taken back than was charged


@pytest.mark.parametrize("seed", range(3))
async def test_everything_issued_with_its_corrections_is_the_truth_and_what_was_decided(
    world: World, seed: int
) -> None:
    months = Months(world, seed)
    await months.begin()
    for starts_at, ends_at in ((MARCH, APRIL), (APRIL, MAY)):
        months.draw(starts_at, ends_at)
        world.clock.now = ends_at + HOUR
        late = months.chance.sample(months.sites, 3)
        await months.send([site for site in months.sites if site not in late])
        await months.void(starts_at, ends_at)
        world.clock.now = ends_at + GRACE
        await world.close()
        world.clock.now = ends_at + 2 * DAY
        await months.dispute()
        await months.send(late)
        await months.excuse(starts_at, ends_at)
        await months.adjust(starts_at)
    for ends_at in (JUNE, JULY):
        world.clock.now = ends_at + HOUR
        await months.send(months.sites)
        world.clock.now = ends_at + GRACE
        await world.close()
    issued = await _issued(world)
    decided = await _decided(world)
    for site in months.sites:
        for starts_at, ends_at, month in ((MARCH, APRIL, "2026-03"), (APRIL, MAY, "2026-04"), (MAY, JUNE, "2026-05")):
            key = site.machine.site_id
            expected = site.truth(starts_at, ends_at) + decided[key, starts_at]
            assert issued[str(key), month] == expected, (seed, month, site)
    assert sum(issued.values()) == await _charged(world)


async def _issued(world: World) -> Counter[tuple[str, str]]:
    """What the issued documents say, by site and month: lines and corrections."""
    found: Counter[tuple[str, str]] = Counter()
    async with world.sessions() as db:
        shown = {ids.show("site", one): str(one) for one in await db.scalars(select(Charge.site_id))}
    for report in await world.reports():
        document = json.loads(report.document or b"")
        for line in document["lines"]:
            found[shown[line["site_id"]], document["period"]["month"]] += line["charged"]["server"]
        for line in document["corrections"]:
            found[shown[line["site_id"]], line["month"]] += line["quantities"]["server"]
    return found


async def _decided(world: World) -> dict[Any, int]:
    found: dict[Any, int] = defaultdict(int)
    async with world.sessions() as db:
        for row in await db.scalars(select(Adjustment)):
            found[row.site_id, row.starts_at] += row.server
    return found


async def _charged(world: World) -> int:
    async with world.sessions() as db:
        return sum(await db.scalars(select(Charge.server)))
