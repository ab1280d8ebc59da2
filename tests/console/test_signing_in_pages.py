"""Signing in and out by pages: what the cookie is, what a form must carry, and where one ends up."""

import httpx
import pyotp

from license_api.console.route import TOKEN_FIELD
from services import partners
from services.partners import VENDOR_ID, Partner, PartnerKind, Role, User
from services.partners.passwords import hash_password
from tests.console.conftest import Opened, Somebody
from tests.support.console import COOKIE
from tests.support.people import PASSWORD, TOTP_SECRET, person
from tests.support.world import World


async def somebody_with_a_password(world: World, email: str = "maria@adriatica.example") -> User:
    async with world.sessions.begin() as db:
        return await partners.add_user(
            db,
            Partner(PartnerKind.MSP, world.msp.id),
            email=email,
            name="Maria Rossi",
            role=Role.ADMIN,
            language="en",
            password_hash=await hash_password(PASSWORD),
            now=world.clock(),
        )


async def test_a_password_opens_the_first_page_and_the_session_is_a_new_one(world: World, open_window: Opened) -> None:
    await somebody_with_a_password(world)
    window = await open_window(script=False)
    await window.open("/sites?q=x")
    await window.page.get_by_label("E-mail address").fill("maria@adriatica.example")
    await window.page.get_by_label("Password").fill("wrong horse")
    await window.page.get_by_role("button", name="Sign in").click()
    assert await window.says("The address or the password is wrong.")
    await window.page.get_by_label("E-mail address").fill("maria@adriatica.example")
    await window.page.get_by_label("Password").fill(PASSWORD)
    await window.page.get_by_role("button", name="Sign in").click()
    assert window.page.url.endswith("/sites?q=x")
    [cookie] = [one for one in await window.context.cookies() if one["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    await window.page.get_by_role("button", name="Sign out").click()
    assert await window.says("You have signed out.")
    await window.context.add_cookies([cookie])  # type: ignore[list-item]
    await window.open("/sites")
    assert "/sign-in" in window.page.url


async def test_the_vendor_s_people_give_a_code_too(world: World, open_window: Opened) -> None:
    user = await person(world, PartnerKind.VENDOR, VENDOR_ID)
    async with world.sessions.begin() as db:
        attached = await db.get_one(User, user.id)
        attached.password_hash, attached.language = await hash_password(PASSWORD), "en"
    window = await open_window(script=False)
    await window.open("/sign-in")
    await window.page.get_by_label("E-mail address").fill(user.email)
    await window.page.get_by_label("Password").fill(PASSWORD)
    await window.page.get_by_role("button", name="Sign in").click()
    assert PASSWORD not in await window.page.content()
    await window.page.get_by_label("Code of your authenticator").fill("000000")
    await window.page.get_by_role("button", name="Sign in").click()
    assert await window.says("The code of the second factor is wrong")
    code = pyotp.TOTP(TOTP_SECRET).at(world.clock())
    await window.page.get_by_label("Code of your authenticator").fill(code)
    await window.page.get_by_role("button", name="Sign in").click()
    await window.page.get_by_role("heading", name="The fleet").wait_for()


async def test_a_form_without_its_token_does_nothing(as_somebody: Somebody) -> None:
    pages = await as_somebody()
    for fields in ({}, {TOKEN_FIELD: "0" * 64}):
        answer = await pages.client.post("/sign-out", data=fields, headers={"Accept-Language": "en"})
        assert (answer.status_code, "out of date" in answer.text) == (403, True)
    answer = await pages.client.post("/sign-out", data={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert (await pages.get("/sites")).status_code == 200


async def test_where_to_go_after_signing_in_is_never_another_host(world: World, client: httpx.AsyncClient) -> None:
    await somebody_with_a_password(world)
    for wanted in ("https://evil.example", "//evil.example", "/\\evil.example", "/x\\..", "javascript:alert(1)"):
        page = await client.get("/sign-in", params={"next": wanted})
        assert "evil" not in page.text
        assert "javascript" not in page.text


async def test_every_page_has_the_strict_headers_and_nothing_inline(as_somebody: Somebody) -> None:
    pages = await as_somebody()
    for path in ("/", "/sites", "/nothing-like-this", "/sign-in"):
        answer = await pages.get(path, accept="text/html")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
        assert "style=" not in answer.text
        assert "http://" not in answer.text.replace("http://www.w3.org", "")


async def test_the_cookie_is_secure_under_a_prefix_where_the_portal_is_reached_by_https(
    world: World, as_somebody: Somebody
) -> None:
    pages = await as_somebody()
    app = pages.client._transport.app  # type: ignore[attr-defined]
    object.__setattr__(app.state.service, "public_url", "https://portal.example")
    answer = await pages.client.get("/sign-in")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-tidemark_visit=")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"))
    assert "strict-transport-security" in answer.headers
