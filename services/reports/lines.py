"""The lines of a report: each site's figures with what the key's register and timeline say of it.

The same statement serves the close, which stores its rows, and the provisional report, which only reads them.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.usage import FIGURES, Span, figure_parameters

# What a key is called, and its code, are those of the span's end: what it is called since is kept in its own row.
# A flag that nobody took down is of the months in which what it tells of was seen, a clone of those in which two of an
# installation's lines were heard.
# A key that was never activated is never charged and has no line. One that was revoked before has none either, once
# nothing of it is known nor can count any more.
_LINES = f"""
select f.site_id, cast(:distributor_id as uuid) as distributor_id, cast(:starts_at as timestamptz) as starts_at,
    f.msp_id, k.id as key_id,
    case when was.key_id is null then k.name else was.name end as name,
    case when was.key_id is null then k.reference else was.reference end as reference,
    coalesce(was.code_masked, k.code_masked) as key_masked, coalesce(ending.to_state, 'active') as state,
    k.activated_at,
    f.server, f.server_at, f.server_active, f.workstation, f.workstation_at, f.workstation_active,
    f.server_plus, f.server_plus_at, f.server_plus_active, f.total, f.total_at,
    coalesce((select sum(extract(epoch from upper(r) - lower(r))) from unnest(f.known) r), 0)::float8
        as covered_seconds,
    extract(epoch from f.until_at - greatest(f.from_at, k.activated_at))::float8 as span_seconds,
    coalesce((select jsonb_agg(jsonb_build_array(lower(r), upper(r)) order by lower(r))
        from unnest(tstzmultirange(tstzrange(greatest(f.from_at, k.activated_at), f.until_at)) - f.known) r),
        '[]'::jsonb) as gaps,
    array_remove(array[
        case when k.activated_at >= f.from_at and k.activated_at > :starts_at then 'new' end,
        case when f.server is null then 'no_data' end,
        case when seen.disabled or starting.to_state = 'disabled' then 'disabled' end,
        case when seen.suspended or starting.to_state = 'suspended' then 'suspended' end,
        case when exists (select from usage_entries e where e.site_id = f.site_id and e.clock_suspect
            and e.at >= f.from_at and e.at < f.until_at and e.at >= :starts_at and e.at < :ends_at
            and e.received_at <= :cut_off_at) then 'clock_suspect' end,
        case when exists (select from site_tenures t where t.site_id = f.site_id and t.msp_id <> f.msp_id
            and (t.from_at = f.until_at or t.until_at = f.from_at)) then 'moved' end,
        case when raised.clone_suspected then 'clone_suspected' end,
        case when raised.implausible then 'implausible' end
    ], null)::varchar[] as flags
from ({FIGURES}) f
join keys k using (site_id)
left join lateral (select l.key_id, l.name, l.reference, l.code_masked from key_labels l
    where l.site_id = k.site_id and l.key_id = k.id and l.until_at >= f.until_at
    order by l.until_at, l.id limit 1) was on true
left join lateral (select e.to_state from key_events e
    where e.site_id = k.site_id and e.key_id = k.id and e.at < f.until_at and e.recorded_at <= :cut_off_at
        and e.to_state <> 'issued'
    order by e.at desc, e.id desc limit 1) ending on true
left join lateral (select e.to_state from key_events e
    where e.site_id = k.site_id and e.key_id = k.id and e.at < f.from_at and e.recorded_at <= :cut_off_at
    order by e.at desc, e.id desc limit 1) starting on true
left join lateral (select bool_or(e.to_state = 'disabled') as disabled, bool_or(e.to_state = 'suspended') as suspended
    from key_events e where e.site_id = k.site_id and e.key_id = k.id and e.at >= f.from_at and e.at < f.until_at
        and e.recorded_at <= :cut_off_at) seen on true
left join lateral (select bool_or(g.flag = 'clone_suspected') as clone_suspected,
        bool_or(g.flag = 'implausible') as implausible
    from site_flags g where g.site_id = f.site_id and g.from_at < f.until_at and g.from_at <= :cut_off_at
        and coalesce(g.until_at, 'infinity') > f.from_at
        and (g.from_at >= f.from_at or g.seen && tstzrange(f.from_at, f.until_at)
            or (g.flag = 'clone_suspected' and exists (
            select from lines l
            left join contact_gaps c on c.site_id = l.site_id and c.installation_id = l.installation_id
                and c.line = l.line and c.from_at <= :cut_off_at and c.until_at > :cut_off_at
            where l.site_id = f.site_id and l.begins_at < f.until_at
                and case when c.site_id is null then l.known_until_at else c.known_until_at end > f.from_at
            group by l.installation_id having count(*) > 1)))) raised on true
where k.activated_at < f.until_at
    and (f.server is not null or starting.to_state is distinct from 'revoked' or exists (
        select from lines l where l.site_id = f.site_id and not exists (
            select from uncounted_stretches u
            where u.site_id = l.site_id and u.installation_id = l.installation_id and u.from_at <= f.from_at
                and coalesce(u.until_at, 'infinity') >= f.until_at)))
"""


async def take_lines(db: AsyncSession, distributor_id: UUID, msp_ids: Sequence[UUID], span: Span) -> None:
    """Store the lines of all MSPs of a distributor for a period, in one statement and so from one snapshot."""
    columns = (
        "site_id, distributor_id, starts_at, msp_id, key_id, name, reference, key_masked, state, activated_at, "
        "server, server_at, server_active, workstation, workstation_at, workstation_active, "
        "server_plus, server_plus_at, server_plus_active, total, total_at, covered_seconds, span_seconds, gaps, flags"
    )
    statement = text(f"insert into report_lines ({columns}) {_LINES}")
    await db.execute(statement, {"distributor_id": distributor_id, **figure_parameters(msp_ids, span)})


async def read_lines(
    db: AsyncSession, distributor_id: UUID, msp_id: UUID, span: Span, site_ids: Sequence[UUID] | None = None
) -> list[Any]:
    """Give the lines of one MSP, or of some of its sites, as if the period closed now, by site name."""
    values = {"distributor_id": distributor_id, **figure_parameters([msp_id], span, site_ids)}
    return list(await db.execute(text(f"{_LINES} order by name, site_id"), values))
