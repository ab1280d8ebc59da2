"""The ledger's partitions: months are made ahead, and old ones are taken out without changing what is still counted.

The first partition has no beginning and the last one no end, so an entry always has its place, also where nobody has
made a partition for years: then the open one is ended behind what it holds, and is wider than a month.

An archived month leaves the last words of each line behind, as the rows that they are: the last entry, the last counts,
the last that set or lost them, the last list of standalones, of what had been received when the next month began; and
whatever came later than that. So every figure of a later month, at any cut-off, is what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.partners import Distributor
from services.usage.calendar import period_containing
from services.usage.tables import LedgerArchive, UsageEntry

AHEAD = timedelta(days=93)
"""How far ahead there are partitions."""
_CARRIED = "usage_entries_carried"
_BEFORE = "usage_entries_before_"
_INTO_THE_MONTH = timedelta(days=1)

_PARTITIONS = """
select name, nullif(from_at, '-infinity') as from_at, nullif(until_at, 'infinity') as until_at
from ledger_partitions order by ledger_partitions.from_at
"""
_MAKE_CARRIED = f"create table {_CARRIED} (like usage_entries including all)"
_CARRY = f"""
insert into {_CARRIED}
select e.*
from lines l
cross join lateral (
    (select e.* from usage_entries e
    where e.site_id = l.site_id and e.installation_id = l.installation_id and e.line = l.line
        and e.at < :before_at and e.received_at <= :before_at
    order by e.at desc, e.n desc limit 1)
    union all
    (select e.* from usage_entries e
    where e.site_id = l.site_id and e.installation_id = l.installation_id and e.line = l.line
        and e.at < :before_at and e.received_at <= :before_at and e.kind in ('change', 'lost')
    order by e.at desc, e.n desc limit 1)
    union all
    (select e.* from usage_entries e
    where e.site_id = l.site_id and e.installation_id = l.installation_id and e.line = l.line
        and e.at < :before_at and e.received_at <= :before_at and e.kind = 'change'
    order by e.at desc, e.n desc limit 1)
    union all
    (select e.* from usage_entries e
    where e.site_id = l.site_id and e.installation_id = l.installation_id and e.line = l.line
        and e.at < :before_at and e.received_at <= :before_at and e.kind = 'standalones'
    order by e.at desc, e.n desc limit 1)
) e
on conflict do nothing
"""
_CARRY_LATE = f"""
insert into {_CARRIED}
select * from usage_entries where at < :before_at and received_at > :before_at
on conflict do nothing
"""


class NotArchivable(ValueError):
    """The ledger has no partition that begins so; or the months before it are archived already."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: half-open; None: without a beginning, without an end."""

    name: str
    from_at: datetime | None
    until_at: datetime | None


async def partitions(db: AsyncSession) -> list[Partition]:
    """Give the ledger's partitions, oldest first."""
    rows = await db.execute(text(_PARTITIONS))
    return [Partition(row.name, row.from_at, row.until_at) for row in rows]


async def next_bound(db: AsyncSession, now: datetime) -> datetime | None:
    """Give where the open partition is to end; None: enough lie ahead.

    Bounds are where the months of most distributors begin. What the open one holds stays in it.
    """
    open_from = (await partitions(db))[-1].from_at
    if open_from is not None and open_from > now + AHEAD:
        return None
    zone = await db.scalar(select(func.mode().within_group(Distributor.zone))) or "UTC"
    latest = await db.scalar(select(func.max(UsageEntry.at)).where(*_since(open_from)))
    return _end(zone, open_from, latest, now)


async def make_partition(db: AsyncSession, from_at: datetime) -> str | None:
    """End the open partition at an instant, and give the name of the one that follows; None if another worker did.

    In a transaction of its own: one that had read the ledger before would wait for the other worker, and that for it.
    """
    made: str | None = await db.scalar(select(func.end_open_partition(from_at)))
    return made


async def whole_from(db: AsyncSession) -> datetime | None:
    """Give the instant from which on the ledger has every entry; None: it has all there ever were."""
    return await db.scalar(select(func.max(LedgerArchive.before_at)))


async def prepare_archive(db: AsyncSession, before: str) -> datetime:
    """Set aside what archiving the months before one (`2026-03`) carries on, and give where that month begins.

    It may take a while and locks nobody out. Raises `NotArchivable`.
    """
    before_at = await _beginning(db, before)
    await db.execute(text(f"drop table if exists {_CARRIED}"))
    await db.execute(text(_MAKE_CARRIED))
    await db.execute(text(_CARRY), {"before_at": before_at})
    return before_at


async def archive(db: AsyncSession, before_at: datetime, now: datetime) -> LedgerArchive:
    """Detach what lies before an instant, once `prepare_archive` has committed, and attach what is carried on.

    Needs the owner of the schema. Who brings changes meanwhile waits; the rest of the service does not.
    """
    await db.execute(text("set local lock_timeout = '5s'"))
    await db.execute(text("lock table usage_entries in access exclusive mode"))
    await db.execute(text(_CARRY_LATE), {"before_at": before_at})
    old = [one for one in await partitions(db) if one.until_at is not None and one.until_at <= before_at]
    counted = select(func.count()).select_from(UsageEntry).where(UsageEntry.at < before_at)
    entries = await db.scalar(counted) or 0
    for one in old:
        await db.execute(text(f"alter table usage_entries detach partition {one.name}"))
        await db.execute(text(f"alter table {one.name} set schema ledger_archive"))
    for statement in _ATTACH:
        await db.execute(text(statement.format(name=_name_before(before_at), before_at=before_at.isoformat())))
    carried = await db.scalar(counted) or 0
    done = LedgerArchive(
        before_at=before_at,
        archived_at=now,
        partitions=[one.name for one in old],
        entries=entries,
        carried=carried,
    )
    db.add(done)
    await db.flush()
    return done


_ATTACH = (
    f"alter table {_CARRIED} rename to {{name}}",
    "alter table {name} enable row level security",
    "alter table usage_entries attach partition {name} for values from (minvalue) to ('{before_at}')",
)


def _name_before(at: datetime) -> str:
    """Name what holds the last words from before a month, as `end_open_partition` names what begins with it."""
    return f"{_BEFORE}{at + _INTO_THE_MONTH:%Y_%m}"


async def _beginning(db: AsyncSession, month: str) -> datetime:
    there = await partitions(db)
    name = f"usage_entries_{month.replace('-', '_')}"
    found = next((one.from_at for one in there if one.name == name), None)
    if found is None:
        known = ", ".join(_months(there)) or "none yet"
        raise NotArchivable(f"the ledger has no partition that begins with {month}; there are: {known}")
    if there[0].name.startswith(_BEFORE) and there[0].until_at == found:
        raise NotArchivable(f"what lies before {month} is archived")
    return found


def _months(there: Sequence[Partition]) -> list[str]:
    return [one.name.removeprefix("usage_entries_").replace("_", "-") for one in there if one.from_at is not None]


def _since(at: datetime | None) -> list[Any]:
    return [] if at is None else [UsageEntry.at >= at]


def _end(zone: str, open_from: datetime | None, latest: datetime | None, now: datetime) -> datetime:
    """Give where the open partition ends: behind what it holds, else with its month, else before this month."""
    if latest is not None:
        return period_containing(zone, latest).ends_at
    if open_from is not None:
        return period_containing(zone, open_from + _INTO_THE_MONTH).ends_at
    return period_containing(zone, now).starts_at
