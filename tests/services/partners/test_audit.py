"""The audit log: who, what, when, from where; nobody changes it."""

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.partners import AuditEntry, PartnerKind
from tests.support.people import signed_in
from tests.support.world import World


@pytest.mark.parametrize("change", ["update audit_log set actor = 'x'", "delete from audit_log", "truncate audit_log"])
async def test_the_database_refuses_a_change_whoever_asks(world: World, owner: AsyncEngine, change: str) -> None:
    await signed_in(world)
    async with world.sessions() as db:
        with pytest.raises(DBAPIError, match="permission denied"):
            await db.execute(text(change))
    async with owner.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text(change))


async def test_an_entry_says_who_did_what_from_where_under_which_request(
    client: httpx.AsyncClient, world: World
) -> None:
    headers = await signed_in(world)
    answer = await client.patch(
        f"/v1/msps/{(await client.get('/v1/me', headers=headers)).json()['partner_id']}",
        json={"address": "Via Roma 1"},
        headers=headers,
    )
    assert answer.status_code == 200, answer.text
    async with world.sessions() as db:
        row = (await db.scalars(select(AuditEntry).where(AuditEntry.action == "msp.changed"))).one()
    assert (row.at, row.after, row.msp_id) == (world.clock(), {"address": "Via Roma 1"}, world.msp.id)
    assert row.request_id == answer.headers["x-request-id"]
    assert row.actor.startswith("user_")
    assert row.address is not None


async def test_the_distributor_of_an_msp_reads_what_concerns_it_and_another_does_not(
    client: httpx.AsyncClient, world: World
) -> None:
    ours = await signed_in(world)
    await client.post("/v1/tokens", json={"name": "p", "scopes": ["keys:read"]}, headers=ours)
    other = await world.another_distributor("Nord")
    seen = []
    for partner_id in (world.distributor.id, other.id):
        headers = await signed_in(world, PartnerKind.DISTRIBUTOR, partner_id)
        items = (await client.get("/v1/audit-log", headers=headers)).json()["items"]
        seen.append([item["action"] for item in items if item["action"] == "token.created"])
    assert seen == [["token.created"], []]
