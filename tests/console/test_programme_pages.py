"""The Partner Team's rooms, and a company's way in: documents, registrations, MSPs, distributors, held sweeps."""

import re

import httpx
import pytest
from fastapi import FastAPI

from license_api.console.language import translations
from license_api.console.route import TOKEN_FIELD
from services import ids, partners
from services.delivery import Letter
from services.partners import VENDOR_ID, DocumentKind, Draft, Msp, PartnerKind, Principal, Role
from tests.console.conftest import Opened, Somebody
from tests.support.browser import LOOKS, Look
from tests.support.console import pages_of, text_of
from tests.support.mail import PUBLIC_URL, Mailbox, deliver_letters
from tests.support.people import PASSWORD, person
from tests.support.world import World

VAT = "IT00743110157"


async def publish(world: World) -> None:
    """The terms and the privacy notice that a registration accepts."""
    vera = Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, name="vera")
    async with world.sessions.begin() as db:
        for kind in (DocumentKind.TERMS, DocumentKind.PRIVACY):
            await partners.publish(db, vera, Draft(kind, "2026-01", "Testo.\n\nUno.", "Text.\n\nOne."), world.clock())


async def sent(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """A form of somebody who is not signed in."""
    page = await client.get(path.partition("?")[0], headers={"Accept-Language": "en"})
    [token] = set(re.findall(rf'name="{TOKEN_FIELD}" value="(\w+)"', page.text))
    return await client.post(path, data={TOKEN_FIELD: token, **fields}, headers={"Accept-Language": "en"})


async def registered(world: World, client: httpx.AsyncClient, company: str = "Brenta Servizi") -> str:
    """A company that has confirmed its address; the id of its registration."""
    await publish(world)
    fields = {"company": company, "country": "IT", "vat_number": VAT, "contact": "Giulia Marin"}
    answer = await sent(client, "/register", **fields, email="giulia@brenta.example", terms="on", privacy="on")
    assert "A letter is on its way" in text_of(answer)
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    async with world.sessions.begin() as db:
        await partners.verify_registration(db, token=mailbox.token(), origin=partners.Origin(), now=world.clock())
        [row] = await partners.registrations(db, undecided=True, after=None, limit=5)
        return ids.show("registration", row.id)


async def hold_a_sweep(world: World) -> None:
    """Eleven sites that would all be disabled at once."""
    for number in range(11):
        await world.running((1, 0, 0), f"Site {number}")
    await world.pass_time(days=13)
    await world.sweep()
    await world.pass_time(days=1, hours=1)
    while not (await world.sweep()).held:
        pass


async def test_a_registration_accepts_the_versions_in_force_and_nothing_else_opens_it(
    world: World, client: httpx.AsyncClient
) -> None:
    assert "Registration opens when" in text_of(await client.get("/register", headers={"Accept-Language": "en"}))
    await publish(world)
    fields = {"company": "Brenta", "country": "IT", "vat_number": "IT1", "contact": "G", "email": "g@brenta.example"}
    unticked = await sent(client, "/register", **fields)
    assert unticked.status_code == 422
    wrong = await sent(client, "/register", **fields, terms="on", privacy="on")
    assert "This is not a VAT number of that country." in text_of(wrong)
    [document] = set(re.findall(r"/documents/(document_\w+)", wrong.text.partition("Terms, version")[0]))
    read = await client.get(f"/documents/{document}", headers={"Accept-Language": "it"})
    assert "Condizioni del programma" in text_of(read)
    assert "Testo." in text_of(read)


async def test_a_registration_is_approved_once_and_its_contact_invited(
    world: World, client: httpx.AsyncClient, as_somebody: Somebody
) -> None:
    registration = await registered(world, client)
    pages = await as_somebody(PartnerKind.VENDOR)
    assert "Brenta Servizi" in text_of(await pages.get("/registrations"))
    page = await pages.post(f"/registrations/{registration}/approve", name="Brenta")
    assert "No distributor has this country" in text_of(page)
    under = ids.show("distributor", world.distributor.id)
    taken = await pages.post(f"/registrations/{registration}/approve", name="Adriatica IT", distributor_id=under)
    assert "Another partner has this name." in text_of(taken)
    done = await pages.post(f"/registrations/{registration}/approve", name="Brenta", distributor_id=under)
    page = await pages.get(done.headers["location"])
    assert "giulia@brenta.example" in page.text
    again = await pages.post(f"/registrations/{registration}/approve", name="Brenta 2", distributor_id=under)
    assert again.status_code == 409
    assert "Nothing" not in text_of(await pages.get("/registrations?show=all"))


async def test_a_rejection_gives_its_reason_in_the_letter(
    world: World, client: httpx.AsyncClient, as_somebody: Somebody
) -> None:
    registration = await registered(world, client)
    pages = await as_somebody(PartnerKind.VENDOR)
    assert (await pages.post(f"/registrations/{registration}/reject", reason="")).status_code == 422
    await pages.post(f"/registrations/{registration}/reject", reason="No resellers in this area.")
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    assert "No resellers in this area." in mailbox.last()
    assert "Rejected" in text_of(await pages.get("/registrations?show=all"))


async def test_only_the_vendor_has_the_rooms_of_the_vendor(world: World, as_somebody: Somebody) -> None:
    other = await world.another_distributor("Altro")
    stranger = await world.another_msp("Estranea", other)
    for kind in (PartnerKind.MSP, PartnerKind.DISTRIBUTOR):
        pages = await as_somebody(kind)
        for path in ("/registrations", "/distributors", "/held", "/documents/new", "/distributors/new"):
            assert (await pages.get(path)).status_code == 403, (kind, path)
        answer = await pages.post("/documents", kind="terms", version="1", text_it="a", text_en="b")
        assert answer.status_code == 403
    assert "Estranea" not in text_of(await pages.get("/msps"))
    for path in ("", "/suspend", "/resume"):
        assert (await pages.get(f"/msps/{ids.show('msp', stranger.id)}{path}")).status_code == 404
    assert (await pages.get(f"/distributors/{ids.show('distributor', other.id)}")).status_code == 404


async def test_a_distributor_suspends_its_msp_with_all_its_keys_and_resumes_it(
    world: World, as_somebody: Somebody
) -> None:
    machine = await world.running((3, 0, 0))
    pages, here = await as_somebody(PartnerKind.DISTRIBUTOR), f"/msps/{ids.show('msp', world.msp.id)}"
    assert "Restores never stop." in text_of(await pages.get(f"{here}/suspend"))
    assert (await pages.post(f"{here}/suspend")).status_code == 422
    await pages.post(f"{here}/suspend", reason="Invoice unpaid")
    assert (await world.key_of(machine)).msp_suspended_at is not None
    assert "Invoice unpaid" in text_of(await pages.get(here))
    assert "msp.suspended" in text_of(await pages.get("/audit-log"))
    await pages.post(f"{here}/resume")
    assert (await world.key_of(machine)).msp_suspended_at is None


async def test_an_msp_changes_its_own_data_and_an_empty_field_takes_away(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody()
    here = (await pages.get("/msps/own")).headers["location"]
    await pages.post(here, technical_email="noc@adriatica.example", legal_name="Adriatica S.r.l.", language="en")
    assert "noc@adriatica.example" in (await pages.get(here)).text
    await pages.post(here, technical_email="", legal_name="Adriatica S.r.l.", language="en")
    assert "noc@adriatica.example" not in (await pages.get(here)).text
    renamed = await pages.post(here, name="Another name", language="en")
    async with world.sessions() as db:
        assert (await db.get_one(Msp, world.msp.id)).name == "Adriatica IT", renamed.status_code


async def test_the_vendor_moves_closes_and_gives_a_new_admin(world: World, as_somebody: Somebody) -> None:
    other = await world.another_distributor("Altro")
    pages, here = await as_somebody(PartnerKind.VENDOR), f"/msps/{ids.show('msp', world.msp.id)}"
    await person(world, PartnerKind.MSP, world.msp.id)
    await pages.post(f"{here}/move", distributor_id=ids.show("distributor", other.id))
    assert "until" in text_of(await pages.get(here))
    assert "It moves already." in text_of(await pages.get(f"{here}/move"))
    await pages.post(f"{here}/replacement", email="new@adriatica.example", language="it", reason="She has left.")
    page = await pages.get(here)
    assert "new@adriatica.example" in page.text
    [withdraw] = re.findall(r'href="(/msps/\w+/replacements/\w+/withdraw)"', page.text)
    await pages.post(withdraw)
    assert "Called off" in text_of(await pages.get(here))
    await pages.post(f"{here}/close", reason="Bankrupt")
    assert "Closed" in text_of(await pages.get("/msps?standing=closed"))


async def test_a_distributor_is_appointed_for_countries_that_are_nobody_s(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody(PartnerKind.VENDOR)
    made = await pages.post("/distributors", name="Iberia", zone="Europe/Madrid", territory="es, pt", language="en")
    here = made.headers["location"]
    assert "ES, PT" in text_of(await pages.get(here))
    taken = await pages.post("/distributors", name="Lusitania", zone="Europe/Lisbon", territory="PT", language="en")
    assert "Another distributor has one of these countries." in text_of(taken)
    await world.another_distributor("Distribution")
    named = await pages.post(here, name="Distribution", territory="ES", email="x@iberia.example", language="en")
    assert "Another partner has this name." in text_of(named)
    await pages.post(here, name="Iberia", territory="ES", email="x@iberia.example", language="en")
    assert "x@iberia.example" in (await pages.get("/distributors")).text


async def test_a_document_is_published_once_in_both_languages(as_somebody: Somebody) -> None:
    pages = await as_somebody(PartnerKind.VENDOR)
    fields = {"kind": "terms", "text_it": "Testo", "text_en": "Text"}
    await pages.post("/documents", version="2026-01", **fields)
    again = await pages.post("/documents", version="2026-01", **fields)
    assert "This version has been published already" in text_of(again)
    await pages.post("/documents", version="2026-02", **fields)
    listed = text_of(await pages.get("/documents"))
    assert (listed.count("In force"), listed.count("Superseded")) == (1, 1)
    msp = await as_somebody()
    assert "2026-02" in text_of(await msp.get("/documents"))
    assert "/documents/new" not in (await msp.get("/documents")).text


async def test_the_vendor_lets_a_held_sweep_go_on(world: World, as_somebody: Somebody) -> None:
    await hold_a_sweep(world)
    pages = await as_somebody(PartnerKind.VENDOR)
    page = await pages.get("/held")
    assert "Adriatica IT" in text_of(page)
    [release] = re.findall(r'href="(/held/\w+/release)"', page.text)
    await pages.post(release)
    assert "Nothing is held." in text_of(await pages.get("/held"))
    assert (await world.sweep()).disabled == 11


async def test_letters_show_what_the_mail_server_said(world: World, as_somebody: Somebody, app: FastAPI) -> None:
    pages = await as_somebody()
    async with world.sessions.begin() as db:
        db.add(
            Letter(
                id=ids.new_id(world.clock()), occasion="x", kind="silence_warning", recipient="noc@example.org",
                language="it", values={}, partner_id=world.msp.id, posted_at=world.clock(), next_attempt_at=None,
                attempts=1, sent_at=None, failure="550 no such user",
            )
        )  # fmt: skip
    assert "Undeliverable" in text_of(await pages.get("/letters?show=refused"))
    other = await world.another_msp("Altra")
    theirs = await pages_of(app, world, await person(world, PartnerKind.MSP, other.id))
    assert "noc@example.org" not in (await theirs.get("/letters")).text
    await theirs.client.aclose()


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_a_company_registers_is_approved_and_signs_in(world: World, open_window: Opened, look: Look) -> None:
    """The whole way of a prospective MSP in a browser."""
    await publish(world)
    say = translations(look.language).gettext
    mailbox, window = Mailbox(), await open_window(**look._asdict())
    await window.open("/sign-in")
    page = window.page
    await page.get_by_role("link", name=say("Become a partner")).click()
    await page.get_by_label(say("Company, as registered")).fill("Brenta Servizi S.r.l.")
    await page.get_by_label(say("VAT number")).fill(VAT)
    await page.get_by_label(say("Your name")).fill("Giulia Marin")
    await page.get_by_label(say("E-mail address")).fill("giulia@brenta.example")
    await page.get_by_label(say("The terms of the programme")).check()
    await page.get_by_label(say("I have read the privacy notice")).check()
    await window.picture("register")
    await page.get_by_role("button", name=say("Register")).click()
    assert await window.says("Una lettera è in viaggio" if look.language == "it" else "A letter is on its way")
    await deliver_letters(world, mailbox)
    await window.open(f"/registrations/confirm?token={mailbox.token()}")
    await page.get_by_role("button", name=say("Confirm")).click()
    vera = await open_window(await person(world, PartnerKind.VENDOR, VENDOR_ID, Role.MEMBER), language="en")
    await vera.open("/registrations")
    await vera.page.get_by_role("link", name="Brenta Servizi S.r.l.").click()
    await vera.page.get_by_label("Distributor").select_option(label="Distribuzione")
    await vera.page.get_by_role("button", name="Approve").click()
    assert await vera.says("Approved: the contact is invited by letter.")
    await deliver_letters(world, mailbox)
    assert PUBLIC_URL in mailbox.last()
    await window.open(f"/invitations/accept?token={mailbox.token()}")
    await page.get_by_label(say("Your name")).fill("Giulia Marin")
    await page.get_by_label(say("New password")).fill(PASSWORD)
    await page.get_by_label(say("The same again")).fill(PASSWORD)
    await page.get_by_role("button", name=say("Accept the invitation")).click()
    await page.get_by_label(say("E-mail address")).fill("giulia@brenta.example")
    await page.get_by_label(say("Password")).fill(PASSWORD)
    await page.get_by_role("button", name=say("Sign in")).click()
    assert await page.get_by_role("heading", level=1).inner_text() == say("Needs you")


async def test_the_vendor_changes_a_distributor_s_zone_and_closes_it(world: World, as_somebody: Somebody) -> None:
    other = await world.another_distributor("Altro")
    pages = await as_somebody(PartnerKind.VENDOR)
    here = f"/distributors/{ids.show('distributor', world.distributor.id)}"
    unknown = await pages.post(f"{here}/zone", zone="Europe/Roma")
    assert unknown.status_code == 422
    await pages.post(f"{here}/zone", zone="Europe/Lisbon")
    page = text_of(await pages.get(here))
    assert "Europe/Rome → Europe/Lisbon" in page
    assert "Europe/Rome" in text_of(await pages.get("/distributors"))
    no_reason = await pages.post(f"{here}/close", to=ids.show("distributor", other.id))
    assert no_reason.status_code == 422
    await pages.post(f"{here}/close", to=ids.show("distributor", other.id), reason="It retires.")
    assert "Closed on" in text_of(await pages.get(here))
    assert "It is closed, or closes at the end of its month." in text_of(await pages.get(f"{here}/close"))
    member = await as_somebody(PartnerKind.VENDOR, Role.MEMBER)
    assert (await member.get(f"{here}/close")).status_code == 403
