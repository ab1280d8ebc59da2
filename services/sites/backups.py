"""Backups: each installation tells how many of its machines' are ok, warned, failed and overdue; the latest is kept.

A line's row holds what was told last, so that an idle heartbeat that tells the same costs nothing more. What is new
is written here, with the instant since which some are failed or overdue.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services import partners
from services.keys import Key
from services.partners import Principal
from services.sites.administration_tables import BackupSummary
from services.sites.heartbeat import Backups
from services.sites.tables import Installation

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


# Not as a sum: row-level security lets a plain comparison, which cannot tell anything, be made before it looks itself.
TROUBLED = or_(BackupSummary.failed > 0, BackupSummary.overdue > 0, BackupSummary.warning > 0)


class Told(NamedTuple):
    """A summary that differs from the one before."""

    site_id: UUID
    installation_id: UUID
    backups: Backups
    at: datetime


class Place(NamedTuple):
    """A place in the list of the worst: by what is the matter, since when, and the site."""

    worst: int
    since_at: datetime
    site_id: UUID


@dataclass(frozen=True, slots=True)
class Trouble:
    """A site some of whose backups want looking at, all its installations together."""

    place: Place
    key_id: UUID
    name: str
    reference: str | None
    backups: Backups
    told_at: datetime
    failed_since_at: datetime | None
    overdue_since_at: datetime | None


async def keep(connection: AsyncConnection, told: Sequence[Told]) -> None:
    """Keep what is new, in one statement."""
    rows = [(one.site_id, one.installation_id, *one.backups, one.at) for one in told]
    if rows:
        await connection.exec_driver_sql(_KEEP, tuple(map(list, zip(*rows, strict=True))))


async def troubles_of(db: AsyncSession, principal: Principal, *, after: Place | None, limit: int) -> list[Trouble]:
    """Give a page of the sites with failed, overdue or warned backups: failed first, then overdue, longest first."""
    ok, warning, failed, overdue = (
        func.sum(column)
        for column in (BackupSummary.ok, BackupSummary.warning, BackupSummary.failed, BackupSummary.overdue)
    )
    failed_since_at, overdue_since_at = (
        func.min(BackupSummary.failed_since_at),
        func.min(BackupSummary.overdue_since_at),
    )
    told_at = func.max(BackupSummary.told_at)
    worst = case((failed > 0, 0), (overdue > 0, 1), else_=2)
    since_at = case((failed > 0, failed_since_at), (overdue > 0, overdue_since_at), else_=told_at)
    place = tuple_(worst, since_at, BackupSummary.site_id)
    query = (
        select(worst, since_at, BackupSummary.site_id, Key.id, Key.name, Key.reference)
        .add_columns(ok, warning, failed, overdue, told_at, failed_since_at, overdue_since_at)
        .join(Key, Key.site_id == BackupSummary.site_id)
        .join(Installation, _entitled())
        .where(TROUBLED, partners.visible_to(principal, BackupSummary.site_id))
        .group_by(BackupSummary.site_id, Key.site_id, Key.id)
        .order_by(worst, since_at, BackupSummary.site_id)
        .limit(limit)
    )
    rows = await db.execute(query if after is None else query.having(place > tuple_(*after)))
    return [_trouble(row) for row in rows.all()]


async def backups_of(db: AsyncSession, principal: Principal, site_id: UUID) -> Sequence[BackupSummary]:
    """Give what each installation of a site told last of its backups."""
    query = select(BackupSummary).join(Installation, _entitled()).where(BackupSummary.site_id == site_id)
    seen = partners.visible_to(principal, BackupSummary.site_id)
    return (await db.scalars(query.where(seen).order_by(BackupSummary.installation_id))).all()


def _entitled() -> ColumnElement[bool]:
    return and_(
        Installation.site_id == BackupSummary.site_id,
        Installation.installation_id == BackupSummary.installation_id,
        Installation.ended_at.is_(None),
    )


def _trouble(row: Any) -> Trouble:
    worst, since_at, site_id, key_id, name, reference, *four, told_at, failed_since_at, overdue_since_at = row
    place = Place(worst, since_at, site_id)
    backups = Backups(*map(int, four))
    return Trouble(place, key_id, name, reference, backups, told_at, failed_since_at, overdue_since_at)
