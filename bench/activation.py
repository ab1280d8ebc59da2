"""Activations over HTTP, beside the textbook way."""

import asyncio
import json
import secrets
from collections.abc import Sequence
from hashlib import md5, sha256
from typing import Any

from bench.load import Load, run_load, write_requests
from bench.rows import Row, at_least, in_turn
from bench.stand import Stand
from services.keys import code as key_code

_OURS, _TEXTBOOK = "/v1/activations", "/bench/textbook/activations"
_SECONDS = 3
_ROUNDS = 3
_KEYS_A_RUN = 1_500 * _SECONDS
_RUNS = 2 * (_ROUNDS + 1)
_FIRST = 10_000_000
"""Sites numbered from here on have keys that nobody has activated."""

_KEYS = """insert into keys (site_id, id, msp_id, name, code_hash, code_sealed, code_masked, created_at)
select bench_site(i), bench_site(i), $1, 'new ' || i, hash, '', 'XXXXX', $2
from unnest($3::bigint[], $4::bytea[]) as issued (i, hash)"""
_TENURES = """insert into site_tenures (site_id, from_at, msp_id)
select bench_site(i), $2, $1 from unnest($3::bigint[]) i"""
_KEYS_OF_TEXTBOOK = """insert into bench_keys (id, code_hash, state)
select i, hash, 'issued' from unnest($1::bigint[], $2::text[]) as issued (i, hash)"""


def rows(stand: Stand) -> list[Row]:
    """Measure both in turn."""
    codes = [key_code.make(secrets.token_bytes) for _ in range(_KEYS_A_RUN * _RUNS)]
    asyncio.run(_issue(stand, codes))
    runs = iter([codes[i : i + _KEYS_A_RUN] for i in range(0, len(codes), _KEYS_A_RUN)])
    for path in (_OURS, _TEXTBOOK):
        _run(stand, path, next(runs))
    ours, textbook = in_turn(
        _ROUNDS,
        lambda: _run(stand, _OURS, next(runs)).rate,
        lambda: _run(stand, _TEXTBOOK, next(runs)).rate,
    )
    beside = f"{ours:,.0f}/s; textbook ORM {textbook:,.0f}/s"
    return [at_least("activations over HTTP", ours / textbook, "x", beside, 2)]


async def _issue(stand: Stand, codes: Sequence[str]) -> None:
    connection: Any = await stand.connect()
    numbers = list(range(_FIRST, _FIRST + len(codes)))
    await connection.execute(
        _KEYS, stand.msp_id, stand.now(), numbers, [stand.vault.finding_hash(code) for code in codes]
    )
    await connection.execute(_TENURES, stand.msp_id, stand.now(), numbers)
    await connection.execute(_KEYS_OF_TEXTBOOK, numbers, [sha256(code.encode()).hexdigest() for code in codes])
    await connection.execute("vacuum analyze keys, site_tenures, bench_keys")
    await connection.close()


def _run(stand: Stand, path: str, codes: Sequence[str]) -> Load:
    file = stand.folder / "activations"
    write_requests(file, [("", _body(code)) for code in codes])
    return run_load(stand.url, path, file, seconds=_SECONDS)


def _body(code: str) -> str:
    digest = sha256(code.encode()).hexdigest()
    name = md5(code.encode(), usedforsecurity=False).hexdigest()
    return json.dumps(
        {
            "license_key": code,
            "installation_id": f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}",
            "credential_sha256": digest,
            "public_key": digest[:43],
            "product": "site_manager",
            "version": "7.2.1",
            "hostname": "backup01",
        }
    )
