"""A fleet in the database, made by SQL in seconds: activated sites with one heartbeat sent, all with one secret."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy.engine import make_url

from services.ids import show
from services.signing import Vault, digest
from services.sites import Echo

SECRET = "s" * 43
COUNTS = (12, 141, 1)
NONCE = "A" * 22

_FUNCTIONS = """
create or replace function bench_site(i bigint) returns uuid language sql immutable parallel safe as
$$ select ('0190f5fe-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid $$;
create or replace function bench_installation(i bigint) returns uuid language sql immutable parallel safe as
$$ select md5('installation ' || i)::uuid $$;
"""
_STATEMENTS = (
    """insert into keys (site_id, id, msp_id, name, code_hash, code_sealed, code_masked, created_at, activated_at)
    select bench_site(i), bench_site(i), $3, 'site ' || i, decode(md5(i::text), 'hex'), '', 'XXXXX', $4, $4
    from generate_series($1::bigint, $2) i""",
    """insert into site_tenures (site_id, from_at, msp_id)
    select bench_site(i), $4, $3 from generate_series($1::bigint, $2) i""",
    """insert into installations (site_id, installation_id, key_id, product, credential_sha256, public_key, version,
        hostname, activated_at)
    select bench_site(i), bench_installation(i), bench_site(i), 'site_manager', $3, $3, '7.2', 'host', $4
    from generate_series($1::bigint, $2) i""",
    """insert into silence_timers (site_id, installation_id, due_at)
    select bench_site(i), bench_installation(i), $4::timestamptz + interval '14 days'
    from generate_series($1::bigint, $2) i
    where $3::uuid is not null""",
    """insert into lines (site_id, installation_id, line, credential_sha256, key_id, product, told_state,
        heartbeat_seconds, disable_after_seconds, sequence, nonce, through, receipt, said_more, server, workstation,
        server_plus, last_contact_at, known_until_at, last_entry_at, renew_lease_at, waiting, begins_at, msp_id)
    select bench_site(i), bench_installation(i), 0, $3, bench_site(i), 'site_manager', 'active', 900, 1209600, 1,
        decode(md5(i::text), 'hex'), 1, sha256(bench_site(i)::text::bytea), false, 12, 141, 1, $4, $4, $4,
        $4::timestamptz + interval '1 day', false, $4, $5
    from generate_series($1::bigint, $2) i""",
)


@dataclass(frozen=True, slots=True)
class Site:
    """What a site knows: who it is, and where its line stands."""

    site_id: UUID
    installation_id: UUID
    sequence: int
    through: int

    @property
    def bearer(self) -> str:
        """Its credential."""
        return f"{show('site', self.site_id)}.{self.installation_id}.{SECRET}"

    def next(self) -> "Site":
        """Give it as it stands after its next, idle heartbeat."""
        return replace(self, sequence=self.sequence + 1)

    def body(self, vault: Vault, sent_at: datetime) -> str:
        """Its next, idle heartbeat as JSON."""
        echo = Echo(0, self.sequence, self.through).seal(vault, self.site_id, self.installation_id)
        at = sent_at.isoformat().replace("+00:00", "Z")
        server, workstation, server_plus = COUNTS
        return (
            f'{{"sequence":{self.sequence + 1},"nonce":"{NONCE}","echo":"{echo}","sent_at":"{at}","deployed":'
            f'{{"server":{server},"workstation":{workstation},"server_plus":{server_plus}}}}}'
        )

    def request(self, vault: Vault, sent_at: datetime, more: str = "") -> bytes:
        """Its next, idle heartbeat as HTTP; `more` are further header lines."""
        body = self.body(vault, sent_at)
        return (
            f"POST /v1/heartbeats HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{more}"
            f"Authorization: Bearer {self.bearer}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


async def connect(database_url: str) -> Any:
    """Connect as asyncpg does, without SQLAlchemy."""
    return await asyncpg.connect(make_url(database_url).set(drivername="postgresql").render_as_string(False))


async def add_sites(connection: Any, first: int, last: int, msp_id: UUID, now: datetime) -> None:
    """Add sites numbered `first` to `last` to an MSP, activated at `now`."""
    await connection.execute(_FUNCTIONS)
    credential = digest(SECRET)
    third = (msp_id, msp_id, credential, msp_id, credential)
    for statement, value in zip(_STATEMENTS, third, strict=True):
        fifth = [msp_id] if "$5" in statement else []
        await connection.execute(statement, first, last, value, now, *fifth)
    await connection.execute("vacuum analyze lines, keys, site_tenures, installations, silence_timers")


async def read_sites(connection: Any, limit: int, skip: int = 0) -> Sequence[Site]:
    """Read how sites stand, in an order that has nothing to do with where they lie."""
    rows = await connection.fetch(
        "select site_id, installation_id, sequence, through from lines where credential_sha256 = $1 "
        "order by installation_id limit $2 offset $3",
        digest(SECRET),
        limit,
        skip,
    )
    return [Site(*row) for row in rows]
