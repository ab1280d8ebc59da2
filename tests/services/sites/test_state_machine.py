"""The state machine: a site, its copies and its key go through anything in any order; a model says what must hold.

After every step: the ledger equals the model's, the key's state and the timeline are the model's, and what was done
twice was done once. A failure prints how to run it again. The restore of the service itself is in `test_intake.py`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from services import keys, partners
from services.db import make_sessions
from services.keys import KeyState
from services.sites import Answer, Desk, LineBroken, orders
from services.usage import UsageEntry
from tests.support.clock import TestClock
from tests.support.database import wipe
from tests.support.machine import Body, Machine
from tests.support.world import ZONE, World

EXAMPLES, STEPS = 100, 50  # 5,000 steps
FORTNIGHT = timedelta(days=14)
OPS = {
    "send": 8, "idle": 4, "lost reply": 4, "late": 2, "copy": 2, "restore": 2, "offline": 4, "outage": 2, "sweep": 4,
    "suspend": 2, "resume": 3, "revoke": 1, "rotate": 1, "release": 1,
}  # fmt: skip


@dataclass
class Disk:
    """What a machine holds, as the model has it."""

    machine: Machine
    line: int
    count: int
    frozen: Body | None = None


@dataclass
class Model:
    """The oracle: heads of lines, entries, instants and events; about as simple as can be said."""

    heard_at: datetime
    heads: dict[int, tuple[int, str]] = field(default_factory=dict)  # line: sequence, nonce
    ledger: set[tuple[int, int, int]] = field(default_factory=set)  # line, n, servers
    events: Counter[str] = field(default_factory=lambda: Counter(issued=1, activated=1))
    flags: set[str] = field(default_factory=set)
    outages: list[tuple[datetime, datetime]] = field(default_factory=list)

    def state(self) -> KeyState:
        order = (KeyState.REVOKED, KeyState.SUSPENDED, KeyState.DISABLED)
        return next((one for one in order if one in self.flags), KeyState.ACTIVE)

    def heard(self, now: datetime) -> None:
        self.heard_at = now
        if self.state() is KeyState.DISABLED:
            self.note("enabled", KeyState.DISABLED, on=False)

    def swept(self, now: datetime) -> None:
        own = sum((b - max(a, self.heard_at) for a, b in self.outages if b > self.heard_at), timedelta())
        if now - self.heard_at - own >= FORTNIGHT and KeyState.REVOKED not in self.flags:
            self.note("disabled", KeyState.DISABLED, on=True)

    def note(self, event: str, flag: str, *, on: bool) -> None:
        if (flag in self.flags) is not on:
            self.events[event] += 1
            (self.flags.add if on else self.flags.discard)(flag)


class Play:
    """The world and the model, side by side."""

    def __init__(self, world: World, machine: Machine, nonce: str) -> None:
        self.world = world
        self.model = Model(world.clock(), {0: (1, nonce)}, {(0, 1, 1)})
        self.disks = [Disk(machine, 0, 1)]
        self.images: list[Disk] = []
        self.sent: list[tuple[Disk, Body]] = []
        self.counted = 1

    async def do(self, op: str, pick: int) -> None:
        disk = self.disks[pick % len(self.disks)]
        if op in ("send", "idle", "lost reply"):
            await self._send(disk, new=op != "idle", learns=op != "lost reply")
        elif op == "late":
            await self._late(pick)
        elif op == "copy" and len(self.disks) < 3:
            self.images.append(replace(disk, machine=disk.machine.image()))
            self.disks.append(replace(disk, machine=disk.machine.image()))
        elif op == "restore" and self.images:
            image = self.images[pick % len(self.images)]
            self.disks[pick % len(self.disks)] = replace(image, machine=image.machine.image())
        elif op == "offline":
            await self.world.pass_time(days=pick % 16, minutes=1)
        elif op == "outage":
            await self._outage(1 + pick % 20)
        elif op == "sweep":
            await self.world.sweep()
            self.model.swept(self.world.clock())
        elif op in ("suspend", "resume", "revoke", "rotate", "release"):
            await self._order(op)

    async def _send(self, disk: Disk, *, new: bool, learns: bool) -> None:
        """Send what waits for its answer, else something new, and resume if the line is broken."""
        body = disk.frozen or self._body(disk, new)
        if not await self._deliver(disk, body, learns):
            disk.frozen = None
            await self._deliver(disk, self._body(disk, new, resume=True), learns)

    def _body(self, disk: Disk, new: bool, **more: Any) -> Body:
        self.counted += new
        disk.frozen = disk.machine.body(self.world.clock(), (self.counted if new else disk.count, 0, 0), **more)
        return disk.frozen

    async def _deliver(self, disk: Disk, body: Body, learns: bool) -> bool:
        answer = await self.world.hear(disk.machine, body)
        line = self._accept(disk, body)
        if line is None:
            assert isinstance(answer, LineBroken), body
            assert answer.members["through"] == max(n for one, n, _ in self._of(disk.line))
            return False
        assert isinstance(answer, Answer), (answer, body)
        self.model.heard(self.world.clock())
        assert answer.state is self.model.state()
        assert answer.through == self._through(line, disk)
        self.sent.append((replace(disk, machine=disk.machine.image()), body))
        if learns:
            disk.machine.learn(answer)
            disk.line, disk.count, disk.frozen = line, body["deployed"]["server"], None
        return True

    def _accept(self, disk: Disk, body: Body) -> int | None:
        """Say on which line the service takes a body, None if on none, and write it into the model's ledger."""
        heads, through = self.model.heads, disk.machine.through
        said = (body["sequence"], body["nonce"])
        if repeated := [line for line, head in heads.items() if head == said]:
            return repeated[0]
        line = disk.line
        if heads[line][0] >= body["sequence"]:
            if not body.get("resume"):
                return None
            line = max(heads) + 1
        heads[line] = said
        if body["deployed"]["server"] != disk.count:
            self.model.ledger.add((line, through + 1, body["deployed"]["server"]))
        return line

    def _of(self, line: int) -> list[tuple[int, int, int]]:
        return [entry for entry in self.model.ledger if entry[0] == line] or [(line, 0, 0)]

    def _through(self, line: int, disk: Disk) -> int:
        return max([disk.machine.through, *(n for _, n, _ in self._of(line))])

    async def _late(self, pick: int) -> None:
        """A request of before arrives once more: a repeat, or out of order, and then nothing comes of it."""
        if not self.sent:
            return
        disk, body = self.sent[pick % len(self.sent)]
        repeats = (body["sequence"], body["nonce"]) in self.model.heads.values()
        if body.get("resume") and not repeats:
            return  # it would open one more line, as from a copy of that disk: the service cannot tell
        answer = await self.world.hear(disk.machine, body)
        assert isinstance(answer, Answer if repeats else LineBroken), answer
        if repeats:
            self.model.heard(self.world.clock())

    async def _outage(self, hours: int) -> None:
        before = self.world.clock()
        self.world.clock.advance(hours=hours * 24)
        await self.world.pulse()
        self.model.outages.append((before, self.world.clock()))

    async def _order(self, op: str) -> None:
        """Twice is once. What is revoked stays so, and is asked nothing more."""
        site_id, flags = self.disks[0].machine.site_id, self.model.flags
        if KeyState.REVOKED in flags:
            return
        now, sessions = self.world.clock(), self.world.sessions
        key = await self.world.key_of(self.disks[0].machine)
        acts: dict[str, Callable[[Any], Any]] = {
            "suspend": lambda db: orders.suspend(db, site_id, reason="x", actor="test", now=now),
            "resume": lambda db: orders.resume(db, site_id, actor="test", now=now),
            "revoke": lambda db: orders.revoke(db, site_id, reason="x", actor="test", now=now),
            "release": lambda db: orders.release(db, site_id, actor="test", now=now),
            "rotate": lambda db: orders.rotate(
                db, self.world.desk.vault, site_id, replaces=key.code_masked[-5:], actor="test", now=now
            ),
        }
        for _ in range(2):
            async with sessions.begin() as db:
                await acts[op](db)
        if op == "suspend":
            self.model.note("suspended", KeyState.SUSPENDED, on=True)
        elif op == "resume":
            self.model.note("resumed", KeyState.SUSPENDED, on=False)
        elif op == "revoke":
            self.model.note("revoked", KeyState.REVOKED, on=True)
        elif op == "release":
            self.model.events["released"] = 1
        else:
            self.model.events["rotated"] += 1

    async def check(self) -> None:
        async with self.world.sessions() as db:
            rows = await db.execute(select(UsageEntry.line, UsageEntry.n, UsageEntry.server))
            assert {tuple(row) for row in rows} == self.model.ledger
            key = (await db.scalars(select(keys.Key))).one()
            assert key.state is self.model.state()
            assert Counter(event.event for event in await keys.timeline(db, key)) == self.model.events


_weighted = [op for op, weight in OPS.items() for _ in range(weight)]
_steps = st.lists(st.tuples(st.sampled_from(_weighted), st.integers(0, 1000)), min_size=STEPS, max_size=STEPS)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=_steps)
async def test_whatever_happens_in_whatever_order_the_service_is_as_the_model(
    engine: AsyncEngine, owner: AsyncEngine, desk: Desk, steps: list[tuple[str, int]]
) -> None:
    play = await _begin(engine, owner, desk)
    for op, pick in steps:
        await play.do(op, pick)
        await play.check()


async def _begin(engine: AsyncEngine, owner: AsyncEngine, desk: Desk) -> Play:
    """A world of its own for each example, with one site that has sent its first heartbeat."""
    await wipe(owner)
    clock, sessions = TestClock(), make_sessions(engine)
    async with sessions.begin() as db:
        distributor = await partners.add_distributor(db, name="Distribuzione", zone=ZONE, now=clock())
        msp = await partners.add_msp(db, name="Adriatica IT", distributor_id=distributor.id, now=clock())
    world = World(sessions, desk, clock, distributor, msp)
    await world.pulse()
    machine = await world.activated()
    body = machine.body(clock(), (1, 0, 0))
    answer = await world.hear(machine, body)
    assert isinstance(answer, Answer)
    machine.learn(answer)
    return Play(world, machine, body["nonce"])
