"""Keys by pages: made, shown, and everything that can be done to them, each after a page that says what follows."""

import re

import pytest

from services.ids import show
from services.keys import KeyState
from services.partners import PartnerKind, Role
from tests.console.conftest import Opened, Somebody
from tests.support.browser import NARROW, id_in
from tests.support.console import text_of
from tests.support.machine import Machine
from tests.support.people import person
from tests.support.world import World

CODE = re.compile(r'id="copied">([A-Z0-9-]+)<')


async def acted(world: World, as_somebody: Somebody, act: str, fields: dict[str, str]) -> KeyState:
    """How a key stands after an act."""
    machine = await world.running((3, 0, 0))
    key = await world.key_of(machine)
    pages, here = await as_somebody(), f"/keys/{show('key', key.id)}"
    page = text_of(await pages.get(f"{here}/acts/{act}"))
    assert act.capitalize() in page
    answer = await pages.post(f"{here}/acts/{act}", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, here)
    return (await world.key_of(machine)).state


@pytest.mark.parametrize(
    ("act", "fields", "state"),
    [
        ("suspend", {"reason": "unpaid"}, KeyState.SUSPENDED),
        ("revoke", {"reason": "gone"}, KeyState.REVOKED),
        ("release", {}, KeyState.ACTIVE),
        ("rename", {"name": "Hotel Nuovo", "reference": "77"}, KeyState.ACTIVE),
    ],
)
async def test_each_act_says_what_follows_and_does_it(
    world: World, as_somebody: Somebody, act: str, fields: dict[str, str], state: KeyState
) -> None:
    assert await acted(world, as_somebody, act, fields) is state


async def test_a_reason_is_asked_for_and_nothing_is_done_without_one(world: World, as_somebody: Somebody) -> None:
    machine = await world.running((3, 0, 0))
    pages, here = await as_somebody(), f"/keys/{show('key', (await world.key_of(machine)).id)}"
    answer = await pages.post(f"{here}/acts/revoke", reason="")
    assert (answer.status_code, "Please fill this in." in answer.text) == (422, True)
    assert (await world.key_of(machine)).state is KeyState.ACTIVE
    assert (await pages.post(f"{here}/acts/nothing")).status_code == 404


async def test_grave_acts_want_the_password_again_and_the_right(world: World, as_somebody: Somebody) -> None:
    machine = await world.running((3, 0, 0))
    here = f"/keys/{show('key', (await world.key_of(machine)).id)}"
    admin, member = await as_somebody(), await as_somebody(role=Role.MEMBER)
    assert CODE.search((await admin.post(f"{here}/code")).text)
    world.clock.advance(minutes=20)
    for act in ("code", "rotate", "acts/revoke", "acts/move", "acts/credential"):
        answer = await admin.post(f"{here}/{act}", reason="gone", to_msp="msp_x")
        assert (answer.status_code, "Please confirm with your password." in answer.text) == (422, True)
        assert (await member.post(f"{here}/{act}")).status_code == 403
    assert "Revoke the key" not in text_of(await member.get(here))
    assert (await world.key_of(machine)).state is KeyState.ACTIVE


async def test_a_code_that_is_rotated_is_shown_once_and_sent_twice_is_one(world: World, as_somebody: Somebody) -> None:
    machine = await world.running((3, 0, 0))
    key = await world.key_of(machine)
    pages, here = await as_somebody(), f"/keys/{show('key', key.id)}"
    codes = set()
    for _ in range(2):
        shown = CODE.search((await pages.post(f"{here}/rotate", replaces=key.code_masked[-5:])).text)
        assert shown is not None
        codes.add(shown.group(1))
    assert len(codes) == 1
    assert machine.license_key not in codes
    assert codes.pop() not in (await pages.get(here)).text


async def test_a_new_key_on_a_known_machine_suggests_a_release_instead(world: World, as_somebody: Somebody) -> None:
    old = await world.running((3, 0, 0), "Hotel Adria")
    pages = await as_somebody()
    made = await pages.post("/keys", name="Hotel Adria 2")
    code, key_id = CODE.search(made.text), id_in(made.text, "key")
    assert code is not None
    assert "Waiting for the Site Manager" in text_of(made)
    await world.activate(Machine(code.group(1)))
    page = await pages.get(f"/keys/{key_id}/coming")
    assert "Release Hotel Adria instead" in text_of(page)
    [address] = re.findall(r'href="(/keys/[^"]+/acts/release)"', page.text)
    assert show("key", (await world.key_of(old)).id) in address
    assert (await pages.post("/keys", name="Hotel Adria")).status_code == 422


async def test_a_standalone_s_seat_is_ended_and_an_unknown_one_rejected(world: World, as_somebody: Somebody) -> None:
    issued = await world.key()
    for hostname in ("till-1", "till-2"):
        await world.activate(Machine(issued.code, hostname=hostname), product="server_plus")
    pages, here = await as_somebody(), f"/keys/{show('key', issued.key.id)}"
    acts = re.findall(rf'href="({here}/standalones/[^"]+/(?:end|reject))"', (await pages.get(here)).text)
    assert len(acts) == 4
    for act in (acts[0], acts[3]):
        assert (await pages.get(act)).status_code == 200
        assert (await pages.post(act)).status_code == 303
    said = text_of(await pages.get(here))
    assert "Standalone's seat ended" in said
    assert "Standalone rejected" in said


async def test_a_site_is_offered_seen_by_the_other_and_accepted(world: World, open_window: Opened) -> None:
    other = await world.another_msp("Altra")
    machine = await world.running((3, 0, 0))
    giver = await open_window(await person(world, PartnerKind.MSP, world.msp.id), script=False)
    receiver = await open_window(await person(world, PartnerKind.MSP, other.id), script=False, width=NARROW)
    await receiver.open("/moves")
    await giver.open(f"/keys/{show('key', (await world.key_of(machine)).id)}")
    await giver.page.get_by_role("link", name="Offer the site to another MSP").click()
    await giver.page.get_by_label("Id of the other MSP").fill(await receiver.page.inner_text("#copied"))
    await giver.page.get_by_role("button", name="Offer the site to another MSP").click()
    assert await giver.says("It is offered to another MSP")
    await receiver.open("/")
    assert await receiver.says("is offered to you by Adriatica IT")
    await receiver.open(f"/sites/{show('site', machine.site_id)}")
    assert await receiver.says("404") or not await receiver.says("Hotel Adria")
    await receiver.open("/")
    await receiver.page.get_by_role("link", name="Look at it Hotel Adria").click()
    await receiver.page.get_by_role("button", name="Accept").click()
    assert await receiver.says("It is accepted")
    await giver.open("/moves")
    assert not await giver.says("not yet accepted")


async def test_others_keys_are_not_there(world: World, as_somebody: Somebody) -> None:
    theirs = (await world.key("Altrove", await world.another_msp("Altra"))).key
    pages, here = await as_somebody(), f"/keys/{show('key', theirs.id)}"
    for answer in (
        await pages.get(here),
        await pages.get(f"{here}/coming"),
        await pages.get(f"{here}/acts/suspend"),
        await pages.post(f"{here}/acts/suspend", reason="x"),
        await pages.post(f"{here}/code"),
        await pages.post(f"{here}/rotate", replaces=theirs.code_masked[-5:]),
    ):
        assert answer.status_code == 404
    above = await as_somebody(PartnerKind.DISTRIBUTOR)
    assert (await above.get(here)).status_code == 200
    assert (await above.post(f"{here}/acts/suspend", reason="x")).status_code == 403


async def test_a_key_is_made_with_the_keyboard_alone(world: World, open_window: Opened) -> None:
    window = await open_window(await person(world, PartnerKind.MSP, world.msp.id), language="it")
    keyboard, page = window.page.keyboard, window.page
    await window.open("/keys")
    await keyboard.press("Tab")
    await keyboard.press("Enter")  # to the content
    for _ in range(12):
        await keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent.includes('Nuova chiave')"):
            break
    await keyboard.press("Enter")
    await page.wait_for_url("**/keys/new")
    await keyboard.type("Pensione Miramare")
    await keyboard.press("Tab")
    await keyboard.type("C-42")
    await keyboard.press("Enter")
    await page.get_by_text("La chiave è pronta").first.wait_for()
    assert await window.says("In attesa del Site Manager")
    assert not await window.faults()
    await window.picture("key-made")
