"""A database that is clean for each test.

Measured: deleting every row takes 1 ms, truncating the tables 120 ms (a new file each, and fsync is on).
"""

from sqlalchemy.ext.asyncio import AsyncEngine

import services.reports.billing_tables
import services.reports.tables
import services.sites.tables  # noqa: F401 - every table has joined the metadata
from services.db import Row

_DELETE_ALL = "; ".join(f"delete from {table.name}" for table in reversed(Row.metadata.sorted_tables))


async def wipe(engine: AsyncEngine) -> None:
    """Delete every row."""
    async with engine.begin() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        await driver.execute(_DELETE_ALL)
