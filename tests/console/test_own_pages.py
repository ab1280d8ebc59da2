"""One's own account and one's company's: password, sessions, codes, tokens, people; bare HTTP, as without script."""

import re
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from services import ids, partners
from services.partners import VENDOR_ID, PartnerKind, Role, User
from services.partners.passwords import hash_password
from tests.console.conftest import Somebody
from tests.support.console import Pages, pages_of, text_of
from tests.support.people import PASSWORD, TOTP_SECRET, person, session_of
from tests.support.world import World

NEW_PASSWORD = "a stone in the river bed"


async def with_password(world: World, pages: Pages) -> User:
    assert pages.user is not None
    async with world.sessions.begin() as db:
        user = await db.get_one(User, pages.user.id)
        user.password_hash = await hash_password(PASSWORD)
        return user


async def test_a_password_is_changed_with_the_old_one_and_other_sessions_end(
    world: World, as_somebody: Somebody, app: FastAPI
) -> None:
    pages = await as_somebody()
    user = await with_password(world, pages)
    other = await pages_of(app, world, user)
    wrong = await pages.post("/account/password", old="nonsense nonsense", password=NEW_PASSWORD, again=NEW_PASSWORD)
    assert wrong.status_code == 422
    differs = await pages.post("/account/password", old=PASSWORD, password=NEW_PASSWORD, again="another one entirely")
    assert "This is not the same as above." in text_of(differs)
    right = await pages.post("/account/password", old=PASSWORD, password=NEW_PASSWORD, again=NEW_PASSWORD)
    assert right.headers["location"] == "/account"
    assert (await other.get("/account")).status_code == 303
    assert "Your account" in text_of(await pages.get("/account"))


async def test_language_and_zone_are_one_s_own(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody(language="it")
    assert "Il Suo account" in text_of(await pages.get("/account"))
    nowhere = await pages.post("/account", name="Maria", language="en", zone="Europe/Atlantis")
    assert nowhere.status_code == 422
    await pages.post("/account", name="Maria R.", language="en", zone="Asia/Tokyo")
    page = await pages.get("/account")
    assert "Your sessions" in page.text
    assert f"{world.clock().astimezone(ZoneInfo('Asia/Tokyo')):%H:%M}" in page.text


async def test_sessions_are_listed_and_ended(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody()
    assert pages.user is not None
    world.clock.advance(minutes=1)
    await session_of(world, pages.user)
    page = await pages.get("/account")
    [other] = re.findall(r"/account/sessions/(session_\w+)/end", page.text)
    await pages.post(f"/account/sessions/{other}/end")
    assert "/account/sessions/session_" not in (await pages.get("/account")).text
    stranger = await as_somebody(PartnerKind.DISTRIBUTOR)
    assert (await stranger.post(f"/account/sessions/{other}/end")).status_code == 404


async def test_new_recovery_codes_are_shown_once_and_open_the_account(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody(PartnerKind.VENDOR)
    page = await pages.post("/account/recovery-codes")
    codes = re.findall(r"<li><code>(\w{16})</code>", page.text)
    assert len(codes) == 10
    user = await with_password(world, pages)
    async with world.sessions.begin() as db:
        origin = partners.Origin("192.0.2.9")
        begun = await partners.sign_in(
            db, world.desk.vault, email=user.email, password=PASSWORD, code=codes[0], origin=origin, program=None,
            now=world.clock(),
        )  # fmt: skip
    assert begun.secret
    assert codes[1] not in (await pages.get("/account/recovery-codes")).text
    assert (await pages.post("/account/second-factor/remove")).status_code == 403
    assert TOTP_SECRET not in page.text


async def test_a_token_is_shown_once_rotated_and_revoked(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody()
    assert "Tick at least one." in text_of(await pages.post("/tokens", name="Grafana"))
    made = await pages.post("/tokens", name="Grafana", scopes=["sites:read", "keys:read"], expires_on="2026-12-31")
    [text] = re.findall(r"tdm_[\w-]{43}", made.text)
    async with world.sessions() as db:
        assert (await partners.principal_of(db, text, world.clock())).rights == {"sites:read", "keys:read"}
    listed = await pages.get("/tokens")
    assert text not in listed.text
    [token_id] = re.findall(r"/tokens/(token_\w+)/revoke", listed.text)
    rotated = await pages.post(f"/tokens/{token_id}/rotate", overlap_hours="1")
    [new] = re.findall(r"tdm_[\w-]{43}", rotated.text)
    assert new != text
    assert "Programs that use it are refused" in text_of(await pages.get(f"/tokens/{token_id}/revoke"))
    await pages.post(f"/tokens/{token_id}/revoke")
    assert "Revoked" in text_of(await pages.get("/tokens"))


async def test_a_grave_act_asks_for_the_password_when_the_sign_in_is_old(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody()
    await with_password(world, pages)
    world.clock.advance(minutes=11)
    asked = await pages.post("/tokens", name="Late", scopes=["sites:read"])
    assert "Please confirm with your password." in text_of(asked)
    assert "tdm_" not in asked.text
    made = await pages.post("/tokens", name="Late", scopes=["sites:read"], password=PASSWORD)
    assert "tdm_" in made.text


async def test_somebody_is_invited_given_a_role_and_taken_off_but_the_last_admin_stays(
    world: World, as_somebody: Somebody
) -> None:
    pages = await as_somebody()
    await pages.post("/people/invitations", email="elena@example.org", role="member", language="it")
    page = await pages.get("/people")
    assert "elena@example.org" in page.text
    [invitation] = re.findall(r"/people/invitations/(invitation_\w+)/withdraw", page.text)
    await pages.post(f"/people/invitations/{invitation}/withdraw")
    assert "elena@example.org" not in (await pages.get("/people")).text
    own = ids.show("user", pages.user.id)  # type: ignore[union-attr]
    stays = await pages.post(f"/people/{own}", name="Maria", role="viewer", language="it")
    assert "The last admin cannot leave or step down" in text_of(stays)
    other = await person(world, PartnerKind.MSP, world.msp.id, Role.VIEWER)
    shown = ids.show("user", other.id)
    await pages.post(f"/people/{shown}", name="Ugo", role="member", language="en")
    assert "Ugo" in text_of(await pages.get(f"/people/{shown}"))
    await pages.post(f"/people/{shown}/remove")
    assert (await pages.get(f"/people/{shown}")).status_code == 404
    stranger = await person(world, PartnerKind.VENDOR, VENDOR_ID)
    assert (await pages.get(f"/people/{ids.show('user', stranger.id)}")).status_code == 404


async def test_a_viewer_reads_and_changes_nothing(as_somebody: Somebody) -> None:
    pages = await as_somebody(role=Role.VIEWER)
    for path in ("/people", "/tokens", "/webhooks", "/letters", "/audit-log", "/account"):
        answer = await pages.get(path)
        assert answer.status_code == 200, path
        assert "/tokens/new" not in answer.text
    assert (await pages.post("/tokens", name="x", scopes=["sites:read"])).status_code == 403
    assert (
        await pages.post("/people/invitations", email="x@example.org", role="admin", language="it")
    ).status_code == 403
    assert (await pages.get("/webhooks/new")).status_code == 403


async def test_an_endpoint_is_made_tested_changed_and_removed(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody()
    bad = await pages.post("/webhooks", url="http://hooks.example/x")
    assert bad.status_code == 422
    made = await pages.post("/webhooks", url="https://hooks.example/x", scheme="hmac", kinds="key.disabled")
    assert "whsec_" in made.text
    [endpoint] = set(re.findall(r"/webhooks/(endpoint_\w+)", (await pages.get("/webhooks")).text))
    await pages.post(f"/webhooks/{endpoint}/test")
    page = await pages.get(f"/webhooks/{endpoint}")
    assert "On its way" in text_of(page)
    assert "whsec_" not in page.text
    [delivery] = re.findall(r"/deliveries/(delivery_\w+)/replay", page.text)
    await pages.post(f"/webhooks/{endpoint}/deliveries/{delivery}/replay")
    assert (await pages.get(f"/webhooks/{endpoint}")).text.count("/replay") == 2
    assert "whsec_" in (await pages.post(f"/webhooks/{endpoint}/rotate")).text
    await pages.post(f"/webhooks/{endpoint}/switch")
    assert "by you" in text_of(await pages.get(f"/webhooks/{endpoint}"))
    await pages.post(f"/webhooks/{endpoint}", url="https://hooks.example/y", kinds="", description="", contact="")
    assert "https://hooks.example/y" in (await pages.get("/webhooks")).text
    stranger = await as_somebody(PartnerKind.DISTRIBUTOR)
    assert (await stranger.get(f"/webhooks/{endpoint}")).status_code == 404
    await pages.post(f"/webhooks/{endpoint}/remove")
    assert endpoint not in (await pages.get("/webhooks")).text
    log = text_of(await pages.get("/audit-log"))
    assert "endpoint.rotated" in log
    assert "Maria Rossi" in log
