"""From a registration to an MSP whose admin signs in; and what nobody can find out."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select

from services import ids
from services.delivery import Letter
from services.partners import AuditEntry, PartnerKind, Registration, Role
from tests.support.mail import Mailbox, deliver_letters, look_after_people
from tests.support.people import PASSWORD, Headers, person, signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World

ASKED = {
    "company": "Lario Informatica S.r.l.",
    "country": "IT",
    "vat_number": "IT 00743110157",
    "contact": "Anna Bianchi",
    "email": "anna@lario.example",
    "language": "it",
    "accepted_terms": "2026-1",
    "accepted_privacy_notice": "2026-1",
}


@pytest.fixture
async def vendor(world: World) -> Headers:
    return await signed_in(world, PartnerKind.VENDOR)


async def registered(client: httpx.AsyncClient, world: World, mailbox: Mailbox) -> None:
    """A registration whose address is confirmed."""
    assert (await client.post("/v1/registrations", json=ASKED)).status_code == 202
    await deliver_letters(world, mailbox)
    answer = await client.post("/v1/registrations/verification", json={"token": mailbox.token()})
    assert answer.status_code == 204, answer.text


async def italy_is_ours(client: httpx.AsyncClient, world: World, vendor: Headers) -> None:
    url = f"/v1/distributors/{ids.show('distributor', world.distributor.id)}"
    answer = await client.patch(url, json={"territory": ["IT"]}, headers=vendor)
    assert answer.status_code == 200, answer.text


async def test_a_company_registers_is_approved_and_its_contact_signs_in(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    mailbox = Mailbox()
    await italy_is_ours(client, world, vendor)
    await registered(client, world, mailbox)
    [waiting] = (await client.get("/v1/registrations?undecided=true", headers=vendor)).json()["items"]
    assert (waiting["vat_number"], waiting["terms_version"]) == ("00743110157", "2026-1")
    approved = await client.post(f"/v1/registrations/{waiting['id']}/approval", json={}, headers=vendor)
    assert approved.json()["decision"] == "approved", approved.text
    await deliver_letters(world, mailbox)
    accepted = {"token": mailbox.token(), "name": "Anna Bianchi", "password": PASSWORD}
    assert (await client.post("/v1/invitations/acceptance", json=accepted)).status_code == 201
    problem(await client.post("/v1/invitations/acceptance", json=accepted), 404, "link_invalid")
    begun = await client.post("/v1/sessions", json={"email": ASKED["email"], "password": PASSWORD})
    headers = {"Authorization": f"Bearer {begun.json()['secret']}"}
    [msp] = (await client.get("/v1/msps", headers=headers)).json()["items"]
    assert (msp["legal_name"], msp["id"]) == (ASKED["company"], approved.json()["msp_id"])
    assert (await client.post("/v1/keys", json={"name": "First"}, headers=headers)).status_code == 201
    assert [message["Subject"] for message in mailbox.messages] == [
        "Confermi il suo indirizzo e-mail",
        "Richiesta di registrazione ricevuta",
        "Registrazione approvata",
    ]
    async with world.sessions() as db:
        actions = set(await db.scalars(select(AuditEntry.action)))
    assert {"registration.approved", "user.joined", "user.signed_in", "key.created"} <= actions


async def test_a_rejection_says_why_in_the_registrant_s_language(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    mailbox = Mailbox()
    await registered(client, world, mailbox)
    [waiting] = (await client.get("/v1/registrations", headers=vendor)).json()["items"]
    url = f"/v1/registrations/{waiting['id']}/rejection"
    assert (await client.post(url, json={"reason": "Non rivendete."}, headers=vendor)).status_code == 201
    problem(await client.post(url, json={"reason": "again"}, headers=vendor), 409, "already_decided")
    await deliver_letters(world, mailbox)
    assert "Non rivendete." in mailbox.last()


async def test_a_country_without_a_distributor_is_for_the_vendor_to_assign(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    await registered(client, world, Mailbox())
    [waiting] = (await client.get("/v1/registrations", headers=vendor)).json()["items"]
    url = f"/v1/registrations/{waiting['id']}/approval"
    problem(await client.post(url, json={}, headers=vendor), 409, "no_distributor")
    under = {"distributor_id": ids.show("distributor", world.distributor.id)}
    assert (await client.post(url, json=under, headers=vendor)).status_code == 201


async def test_an_unconfirmed_one_is_unseen_and_gone_after_48_hours(
    client: httpx.AsyncClient, world: World, vendor: Headers
) -> None:
    mailbox = Mailbox()
    await client.post("/v1/registrations", json=ASKED)
    await deliver_letters(world, mailbox)
    assert (await client.get("/v1/registrations", headers=vendor)).json()["items"] == []
    world.clock.advance(hours=48)
    late = await client.post("/v1/registrations/verification", json={"token": mailbox.token()})
    problem(late, 404, "link_invalid")
    await look_after_people(world)
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(Registration)) == 0


def _is_the_pulse_s(statement: str) -> bool:
    """Tell what the API's own pulse asks, at any moment, beside the requests."""
    own = ("pulse_", "arrival_watch", "collapsed_stretches", "lease_keys", "sum(lines")
    return any(name in statement for name in own)


async def test_nobody_learns_who_is_registered(client: httpx.AsyncClient, app: FastAPI, world: World) -> None:
    await person(world, PartnerKind.MSP, world.msp.id, Role.VIEWER, email="anna@lario.example")
    engine = app.state.service.sessions.kw["bind"]
    made: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: made.append(given[2]))
    seen = []
    for email in ("anna@lario.example", "nobody@lario.example"):
        made.clear()
        answer = await client.post("/v1/registrations", json={**ASKED, "email": email})
        seen.append([answer.status_code, answer.text, [one for one in made if not _is_the_pulse_s(one)]])
    assert seen[0] == seen[1]


async def test_three_letters_a_day_go_to_an_address_and_none_holds_the_stranger_s_words(
    client: httpx.AsyncClient, world: World
) -> None:
    mailbox = Mailbox()
    for number in range(5):
        body = {**ASKED, "company": f"Buy at evil.example {number}", "contact": "evil.example"}
        assert (await client.post("/v1/registrations", json=body)).status_code == 202
        await client.post("/v1/password-resets", json={"email": ASKED["email"]})
    await deliver_letters(world, mailbox)
    assert len(mailbox.messages) == 3
    assert not any("evil" in message.as_string() for message in mailbox.messages)
    world.clock.advance(hours=25)
    await client.post("/v1/registrations", json=ASKED)
    await deliver_letters(world, mailbox)
    assert len(mailbox.messages) == 4


async def test_links_are_nowhere_plain_in_the_database_and_gone_once_sent(
    client: httpx.AsyncClient, world: World
) -> None:
    mailbox = Mailbox()
    await client.post("/v1/registrations", json=ASKED)
    async with world.sessions() as db:
        [waiting] = await db.scalars(select(Letter))
    await deliver_letters(world, mailbox)
    assert mailbox.token() not in str(waiting.values)
    async with world.sessions() as db:
        [sent] = await db.scalars(select(Letter))
    assert set(sent.values) == {"link_path"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("vat_number", "IT12345678901"), ("email", "no address"), ("country", "Italy"), ("company", ""), ("extra", 1)],
)
async def test_bad_input_is_pointed_at_and_nothing_is_stored(
    client: httpx.AsyncClient, world: World, field: str, value: object
) -> None:
    answer = await client.post("/v1/registrations", json={**ASKED, field: value})
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == [f"/{field}"]
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(Letter)) == 0
