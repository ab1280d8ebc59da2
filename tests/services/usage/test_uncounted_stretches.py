"""Stretches that do not count: stopped, counted again and stopped again, in whatever order it comes to be known."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.usage import count_again, stop_counting
from services.usage.tables import UncountedStretch
from tests.support.clock import START

SITE, INSTALLATION = UUID(int=1), UUID(int=2)
HOUR = timedelta(hours=1)


async def stretches(db: AsyncSession) -> list[tuple[object, object]]:
    rows = await db.execute(select(UncountedStretch.from_at, UncountedStretch.until_at).order_by("from_at"))
    return [(row[0], row[1]) for row in rows]


async def test_one_that_begins_where_an_ended_one_began_takes_it_in(db: AsyncSession) -> None:
    await stop_counting(db, SITE, INSTALLATION, START, "released")
    await count_again(db, SITE, INSTALLATION, START + HOUR)
    await stop_counting(db, SITE, INSTALLATION, START + 3 * HOUR, "revoked")
    assert await stretches(db) == [(START, START + HOUR), (START + 3 * HOUR, None)]
    await stop_counting(db, SITE, INSTALLATION, START, "revoked")
    assert await stretches(db) == [(START, None)]


async def test_one_that_ended_before_stays_as_it_is(db: AsyncSession) -> None:
    await stop_counting(db, SITE, INSTALLATION, START, "released")
    await count_again(db, SITE, INSTALLATION, START + HOUR)
    await stop_counting(db, SITE, INSTALLATION, START + 3 * HOUR, "revoked")
    await stop_counting(db, SITE, INSTALLATION, START + 2 * HOUR, "revoked")
    assert await stretches(db) == [(START, START + HOUR), (START + 2 * HOUR, None)]
