"""A crowd of machines under load: each keeps its request until it is answered, and remembers every answer."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from services.clock import Clock, system_clock
from services.usage import Line, UsageEntry
from tests.support.machine import Body, Machine, change
from tests.support.wire import Wire, WireBroken
from tests.support.world import World

PATIENCE = 0.02
_TOLD = ("echo", "through", "receipt")
# What a machine does next, most of all nothing new; see `Member.act`.
_ACTS = ("idle", "idle", "idle", "change", "change", "repeat", "both")


@dataclass
class Met:
    """What all of them met with."""

    answered: int = 0
    broken: int = 0
    unavailable: int = 0


@dataclass
class Member:
    """One machine, with what was acknowledged to it: by sequence and nonce what it was told, and its changes."""

    machine: Machine
    wires: Sequence[tuple[Wire, Wire]]
    random: random.Random
    met: Met
    clock: Clock = system_clock
    changes: dict[int, Body] = field(default_factory=dict)
    deployed: int = 0
    turn: int = 0
    acts: int = 0
    last: Body | None = None
    told: dict[tuple[int, str], tuple[str, int, str]] = field(default_factory=dict)

    async def act(self) -> None:
        """Send one request until it is answered: sometimes the last again, sometimes one to two services at once."""
        act = self.random.choice(_ACTS)
        if act == "repeat" and self.last is not None:
            await self._send(self.last, 0)
        else:
            self.last = self._next(changed=act == "change")
            await asyncio.gather(*(self._send(self.last, n) for n in range(2 if act == "both" else 1)))
        self.acts += 1

    def _next(self, *, changed: bool) -> Body:
        if not changed:
            return self.machine.body(self.clock(), (self.deployed, 0, 0))
        self.deployed = self.random.randrange(100)
        n = self.machine.through + 1
        self.changes[n] = entry = change(n, self.clock(), (self.deployed, 0, 0))
        return self.machine.body(self.clock(), (self.deployed, 0, 0), [entry])

    async def _send(self, body: Body, hand: int) -> None:
        while True:
            self.turn += 1
            try:
                wire = self.wires[self.turn % len(self.wires)][hand]
                status, said = await wire.post("/v1/heartbeats", body, self.machine.headers)
            except WireBroken:
                self.met.broken += 1
            else:
                if status == 200:
                    break
                assert status in (429, 503), said
                self.met.unavailable += status == 503
            await asyncio.sleep(PATIENCE)
        self._learn(body, said)
        self.met.answered += 1

    def _learn(self, body: Body, said: Any) -> None:
        told = said["echo"], said["through"], said["receipt"]
        before = self.told.setdefault((body["sequence"], body["nonce"]), told)
        assert before == told, f"answered twice, and differently: {before} and {told}"
        if said["sequence"] >= self.machine.sequence:
            self.machine.learn(said)

    async def check(self, world: World) -> None:
        """Hold what was acknowledged against what is stored: nothing is lost, nothing counted twice."""
        own = {"site_id": self.machine.site_id, "installation_id": self.machine.installation_id}
        async with world.sessions() as db:
            [line] = await db.scalars(select(Line).filter_by(**own))
            entries = {one.n: one for one in await db.scalars(select(UsageEntry).filter_by(**own))}
        assert (line.sequence, line.through, line.receipt.hex()) == (
            self.machine.sequence,
            self.machine.through,
            self.machine.receipt,
        )
        assert sorted(entries) == list(range(1, self.machine.through + 1))
        sent = {n: one["server"] for n, one in self.changes.items()}
        assert {n: entry.server for n, entry in entries.items() if n in sent} == sent
        for _, through, receipt in self.told.values():
            assert not through or entries[through].receipt.hex() == receipt


@dataclass
class Crowd:
    """All of them."""

    members: Sequence[Member]
    met: Met

    async def live(self, requests: int) -> None:
        """Let them act until so many requests have been answered."""
        async with asyncio.TaskGroup() as tasks:
            for member in self.members:
                tasks.create_task(self._live(member, requests))

    async def _live(self, member: Member, requests: int) -> None:
        while self.met.answered < requests:
            await member.act()

    async def check(self, world: World) -> None:
        """Hold what was acknowledged to each against what is stored."""
        for member in self.members:
            await member.check(world)


@asynccontextmanager
async def crowd(
    world: World, size: int, urls: Sequence[str], *, seed: int = 1, clock: Clock = system_clock
) -> AsyncIterator[Crowd]:
    """So many activated machines, whose heartbeats may come as often as they like, at any of some services."""
    await world.policy(heartbeat_seconds=1)  # too early is what comes within a sixtieth of it
    met = Met()
    members = []
    for n in range(size):
        machine = await world.activated(f"site {n}")
        wires = [(Wire(url), Wire(url)) for url in urls]
        members.append(Member(machine, wires, random.Random(seed * 1000 + n), met, clock))
    yield Crowd(members, met)
    for member in members:
        for pair in member.wires:
            for wire in pair:
                wire.close()
