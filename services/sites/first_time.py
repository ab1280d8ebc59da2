"""The usual activation: a Site Manager with a key that nobody has used, and nothing stands against it. One statement.

It looks and binds in one, under the locks that every activation takes, and writes what `services.sites.binding` would
(a test holds the two equal). Whatever is unusual (a key that was used, suspended or revoked, an installation that was
refused, an MSP that is not approved) it leaves alone: `services.sites.activation` has a branch for each.

The turn is taken by a statement before, so that this one, which waits for nobody but the key, sees all that others did
to the site; and if it does wait for the key, PostgreSQL checks the key's row again.
"""

import json
from dataclasses import astuple
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.ids import new_id
from services.keys import Key
from services.partners import KNOBS, PROGRAMME_ID, Policy
from services.sites.binding import Activation, new_line
from services.usage import Line, first_receipt

_NEAREST = {
    knob: [f"{level}.{knob}" for level in ("of_key", "of_msp", "of_distributor", "programme")] for knob in KNOBS
}
_NEAREST["close_grace_seconds"].remove("of_key.close_grace_seconds")
_DEFAULTS_FROM = 19
_IN_FORCE = ", ".join(
    f"coalesce({', '.join(levels)}, ${_DEFAULTS_FROM + i}::int) as {knob}"
    for i, (knob, levels) in enumerate(_NEAREST.items())
)

_BIND = f"""
with key as (
    select k.site_id, k.id, k.msp_id
    from keys k
    where k.site_id = $1::uuid and k.id = $2::uuid and k.code_hash = $3::bytea and k.activated_at is null
        and k.disabled_at is null and k.suspended_at is null and k.msp_suspended_at is null and k.revoked_at is null
    for update
), free as (
    select key.site_id, key.id, key.msp_id, {_IN_FORCE}
    from key
    join msps m on m.id = key.msp_id and m.approved_at is not null and m.closed_at is null
    join msp_tenures t on t.msp_id = key.msp_id and t.from_at <= $4::timestamptz
        and (t.until_at is null or t.until_at > $4)
    left join policies programme on programme.level = 'programme' and programme.subject_id = $5::uuid
    left join policies of_distributor on of_distributor.level = 'distributor'
        and of_distributor.subject_id = t.distributor_id
    left join policies of_msp on of_msp.level = 'msp' and of_msp.subject_id = key.msp_id
    left join key_policies of_key on of_key.site_id = key.site_id and of_key.key_id = key.id
    where not exists (select from installations i where i.site_id = key.site_id)
        and not exists (select from lines l where l.site_id = key.site_id)
        and not exists (select from refused_activations r where r.site_id = key.site_id)
), bound as (
    update keys k set activated_at = $4 from free where k.site_id = free.site_id and k.id = free.id
), installation as (
    insert into installations (site_id, installation_id, key_id, product, credential_sha256, public_key, version,
        hostname, name, timezone, console_url, activated_at, address)
    select site_id, $6::uuid, id, 'site_manager', $7::bytea, $8::bytea, $9::text, $10::text, $11::text, $12::text,
        $13::text, $4, $14::text
    from free
), line as (
    insert into lines (site_id, installation_id, line, credential_sha256, key_id, product, told_state,
        heartbeat_seconds, disable_after_seconds, sequence, through, receipt, said_more, last_contact_at,
        last_entry_at, begins_at, renew_lease_at, waiting, opened_at, msp_id)
    select site_id, $6, 0, $7, id, 'site_manager', 'active', heartbeat_seconds, disable_after_seconds, 0, 0,
        $15::bytea, false, $4, $4, $4,
        $4 + greatest(disable_after_seconds / 14, heartbeat_seconds) * interval '1 second', false, $4, msp_id
    from free
), timer as (
    insert into silence_timers (site_id, installation_id, due_at, rung)
    select site_id, $6, $4 + least(warn_after_seconds, disable_after_seconds) * interval '1 second', 'warn' from free
), timeline as (
    insert into key_events (site_id, id, key_id, at, recorded_at, event, from_state, to_state, actor)
    select site_id, $16::uuid, id, $4, $4, 'activated', 'issued', 'active', 'site' from free
), event as (
    insert into events (id, partner_id, kind, subject, at, told)
    select $17::uuid, msp_id, 'key.activated', $18::text::jsonb, $4, false from free
)
select {", ".join(KNOBS)} from free
"""


async def bind(
    db: AsyncSession,
    key: Key,
    code_hash: bytes,
    request: Activation,
    now: datetime,
    *,
    address: str | None,
) -> tuple[Line, Policy] | None:
    """Bind the first Site Manager of a key; None, with nothing done, if anything is unusual.

    The caller has the site's turn, and of the key no more than its ids. The line given stands for the one written; the
    session does not know it.
    """
    receipt = first_receipt(str(request.installation_id))
    values = (
        *(key.site_id, key.id, code_hash, now, PROGRAMME_ID),
        *(request.installation_id, request.credential_sha256, request.public_key, request.version, request.hostname),
        *(request.name, request.timezone, request.console_url, address, receipt),
        *(new_id(now), new_id(now), json.dumps(keys.subject_of(key))),
        *astuple(Policy()),
    )
    found = (await (await db.connection()).exec_driver_sql(_BIND, values)).one_or_none()
    if found is None:
        return None
    policy = Policy(*found)
    key.activated_at = now
    return new_line(key, request, 0, policy, now), policy
