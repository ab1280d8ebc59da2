"""Signing in: the same work for somebody as for nobody, the second factor, sessions, and who is not locked out."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from services import partners
from services.partners import Partner, PartnerKind, Role, User
from services.partners.passwords import hash_password
from tests.support.people import PASSWORD, person, session_of
from tests.support.problems import problem
from tests.support.world import World


@pytest.fixture
async def maria(world: World) -> User:
    async with world.sessions.begin() as db:
        return await partners.add_user(
            db,
            Partner(PartnerKind.MSP, world.msp.id),
            email="Maria@Adriatica.example",
            name="Maria",
            role=Role.ADMIN,
            language="it",
            password_hash=await hash_password(PASSWORD),
            now=world.clock(),
        )


def sign_in(password: str = PASSWORD, email: str = "maria@adriatica.example", **more: str) -> dict[str, str]:
    return {"email": email, "password": password, **more}


async def at(app: FastAPI, address: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://tidemark.test") as made:
        yield made


async def test_a_session_is_begun_used_listed_and_ended(client: httpx.AsyncClient, maria: User) -> None:
    begun = await client.post("/v1/sessions", json=sign_in())
    assert begun.status_code == 201, begun.text
    headers = {"Authorization": f"Bearer {begun.json()['secret']}"}
    assert (await client.get("/v1/me", headers=headers)).json()["partner_kind"] == "msp"
    [listed] = (await client.get("/v1/sessions", headers=headers)).json()["items"]
    assert listed["current"]
    assert (await client.delete(f"/v1/sessions/{listed['id']}", headers=headers)).status_code == 204
    problem(await client.get("/v1/me", headers=headers), 401, "credential_invalid")


@pytest.mark.parametrize("body", [sign_in("wrong password"), sign_in(email="nobody@adriatica.example")])
async def test_a_wrong_password_and_an_unknown_address_have_one_answer(
    client: httpx.AsyncClient, maria: User, body: dict[str, str]
) -> None:
    said = problem(await client.post("/v1/sessions", json=body), 401, "sign_in_failed")
    assert said["detail"] == "The address or the password is wrong."


async def test_the_same_statements_are_made_for_somebody_as_for_nobody(
    client: httpx.AsyncClient, app: FastAPI, maria: User
) -> None:
    engine: AsyncEngine = app.state.service.sessions.kw["bind"]
    made: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: made.append(given[2]))
    counts = []
    for body in (sign_in("wrong password"), sign_in(email="nobody@adriatica.example")):
        made.clear()
        await client.post("/v1/sessions", json=body)
        counts.append(list(made))
    assert counts[0] == counts[1]
    counts.clear()
    for email in ("maria@adriatica.example", "nobody@adriatica.example"):
        made.clear()
        answer = await client.post("/v1/password-resets", json={"email": email})
        counts.append([*made, str(answer.status_code), answer.text])
    assert counts[0] == counts[1]


async def test_one_password_is_verified_whoever_the_address_is(
    client: httpx.AsyncClient, world: World, maria: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = await person(world, PartnerKind.MSP, world.msp.id, email="gone@adriatica.example")
    await person(world, PartnerKind.MSP, world.msp.id, email="no-password@adriatica.example")
    async with world.sessions.begin() as db:
        await partners.remove_user(
            db, partners.Principal(world.msp.id, gone.id), await db.get_one(User, gone.id), world.clock()
        )
    verified: list[str] = []
    verify = Argon2Hasher.verify

    def counted(hasher: Argon2Hasher, password: str, hashed: str) -> bool:
        verified.append(hashed)
        return verify(hasher, password, hashed)

    monkeypatch.setattr(Argon2Hasher, "verify", counted)
    counts = {}
    for email in ("maria", "nobody", "gone", "no-password"):
        verified.clear()
        answer = await client.post("/v1/sessions", json=sign_in("wrong", f"{email}@adriatica.example"))
        # With the same parameters too: those of a hash stand before its salt.
        counts[email] = (answer.status_code, [one.rpartition("$")[0].rpartition("$")[0] for one in verified])
    assert len(counts["maria"][1]) == 1
    assert set(map(str, counts.values())) == {str(counts["maria"])}
    verified.clear()
    for email in ("maria", "nobody"):
        await client.post("/v1/password-resets", json={"email": f"{email}@adriatica.example"})
    assert verified == []


async def test_a_hash_of_nobody_s_is_checked_when_there_is_nobody(maria: User) -> None:
    assert not await partners.passwords.right_password(PASSWORD, None)
    assert not await partners.passwords.right_password("nobody", None)


async def test_ten_wrong_passwords_slow_that_network_and_not_the_owner_s(app: FastAPI, maria: User) -> None:
    async for owner in at(app, "198.51.100.1"):
        assert (await owner.post("/v1/sessions", json=sign_in())).status_code == 201
    async for stranger in at(app, "203.0.113.9"):
        for _ in range(10):
            assert (await stranger.post("/v1/sessions", json=sign_in("wrong"))).status_code == 401
        slowed = await stranger.post("/v1/sessions", json=sign_in("wrong"))
        problem(slowed, 429, "too_many_attempts")
        assert int(slowed.headers["retry-after"]) > 0
        problem(await stranger.post("/v1/sessions", json=sign_in()), 429, "too_many_attempts")
    async for owner in at(app, "198.51.100.1"):
        assert (await owner.post("/v1/sessions", json=sign_in())).status_code == 201


async def test_many_networks_slow_unknown_ones_and_not_the_one_the_owner_uses(
    app: FastAPI, world: World, maria: User
) -> None:
    attempts, email = app.state.service.attempts, "target@adriatica.example"
    async with world.sessions.begin() as db:
        (await db.get_one(User, maria.id)).email = email
    for number in range(100):
        await attempts.sign_in(f"203.0.113.{number}", email, known=False)
    async for stranger in at(app, "198.51.100.77"):
        problem(await stranger.post("/v1/sessions", json=sign_in("wrong", email)), 429, "too_many_attempts")
    async with world.sessions.begin() as db:
        await partners.begin_session(
            db,
            await db.get_one(User, maria.id),
            origin=partners.Origin("198.51.100.5"),
            program=None,
            now=world.clock(),
        )
    async for owner in at(app, "198.51.100.5"):
        assert (await owner.post("/v1/sessions", json=sign_in(email=email))).status_code == 201


async def test_a_second_factor_is_asked_for_and_each_code_is_good_once(
    client: httpx.AsyncClient, world: World, maria: User
) -> None:
    headers = await session_of(world, maria)
    secret = (await client.post("/v1/me/totp", headers=headers)).json()["secret"]
    totp = pyotp.TOTP(secret)
    code = totp.at(world.clock())
    confirmed = await client.put("/v1/me/totp", json={"code": code}, headers=headers)
    assert confirmed.status_code == 200, confirmed.text
    problem(await client.post("/v1/sessions", json=sign_in()), 401, "code_needed")
    problem(await client.post("/v1/sessions", json=sign_in(code=code)), 401, "code_wrong")  # spent
    world.clock.advance(seconds=30)
    again = sign_in(code=totp.at(world.clock()))
    assert (await client.post("/v1/sessions", json=again)).status_code == 201
    problem(await client.post("/v1/sessions", json=again), 401, "code_wrong")
    recovery = sign_in(code=confirmed.json()["codes"][0])
    assert (await client.post("/v1/sessions", json=recovery)).status_code == 201
    problem(await client.post("/v1/sessions", json=recovery), 401, "code_wrong")


async def test_the_vendor_s_people_do_nothing_before_they_have_a_second_factor(
    client: httpx.AsyncClient, world: World
) -> None:
    user = await person(world, PartnerKind.VENDOR, partners.VENDOR_ID)
    async with world.sessions.begin() as db:
        (await db.get_one(User, user.id)).totp_confirmed_at = None
        (await db.get_one(User, user.id)).totp_sealed = None
    headers = await session_of(world, user)
    problem(await client.get("/v1/msps", headers=headers), 403, "totp_required")
    assert (await client.get("/v1/me", headers=headers)).json()["totp_required"]
    secret = (await client.post("/v1/me/totp", headers=headers)).json()["secret"]
    code = pyotp.TOTP(secret).at(world.clock())
    assert (await client.put("/v1/me/totp", json={"code": code}, headers=headers)).status_code == 200
    assert (await client.get("/v1/msps", headers=headers)).status_code == 200
    assert (await client.delete("/v1/me/totp", headers=headers)).status_code == 403


async def test_a_grave_act_asks_for_a_fresh_sign_in(client: httpx.AsyncClient, world: World, maria: User) -> None:
    headers = await session_of(world, maria)
    invitation = {"email": "new@example.org", "role": "viewer"}
    world.clock.advance(minutes=10)
    problem(await client.post("/v1/invitations", json=invitation, headers=headers), 403, "fresh_sign_in_needed")
    wrong = await client.post("/v1/sessions/current/confirmation", json={"password": "wrong"}, headers=headers)
    problem(wrong, 401, "sign_in_failed")
    confirmed = await client.post("/v1/sessions/current/confirmation", json={"password": PASSWORD}, headers=headers)
    assert confirmed.status_code == 204, confirmed.text
    assert (await client.post("/v1/invitations", json=invitation, headers=headers)).status_code == 201


@pytest.mark.parametrize("wait", [timedelta(hours=12), timedelta(days=14)])
async def test_a_session_ends_when_idle_and_after_a_fortnight(
    client: httpx.AsyncClient, world: World, maria: User, wait: timedelta
) -> None:
    headers = await session_of(world, maria)
    steps = int(wait / timedelta(hours=11)) if wait > timedelta(days=1) else 0
    for _ in range(steps):
        world.clock.advance(hours=11)
        assert (await client.get("/v1/me", headers=headers)).status_code == 200
    world.clock.advance(hours=12)
    assert (await client.get("/v1/me", headers=headers)).status_code == 401


async def test_a_new_password_ends_the_other_sessions(client: httpx.AsyncClient, world: World, maria: User) -> None:
    here, elsewhere = await session_of(world, maria), await session_of(world, maria)
    change = {"old": PASSWORD, "new": "another long password"}
    assert (await client.post("/v1/me/password", json=change, headers=here)).status_code == 204
    assert (await client.get("/v1/me", headers=here)).status_code == 200
    assert (await client.get("/v1/me", headers=elsewhere)).status_code == 401
    assert (await client.post("/v1/sessions", json=sign_in("another long password"))).status_code == 201


async def test_ten_wrong_codes_slow_that_network_and_the_password_frees_none(
    app: FastAPI, world: World, maria: User
) -> None:
    headers = await session_of(world, maria)
    async for owner in at(app, "198.51.100.21"):
        totp = pyotp.TOTP((await owner.post("/v1/me/totp", headers=headers)).json()["secret"])
        await owner.put("/v1/me/totp", json={"code": totp.at(world.clock())}, headers=headers)
    async for thief in at(app, "203.0.113.21"):  # who knows the password
        for number in range(10):
            body = sign_in(code=f"{number:06}") if number % 2 else sign_in()
            assert (await thief.post("/v1/sessions", json=body)).status_code == 401
        problem(await thief.post("/v1/sessions", json=sign_in(code="000000")), 429, "too_many_attempts")
    world.clock.advance(seconds=60)
    async for owner in at(app, "198.51.100.21"):
        right = sign_in(code=totp.at(world.clock()))
        assert (await owner.post("/v1/sessions", json=right)).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/sessions/current/confirmation", {"password": "wrong"}),
        ("POST", "/v1/me/password", {"old": "wrong", "new": "another long password"}),
        ("PUT", "/v1/me/totp", {"code": "000000"}),
    ],
)
async def test_a_stolen_session_tries_ten_times_from_everywhere_and_the_owner_s_own_goes_on(
    app: FastAPI, world: World, maria: User, method: str, path: str, body: dict[str, str]
) -> None:
    stolen, own = await session_of(world, maria), await session_of(world, maria)
    for number in range(11):
        async for thief in at(app, f"203.0.113.{100 + number}"):
            answer = await thief.request(method, path, json=body, headers=stolen)
            assert answer.status_code in ((429,) if number == 10 else (401, 409)), answer.text
    async for owner in at(app, "203.0.113.110"):
        confirmed = await owner.post("/v1/sessions/current/confirmation", json={"password": PASSWORD}, headers=own)
        assert confirmed.status_code == 204


@pytest.mark.parametrize(
    ("place", "path", "more"),
    [
        ("2001:db8:51", "/v1/invitations/acceptance", {"name": "A", "password": PASSWORD}),
        ("2001:db8:52", "/v1/password-resets/completion", {"password": PASSWORD}),
        ("2001:db8:53", "/v1/registrations/verification", {}),
    ],
)
async def test_wrong_links_are_slowed_by_network(app: FastAPI, place: str, path: str, more: dict[str, str]) -> None:
    async for stranger in at(app, f"{place}::1"):
        for number in range(30):
            answer = await stranger.post(path, json={"token": f"guess {number}", **more})
            problem(answer, 404, "link_invalid")
    async for neighbour in at(app, f"{place}::2"):
        problem(await neighbour.post(path, json={"token": "guess", **more}), 429, "too_many_attempts")
    async for other in at(app, f"{place}:1::1"):
        problem(await other.post(path, json={"token": "guess", **more}), 404, "link_invalid")


async def test_wrong_tokens_are_slowed_by_network_and_a_good_one_never_is(app: FastAPI, world: World) -> None:
    good = {"Authorization": f"Bearer {await world.token()}"}
    async for caller in at(app, "2001:db8:7::1"):
        for _ in range(30):
            assert (await caller.get("/v1/me", headers={"Authorization": "Bearer tdm_wrong"})).status_code == 401
    async for neighbour in at(app, "2001:db8:7::ffff"):  # of the same /64
        problem(await neighbour.get("/v1/me", headers={"Authorization": "Bearer tdm_x"}), 429, "too_many_attempts")
        assert (await neighbour.get("/v1/me", headers=good)).status_code == 200
