"""Months of Rome as instants, and closing one."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.world import World

MARCH = datetime(2026, 2, 28, 23, tzinfo=UTC)
APRIL = datetime(2026, 3, 31, 22, tzinfo=UTC)
MAY = datetime(2026, 4, 30, 22, tzinfo=UTC)
JUNE = datetime(2026, 5, 31, 22, tzinfo=UTC)
GRACE = timedelta(hours=6)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Document = dict[str, Any]


async def close_month(world: World, end: datetime) -> list[Document]:
    """Close what is due when the grace after a month's end is over; give the reports of that month, by number."""
    world.clock.now = max(world.clock.now, end + GRACE)
    await world.close()
    wanted = end.isoformat().replace("+00:00", "Z")
    documents = [json.loads(report.document or b"null") for report in await world.reports()]
    return [one for one in documents if one is not None and one["period"]["ends_at"] == wanted]


async def close_one(world: World, end: datetime) -> Document:
    """Close a month in which there is one report."""
    [document] = await close_month(world, end)
    return document


async def close_line(world: World, end: datetime) -> Document:
    """Close a month in which there is one report of one line, and give the line."""
    [line] = (await close_one(world, end))["lines"]
    assert isinstance(line, dict)
    return line
