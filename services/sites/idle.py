"""Idle heartbeats: nothing new to report, nothing to tell. One statement checks, advances and answers a whole batch.

It touches a line only if everything is as usual: the credential, the sequence and the `through` that the echo names,
the counts, the backups, the state, a lease that is not due, nothing that waits for the site, no silence to be
recorded, and not too early. What it leaves alone (a change, a repeat, a fork, a wrong secret, a key that is not
active) is taken in by `services.sites.intake`, which tells each its reason. So every rare rule has its place there, and
none slows this one.

Rows are locked in the order of the arrays, which is that of the primary key, as long as the plan is a nested loop
from the arrays to the rows: a hash join would lock in its own order and two processes could cross. `PREPARE` makes
the plan so, whatever the statistics say; the caller tries again should PostgreSQL find a deadlock all the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from services.keys import KeyState
from services.signing import Vault
from services.sites.echo import Echo, read_echo
from services.sites.heartbeat import Heartbeat, spoken_at
from services.sites.intake import Answer, Desk

PREPARE = """
set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; set enable_bitmapscan = off;
set enable_material = off; set jit = off; set plan_cache_mode = force_generic_plan;
"""

ADVANCE = """
update lines l
set sequence = l.sequence + 1, nonce = w.nonce, last_contact_at = $13,
    known_until_at = greatest(l.known_until_at, l.last_entry_at, w.spoken_at)
from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bytea[], $8::int[],
    $9::int[], $10::int[], $11::timestamptz[], $12::bytea[]) with ordinality
    as w (site_id, installation_id, line, credential_sha256, sequence, through, nonce, server, workstation,
    server_plus, spoken_at, backups, place)
where l.site_id = w.site_id and l.installation_id = w.installation_id and l.line = w.line
    and l.credential_sha256 = w.credential_sha256 and l.sequence = w.sequence and l.through = w.through
    and l.server = w.server and l.workstation = w.workstation and l.server_plus = w.server_plus
    and (w.backups is null or w.backups = l.backups)
    and l.told_state = 'active' and l.renew_lease_at > $13 and not l.waiting and not l.said_more
    and l.last_contact_at >= $13 - l.heartbeat_seconds * interval '2 seconds'
    and l.last_contact_at <= $13 - l.heartbeat_seconds * interval '1 second' / 60
returning w.place, l.receipt, l.heartbeat_seconds
"""


class Idle(NamedTuple):
    """A heartbeat that may be idle, with the genuine echo that it shows."""

    beat: Heartbeat
    echo: Echo


def genuine_echo(vault: Vault, beat: Heartbeat) -> Echo | None:
    """Give what the service last told this installation, if the heartbeat can show it. Nobody else can make one."""
    return read_echo(beat.echo, vault, beat.bearer.site_id, beat.bearer.installation_id)


def perhaps_idle(beat: Heartbeat, echo: Echo) -> bool:
    """Tell whether the statement is worth a try: the request after the echo, with no entries."""
    return beat.sequence == echo.sequence + 1 and not (
        beat.entries or beat.more or beat.resume or beat.results or beat.next_credential_sha256
    )


async def advance_idle(connection: Any, desk: Desk, batch: Sequence[Idle], now: datetime) -> list[Answer | None]:
    """Take in the idle ones of a batch and commit; None where it was not idle, and nothing was changed.

    `connection` is asyncpg's own, outside any transaction, after `PREPARE`; at most one heartbeat an installation.
    """
    order = sorted(range(len(batch)), key=lambda i: _key(batch[i]))
    columns = zip(*(_row(batch[i], now) for i in order), strict=True)
    answers: list[Answer | None] = [None] * len(batch)
    for place, receipt, heartbeat_seconds in await connection.fetch(ADVANCE, *columns, now):
        i = order[place - 1]
        answers[i] = _answer(desk, batch[i], receipt, heartbeat_seconds, now)
    return answers


def _key(idle: Idle) -> tuple[int, int, int]:
    bearer = idle.beat.bearer
    return bearer.site_id.int, bearer.installation_id.int, idle.echo.line


def _row(idle: Idle, now: datetime) -> tuple[Any, ...]:
    beat, echo = idle
    bearer = beat.bearer
    return (
        bearer.site_id,
        bearer.installation_id,
        echo.line,
        bearer.credential_sha256,
        echo.sequence,
        echo.through,
        beat.nonce,
        *beat.deployed,
        spoken_at(beat, now),
        beat.backups.packed() if beat.backups else None,
    )


def _answer(desk: Desk, idle: Idle, receipt: bytes, heartbeat_seconds: int, now: datetime) -> Answer:
    beat, echo = idle
    site_id, installation_id = beat.bearer.site_id, beat.bearer.installation_id
    return Answer(
        state=KeyState.ACTIVE,
        reason=None,
        sequence=beat.sequence,
        echo=Echo(echo.line, beat.sequence, echo.through).seal(desk.vault, site_id, installation_id),
        through=echo.through,
        receipt=receipt,
        server_time=now,
        next_heartbeat_seconds=desk.pace.next_seconds(installation_id, heartbeat_seconds, now),
    )
