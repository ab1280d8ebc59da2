"""Tenants are kept apart twice, on every route: with the code's scope taken away, and with row-level security.

Whoever asks for a stranger's object, or for a list, learns nothing of it either way. What is tried is the table of
`test_every_route`; a route that is added there is tried here.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession

from license_api.app import create_app
from services import delivery, ids, partners
from services.db import Row
from services.delivery import Letter
from services.ids import new_id
from services.partners import (
    Distributor,
    Invitation,
    PartnerKind,
    Principal,
    Role,
    User,
    directory,
    invitations,
    scope,
    tokens,
    users,
)
from services.partners.tables import ApiToken
from services.settings import Settings
from tests.license_api.test_every_route import (
    DISTRIBUTOR,
    MSP,
    RULES,
    VENDOR,
    Chain,
    body_of,
    build_chain,
    chain_ids,
    filled,
    fresh,
)
from tests.services.partners.test_isolation import OF_THE_SERVICE
from tests.support.clock import TestClock
from tests.support.machine import Machine
from tests.support.people import Headers, person, session_of
from tests.support.world import World

# What tenancy is in code: each is made to let everything through.
SCOPES: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (scope.visible_to, lambda principal, site_id: true()),
    (scope.held_by, lambda principal, msp_id: true()),
    (scope.seen_by, lambda principal, site_id, at: true()),
    (scope.visible_msp, lambda principal, msp_id: true()),
    (scope.visible_chain, lambda principal, msp_id, distributor_id: true()),
    (directory._visible_distributors, lambda caller: select(Distributor)),
    (tokens._own, lambda caller: ApiToken.id.is_not(None)),
    (invitations._own, lambda caller: Invitation.id.is_not(None)),
    (users._of, lambda partner: User.removed_at.is_(None)),
]
# What two partners do together goes without the net, and is the code's to check alone.
TOGETHER = {("POST", "/v1/moves/{move_id}/accept"), ("GET", "/v1/moves")}
# Lists that nothing here fills.
EMPTY = {"/v1/backups/troubles"}
PARTNERS = {"site_id", "msp_id", "partner_id", "distributor_id", "from_msp_id", "to_msp_id"}
TABLES = [
    table
    for table in Row.metadata.tables.values()
    if table.name not in OF_THE_SERVICE and PARTNERS & {column.name for column in table.columns}
]


@pytest.fixture
async def two(world: World, client: httpx.AsyncClient) -> tuple[Chain, Chain]:
    """Two chains that have one of everything; what they make goes through the app as it is."""
    ours, theirs = await build_chain(world, "ours"), await build_chain(world, "theirs")
    for chain in (ours, theirs):
        for kind in PartnerKind:
            await fresh(world, chain, kind, ("GET", "/v1/users"))
        await fresh(world, chain, MSP, ("GET", "replacement"))
        await _add_what_happens(world, client, chain)
    return ours, theirs


async def _add_what_happens(world: World, client: httpx.AsyncClient, chain: Chain) -> None:
    """A command, an offered move, a refused activation, an inventory's line and a letter that came back."""
    headers = await signed_in_as(world, chain, MSP)
    site, key = chain.ids["site_id"], chain.ids["key_id"]
    command = await client.post(f"/v1/sites/{site}/commands", json={"kind": "send_inventory"}, headers=headers)
    chain.ids["command_id"] = command.json()["id"]
    receiver = ids.show("msp", (await world.another_msp(f"receiver {new_id(world.clock())}")).id)
    chain.ids["move_id"] = (
        await client.post(f"/v1/keys/{key}/move", json={"to_msp": receiver}, headers=headers)
    ).json()["id"]
    code = (await client.post(f"/v1/keys/{key}/code", headers=headers)).json()["code"]
    async with world.sessions.begin() as db:
        for of in chain.of.values():
            db.add(_returned_letter(of["partner"], site, world))
            delivery.emit(db, partner_id=UUID(of["partner"]), kind="test", subject={"site": site}, now=world.clock())
    prices = {"currency": "EUR", "from_month": "2026-03", "prices": {"server": [{"from_units": 0, "price": "4.50"}]}}
    await client.post("/v1/price-lists", json=prices, headers=await signed_in_as(world, chain, DISTRIBUTOR))
    await client.post("/v1/activations", json=Machine(code).activation_body())


async def signed_in_as(world: World, chain: Chain, kind: PartnerKind) -> Headers:
    """The headers of a new admin of a chain's partner."""
    partner_id = UUID(chain.of[kind]["partner"])
    email = f"a{new_id(world.clock())}@example.org"
    return await session_of(world, await person(world, kind, partner_id, Role.ADMIN, email=email))


def _returned_letter(partner_id: str, site: str, world: World) -> Letter:
    now = world.clock()
    return Letter(
        id=new_id(now), occasion=f"returned {partner_id} {site}", kind="invitation", recipient="back@example.org",
        language="it", values={}, partner_id=partner_id, posted_at=now, next_attempt_at=None, attempts=1,
        failure="550 no such user",
    )  # fmt: skip


def foreign_words(ours: Chain, theirs: Chain, kind: PartnerKind) -> set[str]:
    """What of the strangers' would give them away: the ids of their things."""
    own = set(ours.ids.values()) | set(ours.of[kind].values()) | set(ours.of[VENDOR].values())
    return (set(theirs.ids.values()) | {one for of in theirs.of.values() for one in of.values()}) - own


async def learn_nothing(client: httpx.AsyncClient, world: World, ours: Chain, theirs: Chain) -> int:
    """Try every route as the admin of each kind of partner that it is for; gives how many were tried."""
    tried = 0
    for kind in (MSP, DISTRIBUTOR):  # the vendor sees every chain
        headers, words = await signed_in_as(world, ours, kind), foreign_words(ours, theirs, kind)
        for (method, path), table in sorted(RULES.items()):
            if kind not in table.kinds:
                continue
            url = filled(path, chain_ids(theirs, kind, table)) + table.query
            answer = await client.request(method, url, json=body_of(table, ours, theirs), headers=headers)
            where = (kind.value, method, url, answer.status_code, answer.text[:500])
            assert answer.status_code < 500, where
            if "{" in path:
                assert answer.status_code == 404, where
            assert not [word for word in words if word in answer.text and word not in url], where
            tried += 1
    return tried


async def test_the_strangers_have_something_to_be_seen_on_every_list_and_no_table_shows_it(
    client: httpx.AsyncClient, world: World, two: tuple[Chain, Chain]
) -> None:
    ours, theirs = two
    for kind in (MSP, DISTRIBUTOR):
        headers = await signed_in_as(world, theirs, kind)
        for (method, path), table in sorted(RULES.items()):
            if method != "GET" or kind not in table.kinds:
                continue
            answer = await client.get(filled(path, chain_ids(theirs, kind, table)) + table.query, headers=headers)
            assert answer.status_code == 200, (kind, path, answer.text)
            assert "{" in path or path in EMPTY or answer.json().get("items", True), (kind, path)

    strangers = {ids.read(name, theirs.ids[f"{name}_id"]) for name in ("msp", "site", "distributor")}
    for kind in (MSP, DISTRIBUTOR):
        partner_id = UUID(ours.of[kind]["partner"])
        for guarded in TABLES:
            columns = [column for column in guarded.columns if column.name in PARTNERS]
            async with world.sessions() as db:
                await partners.guard(db, Principal(partner_id, partner_id, kind, at=world.clock()))
                seen = {value for row in await db.execute(select(*columns)) for value in row}
            assert not seen & strangers, (kind, guarded.name)


async def test_without_the_code_s_scope_row_level_security_shows_nothing_of_a_stranger_s(
    client: httpx.AsyncClient, world: World, two: tuple[Chain, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    _take_scopes_away(monkeypatch)
    for rule in TOGETHER:
        monkeypatch.delitem(RULES, rule)
    assert await learn_nothing(client, world, *two) > 120


async def test_without_row_level_security_the_code_shows_nothing_of_a_stranger_s_and_without_both_it_is_noticed(
    unguarded_client: httpx.AsyncClient, world: World, two: tuple[Chain, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partners, "guard", _no_guard)
    assert await learn_nothing(unguarded_client, world, *two) > 120
    _take_scopes_away(monkeypatch)
    with pytest.raises(AssertionError):
        await learn_nothing(unguarded_client, world, *two)


async def _no_guard(_db: AsyncSession, _principal: Principal) -> None:
    """Set no role: the transaction stays the owner's, whom no policy concerns."""


def _take_scopes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    for scoped, everything in SCOPES:
        monkeypatch.setattr(scoped, "__code__", everything.__code__)


@pytest.fixture
async def unguarded_client(world: World, settings: Settings, clock: TestClock) -> AsyncIterator[httpx.AsyncClient]:
    """The app on a connection of the schema's owner."""
    owners = settings.model_copy(update={"database_url": settings.migrate_database_url})
    app: FastAPI = create_app(owners, clock)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("10.250.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://tidemark.test") as made:
            yield made
