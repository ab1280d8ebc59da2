"""A crowd of machines under load: each keeps its request until it is answered, and remembers every answer."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import func, select

from services.clock import system_clock
from services.usage import Line
from services.usage.tables import UsageEntry
from tests.support.machine import Body, Machine, change
from tests.support.world import World

_TOLD = ("echo", "through", "receipt")
# What a machine does next, most of all nothing new; see `Member._next`.
_ACTS = ("idle", "idle", "idle", "change", "change", "repeat", "both")


@dataclass
class Member:
    """One machine, with what was acknowledged to it: by sequence and nonce what it was told."""

    machine: Machine
    urls: Sequence[str]
    random: random.Random
    deployed: int = 0
    changes: int = 0
    last: Body | None = None
    told: dict[tuple[int, str], tuple[str, int, str]] = field(default_factory=dict)

    async def live(self, http: httpx.AsyncClient, requests: int, done: "Crowd") -> None:
        """Send so many requests, each until it is answered."""
        while done.answered < requests:
            act = self.random.choice(_ACTS)
            if act == "repeat" and self.last is not None:
                await self._send(http, self.last, done)
                continue
            body = self._next(changed=act == "change")
            twice = 2 if act == "both" else 1
            await asyncio.gather(*(self._send(http, body, done) for _ in range(twice)))
            self.last = body

    def _next(self, *, changed: bool) -> Body:
        now = system_clock()
        if changed:
            self.deployed += 1
            self.changes += 1
            entry = change(self.machine.through + 1, now, (self.deployed, 0, 0))
            return self.machine.body(now, (self.deployed, 0, 0), [entry])
        return self.machine.body(now, (self.deployed, 0, 0))

    async def _send(self, http: httpx.AsyncClient, body: Body, done: "Crowd") -> None:
        while True:
            try:
                url = self.random.choice(self.urls)
                answer = await http.post(f"{url}/v1/heartbeats", json=body, headers=self.machine.headers)
            except httpx.TransportError:
                done.broken += 1
                await asyncio.sleep(0.02)
                continue
            if answer.status_code == httpx.codes.OK:
                break
            assert answer.status_code in (429, 503), answer.text
            done.unavailable += answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            await asyncio.sleep(0.02)
        self._learn(body, answer.json())
        done.answered += 1

    def _learn(self, body: Body, said: dict[str, Any]) -> None:
        told = said["echo"], said["through"], said["receipt"]
        before = self.told.setdefault((body["sequence"], body["nonce"]), told)
        assert before == told, json.dumps([before, told])  # answered twice, and differently
        if said["sequence"] >= self.machine.sequence:
            self.machine.learn(said)


@dataclass
class Crowd:
    """All of them, and what they met with."""

    members: Sequence[Member]
    answered: int = 0
    broken: int = 0
    unavailable: int = 0

    async def live(self, requests: int) -> None:
        """Send so many requests together."""
        limits = httpx.Limits(max_connections=len(self.members) * 2)
        async with httpx.AsyncClient(timeout=30, limits=limits) as http, asyncio.TaskGroup() as tasks:
            for member in self.members:
                tasks.create_task(member.live(http, requests, self))

    async def check(self, world: World) -> None:
        """Hold what was acknowledged against what is stored: nothing is lost, nothing counted twice."""
        for member in self.members:
            machine = member.machine
            own = {"site_id": machine.site_id, "installation_id": machine.installation_id}
            async with world.sessions() as db:
                [line] = await db.scalars(select(Line).filter_by(**own))
                entries = select(func.count()).select_from(UsageEntry).filter_by(**own)
                assert await db.scalar(entries) == line.through == machine.through
                receipts = select(UsageEntry.n, UsageEntry.receipt).filter_by(**own)
                kept = {n: receipt.hex() for n, receipt in await db.execute(receipts)}
            assert (line.sequence, line.receipt.hex()) == (machine.sequence, machine.receipt)
            assert all(kept[through] == receipt for _, through, receipt in member.told.values() if through)


async def crowd(world: World, size: int, urls: Sequence[str], seed: int = 1) -> Crowd:
    """So many activated machines, whose heartbeats may come as often as they like."""
    await world.policy(heartbeat_seconds=1)  # too early is what comes within a sixtieth of it
    members = []
    for n in range(size):
        machine = await world.activated(f"site {n}")
        members.append(Member(machine, urls, random.Random(seed * 1000 + n)))
    return Crowd(members)
