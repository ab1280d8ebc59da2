"""The raw ledger of an MSP's sites in a period, read once and site by site, for `recount`."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.usage.figures import Span
from services.usage.recount import Listing, Said, Three, ToldLine

_LINES = """
select t.site_id, greatest(t.from_at, m.from_at, :starts_at) as from_at,
    least(t.until_at, m.until_at, :ends_at) as until_at,
    (t.from_at > :starts_at and exists (select from keys k where k.site_id = t.site_id and k.created_at < t.from_at))
        or (m.from_at > :starts_at and m.from_at >= t.from_at
            and exists (select from msps p where p.id = t.msp_id and p.created_at < m.from_at)) as came,
    l.installation_id, l.line, l.begins_at, l.base_server, l.base_workstation, l.base_server_plus, l.parent,
    l.parent_through, l.known_until_at, g.site_id is not null as in_gap, g.known_until_at as known_in_gap,
    l.product = 'site_manager' as manages, l.base_seen,
    (select array_agg(u.from_at order by u.from_at) from uncounted_stretches u
        where u.site_id = l.site_id and u.installation_id = l.installation_id) as off_at,
    (select array_agg(coalesce(u.until_at, :ends_at) order by u.from_at) from uncounted_stretches u
        where u.site_id = l.site_id and u.installation_id = l.installation_id) as on_at
from site_tenures t
left join msp_tenures m on m.msp_id = t.msp_id and m.distributor_id = :under_id
    and m.from_at < :ends_at and coalesce(m.until_at, 'infinity') > :starts_at
left join lines l on l.site_id = t.site_id
left join contact_gaps g on g.site_id = l.site_id and g.installation_id = l.installation_id and g.line = l.line
    and g.from_at <= :cut_off_at and g.until_at > :cut_off_at
where t.msp_id = :msp_id and t.from_at < :ends_at and (t.until_at is null or t.until_at > :starts_at)
    and (cast(:under_id as uuid) is null or m.msp_id is not null)
    and greatest(t.from_at, m.from_at) < least(t.until_at, m.until_at, 'infinity')
    and (cast(:site_ids as uuid[]) is null or t.site_id = any(:site_ids))
order by t.site_id, l.installation_id, l.line
"""

# Of what was said before the period only the last word of each line matters, and the last that was a count.
_ENTRIES = """
select e.site_id, e.installation_id, e.line, e.n, e.at, e.server, e.workstation, e.server_plus,
    e.active_server, e.active_workstation, e.active_server_plus
from usage_entries e
where e.site_id = any(:site_ids) and e.at > :starts_at and e.at < :ends_at and e.received_at <= :cut_off_at
    and e.kind <> 'standalones'
union all
select e.*
from lines l
cross join lateral (
    (select e.site_id, e.installation_id, e.line, e.n, e.at, e.server, e.workstation, e.server_plus,
        e.active_server, e.active_workstation, e.active_server_plus
    from usage_entries e
    where e.site_id = l.site_id and e.installation_id = l.installation_id and e.line = l.line
        and e.at <= :starts_at and e.received_at <= :cut_off_at and e.kind = 'change'
    order by e.at desc, e.n desc limit 1)
    union
    (select e.site_id, e.installation_id, e.line, e.n, e.at, e.server, e.workstation, e.server_plus,
        e.active_server, e.active_workstation, e.active_server_plus
    from usage_entries e
    where e.site_id = l.site_id and e.installation_id = l.installation_id and e.line = l.line
        and e.at <= :starts_at and e.received_at <= :cut_off_at and e.kind <> 'standalones'
    order by e.at desc, e.n desc limit 1)
) e
where l.site_id = any(:site_ids)
order by site_id, installation_id, line, at, n
"""

_LISTINGS = """
select e.site_id, e.installation_id, e.line, e.at,
    array(select jsonb_array_elements_text(convert_from(e.entry, 'UTF8')::jsonb -> 'seen')::uuid) as seen
from usage_entries e
where e.site_id = any(:site_ids) and e.at < :ends_at and e.received_at <= :cut_off_at and e.kind = 'standalones'
order by e.site_id, e.installation_id, e.line, e.at, e.n
"""

_AT_ONCE = 1000


@dataclass(slots=True)
class RawSite:
    """A site's lines and the part of the period in which it was the MSP's; `came`: from another within the period."""

    site_id: UUID
    from_at: datetime
    until_at: datetime
    came: bool = False
    lines: list[ToldLine] = field(default_factory=list)


async def raw_sites(
    db: AsyncSession, msp_id: UUID, span: Span, site_ids: Sequence[UUID] | None = None
) -> AsyncIterator[RawSite]:
    """Give the sites of an MSP in a period one after another, as the ledger was at the cut-off; or some of them."""
    values = {"starts_at": span.starts_at, "ends_at": span.ends_at, "cut_off_at": span.cut_off_at}
    wanted = None if site_ids is None else list(site_ids)
    sites = _sites(
        await db.execute(text(_LINES), {**values, "msp_id": msp_id, "site_ids": wanted, "under_id": span.under_id})
    )
    told = {(site.site_id, line.installation_id, line.line): line for site in sites.values() for line in site.lines}
    seated = [site.site_id for site in sites.values() if not all(line.manages for line in site.lines)]
    if seated:
        for row in await db.execute(
            text(_LISTINGS), {"ends_at": span.ends_at, "cut_off_at": span.cut_off_at, "site_ids": seated}
        ):
            told[row.site_id, row.installation_id, row.line].listings.append(Listing(row.at, frozenset(row.seen)))
    waiting = iter(sites.values())
    site = next(waiting, None)
    entries = await db.stream(text(_ENTRIES), {**values, "site_ids": list(sites)})
    async for rows in entries.partitions(_AT_ONCE):  # row by row each would cost a change of greenlets
        for site_id, installation_id, number, *said in rows:
            while site is not None and site.site_id != site_id:
                yield site
                site = next(waiting, None)
            line = told.get((site_id, installation_id, number))
            if line is not None:
                line.entries.append(_said(*said))
    while site is not None:
        yield site
        site = next(waiting, None)


def _sites(rows: Any) -> dict[UUID, RawSite]:
    sites: dict[UUID, RawSite] = {}
    for row in rows:
        site = sites.setdefault(row.site_id, RawSite(row.site_id, row.from_at, row.until_at, bool(row.came)))
        if row.installation_id is not None:
            site.lines.append(_line(row))
    return sites


def _line(row: Any) -> ToldLine:
    return ToldLine(
        installation_id=row.installation_id,
        line=row.line,
        begins_at=row.begins_at,
        known_until_at=row.known_in_gap if row.in_gap else row.known_until_at,
        base=_three(row.base_server, row.base_workstation, row.base_server_plus),
        parent=row.parent,
        parent_through=row.parent_through,
        manages=row.manages,
        uncounted=list(zip(row.off_at or (), row.on_at or (), strict=True)),
        listings=[Listing(row.begins_at, frozenset(row.base_seen))] if row.base_seen is not None else [],
    )


def _said(n: int, at: datetime, *counts: int | None) -> Said:
    """Read an entry from its columns: the counts, and the active ones."""
    return Said(n, at, _three(*counts[:3]), _three(*counts[3:]))


def _three(server: int | None, workstation: int | None, server_plus: int | None) -> Three | None:
    return None if server is None or workstation is None or server_plus is None else (server, workstation, server_plus)
