"""Backups: each installation tells how many of its machines' are ok, warned, failed and overdue; the latest is kept.

A line's row holds what was told last, so that an idle heartbeat that tells the same costs nothing more. What is new
is written here, with the instant since which some are failed or overdue.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from services.sites.heartbeat import Backups

_KEEP = """
insert into backup_summaries as b
    (site_id, installation_id, ok, warning, failed, overdue, told_at, failed_since_at, overdue_since_at)
select w.site_id, w.installation_id, w.ok, w.warning, w.failed, w.overdue, w.told_at,
    case when w.failed > 0 then w.told_at end, case when w.overdue > 0 then w.told_at end
from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[], $7::timestamptz[])
    as w (site_id, installation_id, ok, warning, failed, overdue, told_at)
order by w.site_id, w.installation_id
on conflict (site_id, installation_id) do update
set ok = excluded.ok, warning = excluded.warning, failed = excluded.failed, overdue = excluded.overdue,
    told_at = excluded.told_at,
    failed_since_at = case when excluded.failed > 0 then coalesce(b.failed_since_at, excluded.told_at) end,
    overdue_since_at = case when excluded.overdue > 0 then coalesce(b.overdue_since_at, excluded.told_at) end
"""


class Told(NamedTuple):
    """A summary that differs from the one before."""

    site_id: UUID
    installation_id: UUID
    backups: Backups
    at: datetime


async def keep(connection: AsyncConnection, told: Sequence[Told]) -> None:
    """Keep what is new, in one statement."""
    rows = [(one.site_id, one.installation_id, *one.backups, one.at) for one in told]
    if rows:
        await connection.exec_driver_sql(_KEEP, tuple(map(list, zip(*rows, strict=True))))
