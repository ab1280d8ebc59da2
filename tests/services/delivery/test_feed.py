"""The feed of events: who reads on after the last one misses none, however late one is committed or how it is dated."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services import delivery, ids
from services.errors import Invalid
from tests.support.world import World

DAY = timedelta(days=1)


async def emit(world: World, kind: Any, at: datetime, partner_id: UUID | None = None) -> None:
    async with world.sessions.begin() as db:
        delivery.emit(db, partner_id=partner_id or world.msp.id, kind=kind, subject={}, now=at)


async def read(world: World, after: UUID | None = None, limit: int = 50) -> list[tuple[str, UUID]]:
    async with world.sessions.begin() as db:
        rows = await delivery.events_of(db, world.msp.id, after=after, limit=limit)
        return [(row.kind, row.id) for row in rows]


async def test_an_event_that_is_dated_before_the_last_one_read_is_read_next(world: World) -> None:
    now = world.clock()
    await emit(world, "key.issued", now)
    [(_, last)] = await read(world)
    await emit(world, "report.issued", now - 9 * DAY)
    await emit(world, "key.revoked", now + DAY)
    assert [kind for kind, _ in await read(world, last)] == ["report.issued", "key.revoked"]
    assert [kind for kind, _ in await read(world)] == ["key.issued", "report.issued", "key.revoked"]


async def test_an_event_that_is_committed_after_a_later_one_was_read_is_read_next(world: World) -> None:
    async with world.sessions.begin() as slow:
        delivery.emit(slow, partner_id=world.msp.id, kind="report.held", subject={}, now=world.clock())
        await slow.flush()
        await emit(world, "report.issued", world.clock() + DAY)
        [(kind, last)] = await read(world)
        assert kind == "report.issued"
    assert [kind for kind, _ in await read(world, last)] == ["report.held"]


async def test_readers_and_writers_at_once_leave_no_reader_behind(world: World) -> None:
    """Five readers follow page by page while fifteen events come at once, dated backwards."""
    followed: list[list[UUID]] = [[] for _ in range(5)]

    async def follow(seen: list[UUID], limit: int = 4) -> None:
        seen += [event_id for _, event_id in await read(world, seen[-1] if seen else None, limit)]

    for number in range(5):
        new = (emit(world, "x", world.clock() - (3 * number + more) * DAY) for more in range(3))
        await asyncio.gather(*map(follow, followed), *new)
    for seen in followed:
        await follow(seen, limit=50)
    assert all(seen == followed[0] and len(set(seen)) == 15 for seen in followed)


async def test_a_partner_s_feed_holds_its_own_events_and_no_other_s_can_be_followed(world: World) -> None:
    await emit(world, "theirs", world.clock(), world.distributor.id)
    await emit(world, "ours", world.clock())
    assert [kind for kind, _ in await read(world)] == ["ours"]
    async with world.sessions.begin() as db:
        [theirs] = await delivery.events_of(db, world.distributor.id, after=None, limit=9)
    for after in (theirs.id, uuid4(), ids.new_id(world.clock())):
        with pytest.raises(Invalid):
            await read(world, after)
