"""RateLimit: every answer says what is left, and 429 when to go on; each credential, and each network, has its own."""

import re

import httpx
from fastapi import FastAPI

from services import partners
from tests.support.problems import problem
from tests.support.world import World


async def test_a_credential_has_600_requests_a_minute_and_is_told_what_is_left(
    client: httpx.AsyncClient, app: FastAPI, world: World
) -> None:
    token, other = await world.token(), await world.token()
    async with world.sessions() as db:
        credential = str((await partners.principal_of(db, token, world.clock())).credential_id)
    first = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert first.headers["RateLimit-Policy"] == '"default";q=600;w=60'
    assert re.fullmatch(r'"default";r=599;t=\d+', first.headers["RateLimit"])
    for _ in range(599):
        await app.state.service.attempts.request(credential)
    refused = await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    problem(refused, 429, "too_many_requests")
    assert re.fullmatch(r'"default";r=0;t=\d+', refused.headers["RateLimit"])
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (await client.get("/v1/me", headers={"Authorization": f"Bearer {other}"})).status_code == 200


async def test_what_anybody_may_ask_is_limited_by_network(client: httpx.AsyncClient, app: FastAPI) -> None:
    asked = {"email": "nobody@example.org"}
    first = await client.post("/v1/password-resets", json=asked)
    assert re.fullmatch(r'"default";r=59;t=\d+', first.headers["RateLimit"])
    for _ in range(59):
        await client.post("/v1/password-resets", json={})  # counted before it is read
    problem(await client.post("/v1/password-resets", json=asked), 429, "too_many_requests")
