"""The vendor's people are led to set up their second factor, and come in once they have."""

import re

import pyotp

from services.partners import VENDOR_ID, PartnerKind, User
from tests.console.conftest import Opened
from tests.support.people import person
from tests.support.world import World


async def test_a_vendor_s_person_sets_it_up_from_the_picture_and_comes_in(world: World, open_window: Opened) -> None:
    user = await person(world, PartnerKind.VENDOR, VENDOR_ID)
    async with world.sessions.begin() as db:
        bare = await db.get_one(User, user.id)
        bare.totp_sealed, bare.totp_confirmed_at = None, None
    window = await open_window(user, language="it", script=False)
    await window.open("/sites")
    assert window.page.url.endswith("/account/second-factor")
    await window.page.get_by_role("button", name="Mostra un nuovo segreto").click()
    assert await window.page.get_by_role("img", name="Codice QR del segreto qui sotto").is_visible()
    await window.picture("second-factor")
    [secret] = re.findall(r"<code>([A-Z2-7]{32})</code>", await window.page.content())
    code = window.page.get_by_label("Codice dell'app di autenticazione")
    await code.fill("000000")
    await window.page.get_by_role("button", name="Attiva", exact=True).click()
    await code.fill(pyotp.TOTP(secret).at(world.clock()))
    await window.page.get_by_role("button", name="Attiva", exact=True).click()
    await window.picture("recovery-codes")
    assert len(re.findall(r"<li><code>", await window.page.content())) == 10
    await window.page.get_by_role("link", name="Li ho conservati").click()
    assert window.page.url.endswith("/")
