"""The figures of a period: peaks and coverage of every site of some MSPs, computed in the database in one statement.

How it is made, step by step:

- `spans`: the part of the period in which each site was the MSP's (tenure), and the MSP the distributor's if one is
  named: an MSP that comes from another zone's distributor comes within the month.
- `uncounted`: what is evidence and no more: a Site Manager after another one activated, a seat that has ended.
- `seen`: each line of those sites, with how far it was known at the cut-off: what a stretch of silence over the
  cut-off left known, else what is known now.
- `heads`: each line of those sites, with the parts of the span for which it is known: from where the line begins to
  where usage is known, without what is uncounted. A part that was cut off there (`ended`) does not hold its last
  instant. What counts again exactly at the span's end is no part of it. (The end of a range is kept from lying before
  its start, for the planner may make it before it leaves rows out.)
- `steps`: the counts at that part's first instant (carried in from the last entry before, or inherited from the line
  that this one was resumed from) and every entry within it. A `lost` entry is a step to unknown.
  The period's own bounds are said again there as constants: by them the planner leaves other months' partitions out.
- `pieces`: steps with their ends. At one instant the highest `n` holds, so a step that lasts no time is dropped,
  unless it is the last one known.
- `listings`: which standalones the Site Manager lists, from when on; only for sites that have any.
- `vals`: at the start of each piece, what each line of a site with several says.
- `installations`: the highest line of each.
- `functions`: installations of a key together; where there is one line alone, its pieces are the function. A standalone
  that the Site Manager lists is in its count already, as long as its function is known. The peak is found on this,
  never by adding peaks.
- `highest`, `reached`: the maximum, and the first instant at which it was reached.
- `known`: the union of the known pieces, from which coverage and gaps follow; of the standalones' only until a Site
  Manager is there. Unknown counts nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

TYPES = ("server", "workstation", "server_plus")

FIGURES = """
with spans as (
    select t.site_id, t.msp_id, greatest(t.from_at, m.from_at, :starts_at) as from_at,
        least(t.until_at, m.until_at, :ends_at) as until_at
    from site_tenures t
    left join msp_tenures m on m.msp_id = t.msp_id and m.distributor_id = :under_id
        and m.from_at < :ends_at and coalesce(m.until_at, 'infinity') > :starts_at
    where t.msp_id = any(:msp_ids) and t.from_at < :ends_at and coalesce(t.until_at, 'infinity') > :starts_at
        and (cast(:under_id as uuid) is null or m.msp_id is not null)
        and greatest(t.from_at, m.from_at) < least(t.until_at, m.until_at, 'infinity')
        and (cast(:site_ids as uuid[]) is null or t.site_id = any(:site_ids))
), uncounted as (
    select site_id, installation_id, range_agg(tstzrange(from_at, coalesce(until_at, 'infinity'))) as stretches
    from uncounted_stretches
    group by site_id, installation_id
), seen as (
    select l.site_id, l.installation_id, l.line, l.product, l.base_seen, l.base_server, l.base_workstation,
        l.base_server_plus, l.begins_at,
        case when g.site_id is null then l.known_until_at else g.known_until_at end as known_until_at
    from spans s
    join lines l using (site_id)
    left join contact_gaps g on g.site_id = l.site_id and g.installation_id = l.installation_id and g.line = l.line
        and g.from_at <= :cut_off_at and g.until_at > :cut_off_at
), heads as (
    select s.site_id, s.until_at, l.installation_id, l.line, l.product = 'site_manager' as manages, l.base_seen,
        l.base_server, l.base_workstation, l.base_server_plus,
        lower(part) as known_from_at, upper(part) as known_until_at, not upper_inc(part) as ended,
        min(lower(part)) filter (where l.product = 'site_manager') over (partition by s.site_id) as managed_from_at
    from spans s
    join seen l using (site_id)
    left join uncounted u using (site_id, installation_id)
    cross join lateral unnest(
        tstzmultirange(tstzrange(greatest(l.begins_at, s.from_at),
            greatest(l.begins_at, s.from_at, least(l.known_until_at, s.until_at)), '[]')) - coalesce(u.stretches, '{}')
    ) as part
    where lower(part) < s.until_at and l.known_until_at >= greatest(l.begins_at, s.from_at)
), steps as (
    select h.site_id, h.installation_id, h.line, h.manages, h.managed_from_at, h.known_from_at, h.known_from_at as at,
        0 as n, h.known_until_at, h.ended,
        case when e.kind is null then h.base_server else e.server end as server,
        case when e.kind is null then h.base_workstation else e.workstation end as workstation,
        case when e.kind is null then h.base_server_plus else e.server_plus end as server_plus,
        e.active_server, e.active_workstation, e.active_server_plus
    from heads h
    left join lateral (
        select e.* from usage_entries e
        where e.site_id = h.site_id and e.installation_id = h.installation_id and e.line = h.line
            and e.at <= h.known_from_at and e.received_at <= :cut_off_at and e.kind in ('change', 'lost')
        order by e.at desc, e.n desc
        limit 1
    ) e on true
    union all
    select h.site_id, h.installation_id, h.line, h.manages, h.managed_from_at, h.known_from_at, e.at, e.n,
        h.known_until_at, h.ended, e.server, e.workstation, e.server_plus,
        e.active_server, e.active_workstation, e.active_server_plus
    from heads h
    join usage_entries e using (site_id, installation_id, line)
    where e.at > :starts_at and e.at < :ends_at and e.at > h.known_from_at and e.at < h.until_at
        and (e.at < h.known_until_at or (e.at = h.known_until_at and not h.ended))
        and e.received_at <= :cut_off_at and e.kind in ('change', 'lost')
), pieces as (
    select p.*, coalesce(p.next_at, p.known_until_at) as ends_at
    from (select s.*, lead(s.at) over (
            partition by s.site_id, s.installation_id, s.line, s.known_from_at order by s.at, s.n) as next_at
        from steps s) p
    where (p.next_at is null or p.next_at > p.at) and p.server is not null
), several as (
    select site_id, bool_or(not manages) as seated from heads group by site_id having count(*) > 1
), listings as (
    select l.*, lead(l.at) over (
        partition by l.site_id, l.installation_id, l.line, l.known_from_at order by l.at, l.n) as next_at
    from (
        select h.site_id, h.installation_id, h.line, h.known_from_at, h.known_from_at as at, 0 as n, h.known_until_at,
            h.ended, coalesce(e.seen, h.base_seen) as seen
        from heads h
        join several s on s.site_id = h.site_id and s.seated
        left join lateral (
            select array(select jsonb_array_elements_text(convert_from(e.entry, 'UTF8')::jsonb -> 'seen')::uuid) as seen
            from usage_entries e
            where e.site_id = h.site_id and e.installation_id = h.installation_id and e.line = h.line
                and e.at <= h.known_from_at and e.received_at <= :cut_off_at and e.kind = 'standalones'
            order by e.at desc, e.n desc
            limit 1
        ) e on true
        where h.manages
        union all
        select h.site_id, h.installation_id, h.line, h.known_from_at, e.at, e.n, h.known_until_at, h.ended,
            array(select jsonb_array_elements_text(convert_from(e.entry, 'UTF8')::jsonb -> 'seen')::uuid)
        from heads h
        join several s on s.site_id = h.site_id and s.seated
        join usage_entries e on e.site_id = h.site_id and e.installation_id = h.installation_id and e.line = h.line
        where h.manages and e.at > h.known_from_at and e.at < h.until_at and e.at <= h.known_until_at
            and e.at > :starts_at and e.at < :ends_at and e.received_at <= :cut_off_at and e.kind = 'standalones'
    ) l
), instants as (
    select p.site_id, p.at from several join pieces p using (site_id)
    union
    select site_id, at from listings
), vals as (
    select q.site_id, q.installation_id, q.manages, i.at, q.server, q.workstation, q.server_plus, q.active_server,
        q.active_workstation, q.active_server_plus
    from instants i
    join pieces q on q.site_id = i.site_id and q.at <= i.at
        and (i.at < q.ends_at or (q.next_at is null and i.at = q.ends_at and not q.ended))
), installations as (
    select site_id, installation_id, manages, at, max(server) as server, max(workstation) as workstation,
        max(server_plus) as server_plus, max(active_server) as active_server,
        max(active_workstation) as active_workstation, max(active_server_plus) as active_server_plus
    from vals group by site_id, installation_id, manages, at
), listed as (
    select i.*, not i.manages and bool_or(i.manages) over (partition by i.site_id, i.at) and exists (
        select from listings l
        where l.site_id = i.site_id and l.at <= i.at and (i.at < l.next_at or (l.next_at is null and
            (i.at < l.known_until_at or (i.at = l.known_until_at and not l.ended))))
            and i.installation_id = any(l.seen)) as listed
    from installations i
), functions as (
    select site_id, at, server, workstation, server_plus, server + workstation + server_plus as total, active_server,
        active_workstation, active_server_plus
    from (
        select p.site_id, p.at, p.server, p.workstation, p.server_plus, p.active_server, p.active_workstation,
            p.active_server_plus
        from pieces p
        where not exists (select from several s where s.site_id = p.site_id)
        union all
        select site_id, at, sum(server) as server, sum(workstation) as workstation,
            greatest(coalesce(sum(server_plus) filter (where manages), 0),
                coalesce(sum(server_plus) filter (where listed), 0))
                + coalesce(sum(server_plus) filter (where not manages and not listed), 0) as server_plus,
            sum(active_server) as active_server, sum(active_workstation) as active_workstation,
            sum(active_server_plus) as active_server_plus
        from listed
        group by site_id, at
    ) summed
), highest as (
    select site_id, max(server) as server, max(workstation) as workstation, max(server_plus) as server_plus,
        max(total) as total
    from functions group by site_id
), reached as (
    select f.site_id,
        min(f.at) filter (where f.server = h.server) as server_at,
        min(f.at) filter (where f.workstation = h.workstation) as workstation_at,
        min(f.at) filter (where f.server_plus = h.server_plus) as server_plus_at,
        min(f.at) filter (where f.total = h.total) as total_at
    from functions f join highest h using (site_id)
    group by f.site_id
), active as (
    select f.site_id,
        max(f.active_server) filter (where f.at = r.server_at) as server_active,
        max(f.active_workstation) filter (where f.at = r.workstation_at) as workstation_active,
        max(f.active_server_plus) filter (where f.at = r.server_plus_at) as server_plus_active
    from functions f
    join reached r on r.site_id = f.site_id and f.at in (r.server_at, r.workstation_at, r.server_plus_at)
    group by f.site_id
), known as (
    select site_id, range_agg(tstzrange(at, ends_at)) as ranges
    from (select site_id, at, case when manages then ends_at else least(ends_at, managed_from_at) end as ends_at
        from pieces) p
    where ends_at > at
    group by site_id
)
select s.site_id, s.msp_id, s.from_at, s.until_at,
    h.server::int as server, r.server_at, a.server_active::int as server_active,
    h.workstation::int as workstation, r.workstation_at, a.workstation_active::int as workstation_active,
    h.server_plus::int as server_plus, r.server_plus_at, a.server_plus_active::int as server_plus_active,
    h.total::int as total, r.total_at,
    coalesce(k.ranges, '{}'::tstzmultirange) as known
from spans s
left join highest h using (site_id)
left join reached r using (site_id)
left join active a using (site_id)
left join known k using (site_id)
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Which figures are wanted: `[starts_at, ends_at)`, from what had been received by `cut_off_at`.

    With `under_id` only while the MSP was under that distributor.
    """

    starts_at: datetime
    ends_at: datetime
    cut_off_at: datetime
    under_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """Peaks of one site in a period: type -> (peak, first instant of it); empty where nothing is known."""

    site_id: UUID
    peaks: dict[str, tuple[int, datetime]]


def figure_parameters(msp_ids: Sequence[UUID], span: Span, site_ids: Sequence[UUID] | None = None) -> dict[str, Any]:
    """Give the parameters of `FIGURES`: for all sites of some MSPs, or for some of these."""
    return {
        "msp_ids": list(msp_ids),
        "site_ids": None if site_ids is None else list(site_ids),
        "starts_at": span.starts_at,
        "ends_at": span.ends_at,
        "cut_off_at": span.cut_off_at,
        "under_id": span.under_id,
    }


async def figures_of(
    db: AsyncSession, msp_ids: Sequence[UUID], span: Span, site_ids: Sequence[UUID] | None = None
) -> list[SiteFigures]:
    """Give the figures of all sites of some MSPs, or of some of these, by site."""
    rows = await db.execute(text(FIGURES), figure_parameters(msp_ids, span, site_ids))
    return sorted((_figures(row) for row in rows), key=lambda one: one.site_id)


def _figures(row: Any) -> SiteFigures:
    names = [name for name in (*TYPES, "total") if getattr(row, name) is not None]
    return SiteFigures(row.site_id, {name: (getattr(row, name), getattr(row, f"{name}_at")) for name in names})
