"""A site's page: everything that is known of it, and what one may ask of it."""

import re

from services import sites
from services.ids import show
from services.partners import PartnerKind, Role
from tests.console.conftest import Opened, Somebody
from tests.support.console import text_of
from tests.support.machine import Machine, change
from tests.support.people import person
from tests.support.statements import counted
from tests.support.world import World


async def busy(world: World) -> Machine:
    """A site with a history: its agents rose and fell, some backups failed."""
    machine = await world.activated("Hotel Adria")
    await world.beat(machine, (3, 20, 1), backups={"ok": 20, "warning": 1, "failed": 2, "overdue": 0})
    for three in ((5, 25, 1), (4, 22, 0)):
        await world.pass_time(hours=30)
        await world.beat(machine, three, [change(machine.through + 1, world.clock(), three)])
    await world.pass_time(hours=2)
    await world.beat(machine, (4, 22, 0))
    return machine


async def test_the_page_shows_the_month_with_its_peak_and_what_it_told_last(world: World, open_window: Opened) -> None:
    machine = await busy(world)
    window = await open_window(await person(world, PartnerKind.MSP, world.msp.id), script=False)
    await window.open(f"/sites/{show('site', machine.site_id)}")
    curves = window.page.get_by_role("img", name=re.compile("agents deployed over the month"))
    assert [await one.get_attribute("aria-label") for one in await curves.all()] == [
        f"{name}: agents deployed over the month; the peak is {peak}."
        for name, peak in (("Server", 5), ("Workstation", 25), ("Server Plus", 1))
    ]
    path = await curves.first.locator("path").get_attribute("d")
    assert path is not None
    assert path.count("H") == 3
    assert await window.says("If it stays silent")
    assert await window.says(f"line 0, sequence {machine.sequence}")


async def test_a_command_waits_and_can_be_cancelled_and_warnings_be_snoozed(
    world: World, as_somebody: Somebody
) -> None:
    machine = await busy(world)
    pages, here = await as_somebody(), f"/sites/{show('site', machine.site_id)}"
    assert (await pages.post(f"{here}/commands", kind="run_backup")).status_code == 422
    assert (await pages.post(f"{here}/commands", kind="rotate_credential")).status_code == 422
    assert (await pages.post(f"{here}/commands", kind="run_backup", name="Nightly")).status_code == 303
    page = await pages.get(here)
    assert "Waiting for the next heartbeat" in text_of(page)
    [cancel] = re.findall(r'action="(/sites/[^"]+/cancel)"', page.text)
    assert (await pages.post(cancel)).status_code == 303
    assert "Cancelled" in text_of(await pages.get(here))
    assert (await pages.post(f"{here}/snooze", days="400")).status_code == 422
    assert (await pages.post(f"{here}/snooze", days="3")).status_code == 303
    assert "Warnings are snoozed until" in text_of(await pages.get(here))
    assert (await pages.post(f"{here}/wake")).status_code == 303
    assert "Warnings are snoozed until" not in text_of(await pages.get(here))


async def test_only_web_addresses_of_a_site_s_own_are_links(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody()
    for address, linked in (
        ("https://backup01.example:8443/", True),
        ("http://10.0.0.5/", True),
        ("javascript:alert(1)", False),
        ("ftp://x/", False),
    ):
        machine = Machine((await world.key(address)).code)
        async with world.sessions.begin() as db:
            request = machine.activation()
            object.__setattr__(request, "console_url", address)
            machine.learn(await sites.activate(db, world.desk, request, world.clock()))
        text = (await pages.get(f"/sites/{show('site', machine.site_id)}")).text
        assert (f'href="{address}"' in text) is linked


async def test_a_clone_is_shown_with_both_parties(world: World, as_somebody: Somebody) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(image, (3, 0, 0), resume=True)
    for one in (image, machine, machine):
        await world.beat(one, (3, 0, 0))
    page = await (await as_somebody()).get(f"/sites/{show('site', machine.site_id)}")
    assert "Two machines speak as this site" in text_of(page)
    parties = page.text.split("The two parties")[2].split("</table>")[0]
    assert parties.count('scope="row"') == 2


async def test_a_stranger_finds_nothing_and_who_reads_only_may_change_nothing(
    world: World, as_somebody: Somebody
) -> None:
    machine = await world.running((3, 0, 0))
    theirs = await world.running((3, 0, 0), "Altrove", await world.another_msp("Altra"))
    viewer, here = await as_somebody(role=Role.VIEWER), f"/sites/{show('site', machine.site_id)}"
    page = await viewer.get(here)
    assert page.status_code == 200
    assert 'method="post" action="/sites' not in page.text
    assert (await viewer.post(f"{here}/snooze", days="3")).status_code == 403
    admin, there = await as_somebody(), f"/sites/{show('site', theirs.site_id)}"
    for answer in (
        await admin.get(there),
        await admin.get(f"{there}/agents"),
        await admin.post(f"{there}/snooze", days="3"),
        await admin.post(f"{there}/commands", kind="send_inventory"),
    ):
        assert answer.status_code == 404
    vendor = await as_somebody(PartnerKind.VENDOR)
    assert (await vendor.get(here)).status_code == 200
    assert (await vendor.post(f"{here}/snooze", days="3")).status_code == 403


async def test_the_list_is_sorted_and_exported_with_as_many_queries_for_many_as_for_few(
    world: World, as_somebody: Somebody
) -> None:
    await world.running((1, 0, 0), "=cmd()")
    await world.running((9, 0, 0), "Zeta")
    pages = await as_somebody()
    with counted() as few:
        first = text_of(await pages.get("/sites?sort=-name"))
    assert first.index("Zeta") < first.index("=cmd()")
    for number in range(6):
        await world.running((number, 0, 0), f"Hotel {number}")
    with counted() as many:
        await pages.get("/sites?sort=-name")
    assert len(few) == len(many)
    by_agents = text_of(await pages.get("/sites?sort=-agents"))
    assert by_agents.index("Zeta") < by_agents.index("Hotel 5") < by_agents.index("Hotel 0")
    answer = await pages.get("/sites.csv?sort=name&liveness=online")
    rows = answer.text.splitlines()
    assert (len(rows), rows[0].startswith("site,reference,msp,key,liveness")) == (9, True)
    assert rows[1].startswith("'=cmd(),")
    assert "attachment" in answer.headers["content-disposition"]
