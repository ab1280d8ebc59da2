"""Five at one instant want what only one can have: one has it, the others are told in plain words. No 5xx."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, partners
from services.delivery import Letter
from services.errors import Refusal
from services.partners import Partner, PartnerKind, Principal, Role
from tests.support.people import Headers, signed_in
from tests.support.world import World

FIVE = range(5)


async def at_once(client: httpx.AsyncClient, asked: list[tuple[str, str, Any]], headers: Headers | None) -> list[str]:
    """Send all at one instant; gives the codes of the refusals, sorted, and "" for what went well."""
    answers = await asyncio.gather(*(client.request(way, url, json=body, headers=headers) for way, url, body in asked))
    assert all(answer.status_code < 500 for answer in answers), [answer.text for answer in answers]
    return sorted("" if answer.is_success else answer.json()["code"] for answer in answers)


async def five_transactions(world: World, act: Callable[[AsyncSession], Awaitable[None]]) -> list[str]:
    """Let five open transactions do the same at one instant; gives the names of what they raised, sorted."""
    gate = asyncio.Barrier(5)

    async def one() -> str:
        try:
            async with world.sessions.begin() as db:
                await db.connection()
                await gate.wait()
                await act(db)
        except Refusal as refusal:
            return type(refusal).__name__
        return ""

    return sorted(await asyncio.gather(*(one() for _ in FIVE)))


@pytest.fixture
async def vendor(world: World) -> Headers:
    return await signed_in(world, PartnerKind.VENDOR)


async def test_one_distributor_gets_a_name(client: httpx.AsyncClient, vendor: Headers) -> None:
    asked = [("POST", "/v1/distributors", {"name": "Nuova", "zone": "Europe/Rome"}) for _ in FIVE]
    assert await at_once(client, asked, vendor) == ["", *["name_taken"] * 4]


async def test_one_distributor_gets_a_country(client: httpx.AsyncClient, vendor: Headers) -> None:
    asked = [("POST", "/v1/distributors", {"name": f"N{n}", "zone": "UTC", "territory": ["FR"]}) for n in FIVE]
    assert await at_once(client, asked, vendor) == ["", *["territory_taken"] * 4]


async def test_one_msp_gets_a_name(client: httpx.AsyncClient, world: World, vendor: Headers) -> None:
    msps = [ids.show("msp", (await world.another_msp(f"M{n}")).id) for n in FIVE]
    asked = [("PATCH", f"/v1/msps/{msp}", {"name": "Wanted"}) for msp in msps]
    assert await at_once(client, asked, vendor) == ["", *["name_taken"] * 4]


async def test_one_company_s_registrations_make_one_msp(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    async with world.sessions.begin() as db:
        for n in FIVE:
            applicant = partners.Applicant("Lario", "IT", "IT00743110157", "A", f"a{n}@lario.example", "it", "1", "1")
            await partners.register(db, world.desk.vault, applicant, address=None, now=world.clock())
        rows = (await db.scalars(select(partners.Registration))).all()
        for row in rows:
            row.verified_at = world.clock()
    body = {"distributor_id": ids.show("distributor", world.distributor.id)}
    asked = [("POST", f"/v1/registrations/{ids.show('registration', row.id)}/approval", body) for row in rows]
    assert await at_once(client, asked, vendor) == ["", *["name_taken"] * 4]


async def test_one_person_gets_an_address(world: World) -> None:
    async def join(db: AsyncSession) -> None:
        await partners.add_user(
            db,
            Partner(PartnerKind.MSP, world.msp.id),
            email="anna@lario.example",
            name="Anna",
            role=Role.MEMBER,
            language="it",
            password_hash=None,
            now=world.clock(),
        )

    assert await five_transactions(world, join) == ["", *["EmailTaken"] * 4]


async def test_one_key_gets_a_name(client: httpx.AsyncClient, world: World) -> None:
    headers = {"Authorization": f"Bearer {await world.token()}"}
    asked = [("POST", "/v1/keys", {"name": "Hotel Adria"}) for _ in FIVE]
    assert await at_once(client, asked, headers) == ["", *["key_name_taken"] * 4]
    keys = [(await client.post("/v1/keys", json={"name": f"K{n}"}, headers=headers)).json()["id"] for n in FIVE]
    asked = [("PATCH", f"/v1/keys/{key}", {"name": "Wanted"}) for key in keys]
    assert await at_once(client, asked, headers) == ["", *["key_name_taken"] * 4]


async def test_the_twentieth_endpoint_is_one(world: World) -> None:
    async def add(db: AsyncSession) -> None:
        await delivery.add_endpoint(
            db,
            world.desk.vault,
            partner_id=world.msp.id,
            url="https://example.org/hook",
            description="",
            kinds=[],
            scheme="hmac",
            contact=None,
            language="it",
            now=world.clock(),
        )

    async with world.sessions.begin() as db:
        for _ in range(19):
            await add(db)
    assert await five_transactions(world, add) == ["", *["TooManyEndpoints"] * 4]


async def test_the_same_request_five_times_at_once_is_done_once(client: httpx.AsyncClient, world: World) -> None:
    headers = {"Authorization": f"Bearer {await world.token()}", "Idempotency-Key": "order-1042"}
    made = await asyncio.gather(*(client.post("/v1/keys", json={"name": "Hotel Adria"}, headers=headers) for _ in FIVE))
    assert Counter((answer.status_code, answer.json()["id"]) for answer in made).most_common(1)[0][1] == 5


async def test_a_stranger_s_address_gets_three_letters_however_many_ask_at_once(world: World) -> None:
    async def ask() -> None:
        async with world.sessions.begin() as db:
            await partners.request_password_reset(
                db, world.desk.vault, email="anna@lario.example", language="it", now=world.clock()
            )

    await asyncio.gather(*(ask() for _ in range(8)))
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(Letter)) == 3


async def test_a_move_is_offered_once(client: httpx.AsyncClient, world: World) -> None:
    machine = await world.running((1, 0, 0))
    key = await world.key_of(machine)
    headers = await signed_in(world)
    receivers = [ids.show("msp", (await world.another_msp(f"M{n}")).id) for n in FIVE]
    asked = [("POST", f"/v1/keys/{ids.show('key', key.id)}/move", {"to_msp": msp}) for msp in receivers]
    assert await at_once(client, asked, headers) == ["", *["move_under_way"] * 4]


async def test_an_msp_moves_once(client: httpx.AsyncClient, world: World, vendor: Headers) -> None:
    others = [ids.show("distributor", (await world.another_distributor(f"D{n}")).id) for n in FIVE]
    asked = [("POST", f"/v1/msps/{ids.show('msp', world.msp.id)}/move", {"distributor_id": one}) for one in others]
    assert await at_once(client, asked, vendor) == ["", *["already_moving"] * 4]


async def test_an_admin_is_replaced_once_for_each_time_it_was_asked(world: World) -> None:
    vendor = Principal(partners.VENDOR_ID, partners.VENDOR_ID, PartnerKind.VENDOR, frozenset(partners.Right))
    async with world.sessions.begin() as db:
        await partners.request_replacement(
            db, vendor, world.msp.id, email="new@example.org", language="it", reason="lost", now=world.clock()
        )
    world.clock.advance(hours=25)

    async def replace() -> bool:
        async with world.sessions.begin() as db:
            return await partners.replace_next_admin(db, world.desk.vault, world.clock())

    assert sorted(await asyncio.gather(*(replace() for _ in FIVE))) == [False, False, False, False, True]
