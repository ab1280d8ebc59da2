"""A distributor closes, or changes its zone: who moves, who is told, what is refused from then on."""

import asyncio

import httpx
import pytest
from sqlalchemy import func, select

from services import ids, partners
from services.partners import Distributor, Msp, PartnerKind, Role, User
from services.partners.tables import MspTenure
from tests.support.mail import Mailbox, deliver_letters
from tests.support.people import Headers, person, session_of, signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World

MARCH_ENDS = "2026-03-31T22:00:00Z"


@pytest.fixture
async def vendor(world: World) -> Headers:
    return await signed_in(world, PartnerKind.VENDOR)


@pytest.fixture
async def north(world: World) -> Distributor:
    return await world.another_distributor("Nord")


def url(distributor: Distributor, act: str) -> str:
    return f"/v1/distributors/{ids.show('distributor', distributor.id)}/{act}"


async def close(
    client: httpx.AsyncClient, vendor: Headers, distributor: Distributor, to: Distributor
) -> httpx.Response:
    body = {"to": ids.show("distributor", to.id), "reason": "It retires."}
    return await client.post(url(distributor, "closing"), json=body, headers=vendor)


async def give_addresses(world: World) -> None:
    """The distributor is `d@example.org`, the MSP `m@example.org`."""
    async with world.sessions.begin() as db:
        (await db.get_one(Distributor, world.distributor.id)).email = "d@example.org"
        (await db.get_one(Msp, world.msp.id)).billing_email = "m@example.org"


async def test_closing_moves_the_msps_together_at_the_month_s_end_and_tells_everybody(
    client: httpx.AsyncClient, world: World, vendor: Headers, north: Distributor
) -> None:
    await give_addresses(world)
    second = await world.another_msp("Baltica")
    answer = await close(client, vendor, world.distributor, north)
    assert (answer.status_code, answer.json()["closed_at"], answer.json()["territory"]) == (201, MARCH_ENDS, [])
    async with world.sessions() as db:
        tenures = (await db.scalars(select(MspTenure).order_by(MspTenure.from_at))).all()
        assert {(one.msp_id, one.distributor_id, one.until_at is None) for one in tenures} == {
            (msp.id, distributor.id, distributor is north)
            for msp in (world.msp, second)
            for distributor in (world.distributor, north)
        }
        ends = {one.until_at or one.from_at for one in tenures}
        assert [end.isoformat() for end in ends] == [MARCH_ENDS.replace("Z", "+00:00")]
    world.clock.advance(minutes=20)
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    told = {message["To"]: str(message.get_content()) for message in mailbox.messages}
    assert "Nord" in told["m@example.org"] and "31 marzo 2026, 22:00 UTC" in told["m@example.org"]
    of_distributor = [str(one.get_content()) for one in mailbox.messages if one["To"] == "d@example.org"]
    assert any("It retires." in text for text in of_distributor)
    assert any("Adriatica IT" in text and "Baltica" in text for text in of_distributor)  # one letter for both
    log = (await client.get("/v1/audit-log", headers=vendor)).json()["items"]
    assert [line["action"] for line in log[:3]] == ["msp.moved", "msp.moved", "distributor.closed"]


async def test_closing_twice_is_once_and_what_is_closing_takes_nobody(
    client: httpx.AsyncClient, world: World, vendor: Headers, north: Distributor
) -> None:
    assert (await close(client, vendor, world.distributor, north)).status_code == 201
    again = await close(client, vendor, world.distributor, north)
    assert (again.status_code, again.json()["closed_at"]) == (201, MARCH_ENDS)
    refused = await close(client, vendor, north, world.distributor)
    problem(refused, 409, "distributor_closed")
    assert pointers(refused) == ["/to"]
    problem(await close(client, vendor, north, north), 409, "distributor_closed")
    third = await world.another_msp("Baltica", north)
    moving = await client.post(
        f"/v1/msps/{ids.show('msp', third.id)}/move",
        json={"distributor_id": ids.show("distributor", world.distributor.id)},
        headers=vendor,
    )
    problem(moving, 409, "distributor_closed")
    problem(
        await client.put(url(world.distributor, "zone"), json={"zone": "UTC"}, headers=vendor),
        409,
        "distributor_closed",
    )
    taking = {"territory": ["FR"]}
    path = f"/v1/distributors/{ids.show('distributor', world.distributor.id)}"
    problem(await client.patch(path, json=taking, headers=vendor), 409, "distributor_closed")


async def test_an_msp_on_its_way_to_a_distributor_that_closes_goes_to_its_successor(
    client: httpx.AsyncClient, world: World, vendor: Headers, north: Distributor
) -> None:
    south = await world.another_distributor("Sud")
    moving = {"distributor_id": ids.show("distributor", north.id)}
    answer = await client.post(f"/v1/msps/{ids.show('msp', world.msp.id)}/move", json=moving, headers=vendor)
    assert answer.status_code == 201
    assert (await close(client, vendor, north, south)).status_code == 201
    async with world.sessions() as db:
        last = (await db.scalars(select(MspTenure).where(MspTenure.until_at.is_(None)))).one()
    assert last.distributor_id == south.id


async def test_an_msp_added_while_its_distributor_closes_is_not_left_behind(
    client: httpx.AsyncClient, world: World, vendor: Headers, north: Distributor
) -> None:
    async def add(number: int) -> None:
        async with world.sessions.begin() as db:
            await partners.add_msp(db, name=f"M{number}", distributor_id=world.distributor.id, now=world.clock())

    await asyncio.gather(close(client, vendor, world.distributor, north), *map(add, range(5)), return_exceptions=True)
    async with world.sessions() as db:
        left = select(func.count()).where(
            MspTenure.distributor_id == world.distributor.id, MspTenure.until_at.is_(None)
        )
        assert await db.scalar(left) == 0


async def test_two_distributors_that_close_towards_each_other_do_not_wait_for_ever(
    client: httpx.AsyncClient, world: World, vendor: Headers, north: Distributor
) -> None:
    one, other = await asyncio.gather(
        close(client, vendor, world.distributor, north), close(client, vendor, north, world.distributor)
    )
    assert sorted((one.status_code, other.status_code)) == [201, 409]


async def test_a_zone_is_changed_told_and_taken_back(client: httpx.AsyncClient, world: World, vendor: Headers) -> None:
    await give_addresses(world)
    for zone, ahead in (("America/New_York", "America/New_York"), ("Asia/Tokyo", "Asia/Tokyo"), ("Europe/Rome", None)):
        for _ in range(2):  # twice is once
            answer = await client.put(url(world.distributor, "zone"), json={"zone": zone}, headers=vendor)
            shown = answer.json()
            assert (shown["zone"], shown["next_zone"]) == ("Europe/Rome", ahead)
    log = (await client.get("/v1/audit-log", headers=vendor)).json()["items"]
    assert [line["after"]["zone"] for line in log if line["action"] == "distributor.zone_changed"] == [
        "Europe/Rome",
        "Asia/Tokyo",
        "America/New_York",
    ]
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    assert sorted(message["To"] for message in mailbox.messages) == ["d@example.org"] * 3 + ["m@example.org"] * 3
    refused = await client.put(url(world.distributor, "zone"), json={"zone": "Europe/Roma"}, headers=vendor)
    problem(refused, 422, "request_invalid")
    assert pointers(refused) == ["/zone"]


async def test_closing_an_msp_tells_its_people_its_contacts_and_its_distributor_once_in_their_languages(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    await give_addresses(world)
    viewer = await person(world, PartnerKind.MSP, world.msp.id, Role.VIEWER, email="m@example.org")  # a contact too
    admin = await person(world, PartnerKind.MSP, world.msp.id, email="anna@example.org")
    async with world.sessions.begin() as db:
        (await db.get_one(User, admin.id)).language = "en"
    at = f"/v1/msps/{ids.show('msp', world.msp.id)}/closing"
    for _ in range(2):
        assert (await client.post(at, json={"reason": "It retires."}, headers=vendor)).status_code == 201
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    assert sorted((one["To"], one["Subject"]) for one in mailbox.messages) == [
        ("anna@example.org", "Adriatica IT is closed"),
        ("d@example.org", "Chiusura di Adriatica IT"),
        ("m@example.org", "Chiusura di Adriatica IT"),
    ]
    assert all("It retires." in str(one.get_content()) for one in mailbox.messages)
    for headers in (await session_of(world, viewer), await signed_in(world, PartnerKind.DISTRIBUTOR)):
        events = (await client.get("/v1/events", headers=headers)).json()["items"]
        assert [one["kind"] for one in events] == ["msp.closed"]
