"""The MSP's owner at month's end: what is charged and why, month against month, and the files that were issued."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI

from services import ids
from services.partners import PartnerKind, User
from services.reports.tables import Report
from tests.console.conftest import Opened
from tests.support.console import pages_of
from tests.support.machine import Machine, change
from tests.support.people import person
from tests.support.world import World

APRIL = datetime(2026, 3, 31, 22, tzinfo=UTC)
MAY = datetime(2026, 4, 30, 22, tzinfo=UTC)
GRACE = timedelta(hours=6)
DAY = timedelta(days=1)


async def heard(world: World, machine: Machine, at: datetime, deployed: tuple[int, int, int]) -> None:
    """The machine is heard at an instant, with what it has then; what it said before is known until then."""
    world.clock.now = at
    changes = [change(machine.through + 1, at - DAY, deployed)]
    await world.beat(machine, deployed, changes)


async def two_months(world: World) -> list[Report]:
    """March and April of three sites, issued: one grew, one fell silent, one is new in April."""
    hotel, studio = await world.running((6, 20, 1), "Hotel Adria"), await world.running((2, 1200, 0), "Studio Bassi")
    for at, deployed in ((APRIL - DAY, (7, 22, 1)), (APRIL + GRACE / 2, (7, 22, 1))):
        await heard(world, hotel, at, deployed)
    await heard(world, studio, APRIL - 9 * DAY, (2, 1200, 0))
    world.clock.now = APRIL + GRACE
    await world.close()
    await heard(world, hotel, MAY - 3 * DAY, (9, 22, 1))
    await world.running((1, 2, 0), "Officina Verdi")
    world.clock.now = MAY + GRACE
    await world.close()
    return await world.reports()


async def owner_of(world: World, language: str = "en") -> User:
    return await person(world, PartnerKind.MSP, world.msp.id, email=f"owner.{ids.new_id(world.clock())}@example.org")


@pytest.mark.parametrize("script", [True, False])
async def test_the_owner_reads_what_is_charged_compared_with_the_month_before(
    world: World, open_window: Opened, *, script: bool
) -> None:
    await two_months(world)
    window = await open_window(await owner_of(world), language="it", script=script)
    await window.open("/reports")
    await window.page.get_by_role("link", name="Aprile 2026").click()
    assert await window.says("Deployed Agents Report 2026-00002")
    figures = await window.page.locator(".figures").inner_text()
    assert "35\n−1.197 sul mese precedente" in figures
    assert "1 senza dati" in figures
    hotel = await window.page.locator("#lines tr").filter(has_text="Hotel Adria").inner_text()
    assert hotel.split()[2:8] == ["9", "22", "1", "32", "30", "+2"]
    await window.page.get_by_label("Ordine").select_option("difference")
    await window.page.get_by_role("button", name="Mostra").click()
    names = await window.page.locator("#lines tbody th").all_inner_texts()
    assert names == ["Studio Bassi", "Officina Verdi", "Hotel Adria"]


async def test_every_file_is_the_bytes_of_the_api(world: World, app: FastAPI, client: httpx.AsyncClient) -> None:
    [*_, april] = await two_months(world)
    pages = await pages_of(app, world, await owner_of(world))
    headers = {"Authorization": f"Bearer {pages.secret}"}
    report_id = ids.show("report", april.id)
    shown = (await pages.get(f"/reports/{report_id}")).text
    for form in ("json", "csv", "xlsx", "pdf.it", "pdf.en", "pdf"):
        ours = await pages.get(f"/reports/{report_id}/files/{form}")
        theirs = await client.get(f"/v1/reports/{report_id}/{form}", headers=headers)
        assert (ours.status_code, ours.content) == (200, theirs.content)
        assert ours.headers["content-type"] == theirs.headers["content-type"]
        assert "attachment" in ours.headers["content-disposition"]
        assert sha256(ours.content).hexdigest() in shown
    await pages.client.aclose()


async def test_a_stranger_s_report_does_not_exist(world: World, app: FastAPI) -> None:
    [*_, april] = await two_months(world)
    other = await world.another_distributor("Altra Distribuzione")
    msp = await world.another_msp("Tirreno IT", other)
    for kind, partner_id in ((PartnerKind.MSP, msp.id), (PartnerKind.DISTRIBUTOR, other.id)):
        pages = await pages_of(app, world, await person(world, kind, partner_id))
        assert "2026-0000" not in (await pages.get("/reports")).text
        for path in ("", "/files/json", "/files/pdf"):
            assert (await pages.get(f"/reports/{ids.show('report', april.id)}{path}")).status_code == 404
        await pages.client.aclose()


async def test_a_look(world: World, open_window: Opened) -> None:
    reports = await two_months(world)
    window = await open_window(await owner_of(world))
    await window.open(f"/reports/{ids.show('report', reports[-1].id)}")
    await window.page.get_by_role("link", name="Hotel Adria").last.click()
    await window.picture("line")
    world.clock.advance(days=2)
    window = await open_window(await owner_of(world))
    await window.open("/reports/this-month")
    await window.picture("this-month")
    await window.page.get_by_role("link", name="Hotel Adria").last.click()
    await window.picture("line-so-far")
