"""`Idempotency-Key` on every POST that creates or changes: the same request gets the same answer, another one 422."""

import httpx
from fastapi import FastAPI

from license_api.contract import contract
from services.partners import PartnerKind, Role
from tests.license_api.test_every_route import ONESELF, OPEN, RULES, body_of, build_chain, chain_ids, filled, fresh
from tests.license_api.test_every_route import headers_of as signed_in_as
from tests.support.problems import problem
from tests.support.world import World

# Why a POST needs none: nobody to remember it for, or nothing that a second one would make.
WITHOUT = {
    "/v1/activations": "the installation's id and secret say that it is the same",
    "/v1/heartbeats": "numbered; a repeat gets its answer again",
    "/v1/registrations": "of nobody yet; three letters a day at most",
    "/v1/registrations/verification": "a link is good once",
    "/v1/invitations/acceptance": "a link is good once",
    "/v1/sessions": "of nobody yet",
    "/v1/sessions/current/confirmation": "makes nothing, and its body is a password, of which no hash is kept here",
    "/v1/me/password": "makes nothing, and its body is a password, of which no hash is kept here",
    "/v1/password-resets": "of nobody; three letters a day at most",
    "/v1/password-resets/completion": "a link is good once",
    "/v1/policies/dry-run": "makes nothing: it tells what would be",
    "/v1/keys/{key_id}/code": "shows, and each showing is a line of the audit log",
}
POSTS = sorted(path for method, path in set(RULES) | OPEN | ONESELF if method == "POST")
ASKED = [path for path in POSTS if ("POST", path) in RULES and path not in WITHOUT]


def test_every_post_takes_an_idempotency_key_or_says_why_not(app: FastAPI) -> None:
    paths = contract(app)["paths"]
    taking = {
        path
        for path in POSTS
        if any(one["name"] == "Idempotency-Key" for one in paths[path]["post"].get("parameters", ()))
    }
    assert taking == set(POSTS) - set(WITHOUT)


async def test_the_same_request_gets_the_same_answer_and_another_one_is_refused(
    client: httpx.AsyncClient, world: World
) -> None:
    ours, theirs = await build_chain(world, "ours"), await build_chain(world, "theirs")
    signed_in = {kind: await signed_in_as(world, ours, (kind, Role.ADMIN)) for kind in ours.of}
    tried = 0
    for path in ASKED:
        table = RULES["POST", path]
        kind = next(kind for kind in ours.of if kind in table.kinds)
        chain = await fresh(world, ours, kind, ("POST", path))
        url, body = filled(path, chain_ids(chain, kind, table)), body_of(table, ours, theirs)
        headers = {**signed_in[kind], "Idempotency-Key": f"once {path}".replace(" ", "-")}
        first = await client.post(url, json=body, headers=headers)
        if first.status_code >= 300:
            continue  # nothing was made: the key is free
        tried += 1
        second = await client.post(url, json=body, headers=headers)
        assert (second.status_code, second.content) == (first.status_code, first.content), path
        assert second.headers["Idempotency-Replayed"] == "true", path
        problem(await client.post(url, json={"another": True}, headers=headers), 422, "idempotency_key_reused")
    assert tried > len(ASKED) * 2 // 3


async def test_about_oneself_too(client: httpx.AsyncClient, world: World) -> None:
    chain = await build_chain(world, "ours")
    headers = {**await signed_in_as(world, chain, (PartnerKind.MSP, Role.ADMIN)), "Idempotency-Key": "totp"}
    first, second = [await client.post("/v1/me/totp", headers=headers) for _ in range(2)]
    assert first.status_code == 201 and first.content == second.content
