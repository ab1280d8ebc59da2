"""Who comes and what for: a morning, a new customer, the Partner Team's day. The owner's, the distributor's and a
prospective MSP's visits are with their rooms. Texts are asked of the catalogue, so that each visit is one story.
"""

import pytest

from license_api.console.language import translations
from services.partners import VENDOR_ID, PartnerKind
from tests.console.conftest import Opened
from tests.console.test_first_page import morning
from tests.console.test_programme_pages import hold_a_sweep
from tests.support.browser import LOOKS, Look
from tests.support.machine import Machine
from tests.support.people import person
from tests.support.world import World


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_a_technician_in_the_morning(world: World, open_window: Opened, look: Look) -> None:
    await morning(world)
    say = translations(look.language).gettext
    window = await open_window(await person(world, PartnerKind.MSP, world.msp.id), **look._asdict())
    page = window.page
    await window.open("/")
    # Worst first, before anything is clicked or scrolled for.
    worst = page.locator("section.needs").first
    assert "Albergo Adria" in await worst.inner_text()
    box = await worst.bounding_box()
    assert box is not None
    assert box["y"] < 400
    assert await page.locator("section.needs li", has_text="Officina Rossi").first.is_visible()
    # The one about to be disabled: when, and no warning until next week.
    await worst.get_by_role("link", name="Albergo Adria").click()
    await page.get_by_role("button", name=say("Snooze")).click()
    assert await window.says(say("Warnings are snoozed until"))
    # The failed backups lead to the site that has them; the clone is shown with what to do.
    await window.open("/")
    await page.locator("section.needs").get_by_role("link", name="Officina Rossi").first.click()
    assert await page.get_by_role("heading", name="Officina Rossi").count() == 1
    assert await window.says(say("Clone suspected"))
    # What changed overnight.
    await window.open("/")
    assert await window.says(say("Since yesterday"))


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_a_technician_adds_a_customer(world: World, open_window: Opened, look: Look) -> None:
    say = translations(look.language).gettext
    window = await open_window(await person(world, PartnerKind.MSP, world.msp.id), **look._asdict())
    page = window.page
    await window.open("/keys")
    await page.get_by_role("link", name=say("New key")).click()
    await page.get_by_label(say("Name of the site")).fill("Pensione Miramare")
    await page.get_by_role("button", name=say("Make the key")).click()
    machine = Machine(await page.inner_text("#copied"), hostname="miramare-srv")
    if look.script:
        await page.locator(".live").wait_for()  # it has its stream
    await world.activate(machine)
    await world.beat(machine, (1, 4, 0))
    if not look.script:
        await page.get_by_role("link", name=say("look again")).click()
    await page.locator("strong", has_text="miramare-srv").wait_for()
    await page.get_by_role("link", name=say("To the site")).click()
    assert await window.says("Pensione Miramare")
    assert await window.says("miramare-srv")


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_the_partner_team_tries_a_policy_lets_a_sweep_go_on_and_publishes(
    world: World, open_window: Opened, look: Look
) -> None:
    await hold_a_sweep(world)
    say = translations(look.language).gettext
    window = await open_window(await person(world, PartnerKind.VENDOR, VENDOR_ID), **look._asdict())
    page = window.page
    await window.open("/policies")
    await page.get_by_role("link", name=say("The programme"), exact=True).click()
    await page.get_by_label(f"{say('Disable after')} ({say('days')})").fill("20")
    await page.get_by_role("button", name=say("Only try: what would it do now?")).click()
    assert await page.locator("#tried").get_by_text(say("would be disabled")).count() == 1
    await page.get_by_role("button", name=say("Set it")).click()
    assert f"20 {say('days')} {say('set here')}" in " ".join((await page.inner_text("main")).split())
    await window.open("/")
    await page.locator("section.needs").get_by_role("link", name="Adriatica IT").first.click()
    await window.open("/held")
    await page.get_by_role("link", name=f"{say('Let go…')} Adriatica IT").click()
    await page.get_by_role("button", name=say("Let it go on")).click()
    assert await window.says(say("Nothing is held."))
    await window.open("/documents")
    await page.get_by_role("link", name=say("Publish a version")).click()
    await page.get_by_label(say("Version"), exact=True).fill("2026-11")
    await page.get_by_label(say("Text in Italian")).fill("Testo")
    await page.get_by_label(say("Text in English")).fill("Text")
    await page.get_by_role("button", name=say("Publish")).click()
    assert await window.says(say("In force"))
