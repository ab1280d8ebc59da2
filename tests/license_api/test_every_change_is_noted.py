"""Every change that a partner makes over the API is a line of the audit log: who, what, from where, which request."""

import httpx
from sqlalchemy import select

from services.partners import AuditEntry, Role
from tests.license_api.test_every_route import RULES, Chain, body_of, build_chain, chain_ids, filled, fresh, headers_of
from tests.support.world import World

# What changes nothing that a partner has.
NOT_NOTED = {
    ("POST", "/v1/policies/dry-run"): "tells what would be",
    ("POST", "/v1/msps/{msp_id}/resume"): "the table's MSP is not suspended",
    ("PUT", "/v1/policies/bounds"): "what the table sends is what they are already",
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): "a delivery, which is on record itself",
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/replay"): "the same",
}


async def test_every_change_is_a_line_of_the_audit_log(client: httpx.AsyncClient, world: World) -> None:
    ours, theirs = await build_chain(world, "ours"), await build_chain(world, "theirs")
    headers = {kind: await headers_of(world, ours, (kind, Role.ADMIN)) for kind in ours.of}
    silent, seen = [], await _lines(world)
    for (method, path), table in sorted(RULES.items()):
        if method == "GET":
            continue
        kind = next(kind for kind in ours.of if kind in table.kinds)
        chain: Chain = await fresh(world, ours, kind, (method, path))
        before = await _lines(world)
        url = filled(path, chain_ids(chain, kind, table))
        answer = await client.request(method, url, json=body_of(table, ours, theirs), headers=headers[kind])
        new = [line for line in await _lines(world) if line not in before]
        if answer.is_success and not new:
            silent.append((method, path))
        assert all(line[1] == answer.headers["X-Request-Id"] and line[2] for line in new), (method, path)
    assert set(silent) <= set(NOT_NOTED)
    assert len(await _lines(world)) - len(seen) > 30


async def _lines(world: World) -> list[tuple[str, str | None, str | None]]:
    async with world.sessions() as db:
        rows = await db.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(str(row.id), row.request_id, row.address) for row in rows]
