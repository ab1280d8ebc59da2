"""People: the last admin stays, a lost one is replaced after a day, a password by letter, tokens and their scopes."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services import ids, partners
from services.partners import LastAdmin, PartnerKind, Principal, Right, Role, User
from tests.support.mail import Mailbox, deliver_letters, look_after_people
from tests.support.people import PASSWORD, Headers, person, session_of, signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World


@pytest.fixture
async def admin(world: World) -> User:
    return await person(world, PartnerKind.MSP, world.msp.id)


@pytest.fixture
async def headers(world: World, admin: User) -> Headers:
    return await session_of(world, admin)


async def test_the_last_admin_cannot_leave_or_step_down(
    client: httpx.AsyncClient, world: World, admin: User, headers: Headers
) -> None:
    url = f"/v1/users/{ids.show('user', admin.id)}"
    problem(await client.delete(url, headers=headers), 409, "last_admin")
    problem(await client.patch(url, json={"role": "member"}, headers=headers), 409, "last_admin")
    await person(world, PartnerKind.MSP, world.msp.id, Role.ADMIN, email="second@example.org")
    assert (await client.patch(url, json={"role": "member"}, headers=headers)).status_code == 200


async def test_of_two_admins_that_leave_at_once_one_stays(world: World, admin: User) -> None:
    others = [admin] + [
        await person(world, PartnerKind.MSP, world.msp.id, Role.ADMIN, email=f"a{n}@example.org") for n in range(4)
    ]
    gate = asyncio.Barrier(len(others))

    async def leave(user: User) -> bool:
        caller = Principal(world.msp.id, user.id, user_id=user.id)
        try:
            async with world.sessions.begin() as db:
                row = await partners.user_of(db, caller, user.id)
                await gate.wait()
                await partners.remove_user(db, caller, row, world.clock())
        except LastAdmin:
            return False
        return True

    assert sorted(await asyncio.gather(*map(leave, others))) == [False, True, True, True, True]


async def test_a_person_who_was_taken_off_is_out_at_once_and_the_address_is_free(
    client: httpx.AsyncClient, world: World, headers: Headers
) -> None:
    leaving = await person(world, PartnerKind.MSP, world.msp.id, Role.MEMBER, email="gone@example.org")
    theirs = await session_of(world, leaving)
    assert (await client.delete(f"/v1/users/{ids.show('user', leaving.id)}", headers=headers)).status_code == 204
    assert (await client.get("/v1/me", headers=theirs)).status_code == 401
    await person(world, PartnerKind.MSP, world.msp.id, Role.MEMBER, email="gone@example.org")


async def test_a_lost_admin_is_replaced_a_day_after_a_letter_to_the_old_ones(
    client: httpx.AsyncClient, world: World, admin: User, headers: Headers
) -> None:
    vendor = await signed_in(world, PartnerKind.VENDOR)
    url = f"/v1/msps/{ids.show('msp', world.msp.id)}/admin-replacements"
    body = {"email": "new@example.org", "reason": "Nobody is left."}
    assert (await client.post(url, json=body, headers=vendor)).status_code == 201
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    assert [message["To"] for message in mailbox.messages] == [admin.email]
    assert "Nobody is left." in mailbox.last()
    world.clock.advance(hours=11)
    assert (await client.get("/v1/me", headers=headers)).status_code == 200
    world.clock.advance(hours=11)
    assert (await client.get("/v1/me", headers=headers)).status_code == 200
    world.clock.advance(hours=1, minutes=59)
    await look_after_people(world)
    assert (await client.get("/v1/me", headers=headers)).status_code == 200
    world.clock.advance(minutes=1)
    await look_after_people(world)
    assert (await client.get("/v1/me", headers=headers)).status_code == 401
    await deliver_letters(world, mailbox)
    accepted = {"token": mailbox.token(), "name": "New", "password": PASSWORD}
    assert (await client.post("/v1/invitations/acceptance", json=accepted)).json()["role"] == "admin"


async def test_a_replacement_that_was_taken_back_does_not_happen(
    client: httpx.AsyncClient, world: World, headers: Headers
) -> None:
    vendor = await signed_in(world, PartnerKind.VENDOR)
    url = f"/v1/msps/{ids.show('msp', world.msp.id)}/admin-replacements"
    made = (await client.post(url, json={"email": "n@example.org", "reason": "x"}, headers=vendor)).json()
    assert (await client.delete(f"{url}/{made['id']}", headers=vendor)).status_code == 204
    world.clock.advance(hours=11)
    await client.get("/v1/me", headers=headers)
    world.clock.advance(hours=11)
    await client.get("/v1/me", headers=headers)
    world.clock.advance(hours=3)
    await look_after_people(world)
    assert (await client.get("/v1/me", headers=headers)).status_code == 200


async def test_a_new_password_by_letter_is_set_once_within_the_hour(
    client: httpx.AsyncClient, world: World, admin: User, headers: Headers
) -> None:
    mailbox = Mailbox()
    assert (await client.post("/v1/password-resets", json={"email": admin.email})).status_code == 202
    await deliver_letters(world, mailbox)
    new = {"token": mailbox.token(), "password": PASSWORD}
    short = await client.post("/v1/password-resets/completion", json={**new, "password": "short"})
    assert pointers(short) == ["/password"]
    assert (await client.post("/v1/password-resets/completion", json=new)).status_code == 204
    problem(await client.post("/v1/password-resets/completion", json=new), 404, "link_invalid")
    assert (await client.get("/v1/me", headers=headers)).status_code == 401
    begun = await client.post("/v1/sessions", json={"email": admin.email, "password": PASSWORD})
    assert begun.status_code == 201


async def test_a_letter_goes_to_nobody_s_address_without_a_link(client: httpx.AsyncClient, world: World) -> None:
    mailbox = Mailbox()
    await client.post("/v1/password-resets", json={"email": "nobody@example.org", "language": "en"})
    await deliver_letters(world, mailbox)
    assert "has no access" in mailbox.last()
    assert "token=" not in mailbox.last()


async def test_a_token_may_do_what_its_scopes_say_until_it_is_revoked(
    client: httpx.AsyncClient, world: World, headers: Headers
) -> None:
    made = await client.post("/v1/tokens", json={"name": "p", "scopes": ["keys:read"]}, headers=headers)
    token = {"Authorization": f"Bearer {made.json()['token']}"}
    assert made.json()["token"].startswith("tdm_")
    assert (await client.get("/v1/keys", headers=token)).status_code == 200
    refused = problem(await client.post("/v1/keys", json={"name": "x"}, headers=token), 403, "right_missing")
    assert refused["right"] == "keys:write"
    problem(await client.get("/v1/tokens", headers=token), 403, "right_missing")
    [listed] = (await client.get("/v1/tokens", headers=headers)).json()["items"]
    assert listed["last_used_at"] is not None
    assert "token" not in listed
    assert (await client.delete(f"/v1/tokens/{listed['id']}", headers=headers)).status_code == 204
    problem(await client.get("/v1/keys", headers=token), 401, "credential_invalid")


@pytest.mark.parametrize("scope", ["people:admin", "people:read", "all"])
async def test_no_token_manages_people(client: httpx.AsyncClient, headers: Headers, scope: str) -> None:
    answer = await client.post("/v1/tokens", json={"name": "p", "scopes": [scope]}, headers=headers)
    problem(answer, 422, "request_invalid")


async def test_a_rotated_token_goes_on_for_the_overlap(
    client: httpx.AsyncClient, world: World, headers: Headers
) -> None:
    made = (await client.post("/v1/tokens", json={"name": "p", "scopes": ["keys:read"]}, headers=headers)).json()
    url = f"/v1/tokens/{made['id']}/rotation"
    new = (await client.post(url, json={"overlap_hours": 1}, headers=headers)).json()
    for passed, expected in ((timedelta(minutes=59), 200), (timedelta(minutes=1), 401)):
        world.clock.advance(seconds=passed.total_seconds())
        old = {"Authorization": f"Bearer {made['token']}"}
        assert (await client.get("/v1/keys", headers=old)).status_code == expected
    assert (await client.get("/v1/keys", headers={"Authorization": f"Bearer {new['token']}"})).status_code == 200


def test_the_rights_of_a_role_hold_those_of_the_one_below() -> None:
    viewer, member, admin = (partners.rights_of(role) for role in Role)
    assert viewer < member < admin == frozenset(Right)


async def test_tokens_sessions_and_passwords_are_nowhere_plain_in_the_database(
    client: httpx.AsyncClient, world: World, headers: Headers, owner: AsyncEngine
) -> None:
    token = (await client.post("/v1/tokens", json={"name": "p", "scopes": ["keys:read"]}, headers=headers)).json()[
        "token"
    ]
    session = headers["Authorization"].removeprefix("Bearer ")
    async with owner.connect() as db:  # who also reads the partitions
        tables = await db.scalars(text("select tablename from pg_tables where schemaname = 'public'"))
        for table in list(tables):
            rows = str((await db.execute(text(f"select t::text from {table} t"))).all())
            assert token not in rows, table
            assert session not in rows, table
