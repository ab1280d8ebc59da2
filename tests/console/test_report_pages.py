"""The MSP's owner at month's end: what is charged and why, month against month, and the files that were issued."""

import re
from hashlib import sha256

import httpx
import pytest
from fastapi import FastAPI

from license_api.console import issued_reports
from services import ids
from services.partners import PartnerKind
from tests.console.conftest import Opened
from tests.support.browser import NARROW, WIDE
from tests.support.console import pages_of, text_of
from tests.support.machine import Machine, lost
from tests.support.month_end import APRIL, GRACE, dispute, month_end, someone, void
from tests.support.people import person
from tests.support.world import World

WORDS = {
    "it": {
        "month": "Aprile 2026", "order": "Ordine", "greatest": "difference", "show": "Mostra", "made": "Tutti i siti",
        "dispute": "Contesta questa riga", "why": "Perché", "open": "Da rispondere", "server": "Server",
        "told": "La riga è contestata.", "against": "sul mese precedente", "changes": "Le variazioni intorno ai picchi",
    },
    "en": {
        "month": "April 2026", "order": "Order", "greatest": "difference", "show": "Show", "made": "All sites",
        "dispute": "Dispute this line", "why": "Why", "open": "To be answered", "server": "Server",
        "told": "The line is disputed.", "against": "on the month before", "changes": "The changes around the peaks",
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "width", "script"), [("it", WIDE, True), ("en", NARROW, True), ("it", NARROW, False)]
)
async def test_the_owner_compares_the_months_looks_at_a_line_and_disputes_it(
    world: World, open_window: Opened, *, language: str, width: int, script: bool
) -> None:
    at, say = await month_end(world), WORDS[language]
    window = await open_window(await someone(world), language=language, width=width, script=script)
    page = window.page
    await window.open("/reports")
    await page.get_by_role("link", name=say["month"]).click()
    figures = await page.locator(".figures").first.inner_text()
    assert f"35\n−{'1.197' if language == 'it' else '1,197'} {say['against']}" in figures
    await page.get_by_label(say["order"]).select_option("difference")
    await page.get_by_role("button", name=say["show"]).click()
    names = [name.split("\n")[0] for name in await page.locator("#lines tbody th").all_inner_texts()]
    assert names == ["Studio Bassi", "Officina Verdi", "Hotel Adria"]
    await page.locator("#lines").get_by_role("link", name="Hotel Adria").click()
    assert page.url.endswith(at.line)
    assert say["changes"] in await page.inner_text("main")
    made = page.locator("tr.made")
    assert [await row.locator("th").inner_text() for row in await made.all()] != []
    await page.get_by_role("link", name=say["dispute"]).click()
    await page.get_by_label(say["server"], exact=True).fill("8")
    await page.get_by_label(say["why"]).fill("Un server era una prova")
    await page.get_by_role("button", name=say["dispute"]).click()
    assert await window.says(say["told"])
    assert await window.says(say["open"])
    await page.goto(at.line)
    assert await page.get_by_role("link", name=say["dispute"]).count() == 0


async def test_a_line_shows_the_change_that_made_its_peak_its_receipt_and_what_is_not_known(
    world: World, app: FastAPI
) -> None:
    at = await month_end(world)
    pages = await pages_of(app, world, await someone(world))
    answer = await pages.get(at.line)
    said = text_of(answer)
    assert "Peak of 9, first reached 27 Apr 2026" in said
    assert "6 active at the peak" in said
    assert "backup01 Site Manager" in said
    headers = {"Authorization": f"Bearer {pages.secret}"}
    url = f"/v1{at.line}/evidence"
    for peak in (await pages.client.get(url, headers=headers)).json()["items"]:
        for entry in peak["entries"]:
            assert entry["receipt"] in answer.text
            assert entry["sent"] in httpx_text(answer)
    studio = text_of(await pages.get(f"{at.report}/lines/{ids.show('site', at.studio.site_id)}"))
    assert "That is not zero" in studio
    await pages.client.aclose()


def httpx_text(answer: httpx.Response) -> str:
    """The page, with its quotes as they are."""
    return answer.text.replace("&#34;", '"')


async def found_of_each_kind(world: World, app: FastAPI) -> dict[str, Machine]:
    """Sites of which something was found, by what the page says of it, as the features raise it."""
    backups, losing, listing, twin = [await world.running((2, 0, 0), f"Sito {n}") for n in range(4)]
    image = twin.image()
    agents = [{"id": f"a{n}", "name": f"PC {n}", "type": "server"} for n in range(3)]
    body = {"revision": 1, "part": 1, "parts": 1, "agents": agents}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidemark.test") as client:
        assert (await client.put("/v1/inventory", json=body, headers=listing.headers)).status_code == 200
    await world.beat(backups, (2, 0, 0), backups={"ok": 1200, "warning": 0, "failed": 0, "overdue": 0})
    await world.beat(twin, (2, 0, 0), hostname="srv01")
    world.clock.advance(minutes=15)
    await world.beat(listing, (2, 0, 0))
    await world.beat(image, (2, 0, 0), resume=True, hostname="srv02")
    for _ in range(2):
        begun = world.clock()
        world.clock.advance(minutes=15)
        await world.beat(losing, (2, 0, 0), lost=[lost(losing.through + 1, begun, world.clock())])
    await world.beat(twin, (2, 0, 0), hostname="srv01")
    world.clock.advance(minutes=15)
    return {"backups": backups, "lost": losing, "inventory": listing, "clone": twin}


FOUND = {
    "it": {
        "backups": "Segnala backup di 1.200 macchine e 2 agenti. Segnalato dal",
        "lost": "Ha segnalato 2 volte che delle variazioni sono andate perse. Segnalato dal",
        "inventory": "Il suo inventario elenca 3 agenti del tipo Server; ne dichiara 2. Segnalato dal",
        "clone": "srv02, sentita dal 10 mar 2026, 10:15 al 10 mar 2026, 10:15 . Segnalato dal",
    },
    "en": {
        "backups": "It reports backups of 1,200 machines, and 2 agents. Flagged since",
        "lost": "It said 2 times that changes were lost. Flagged since",
        "inventory": "Its inventory names 3 agents of the type Server; it reports 2. Flagged since",
        "clone": "srv02, heard from 10 Mar 2026, 10:15 to 10 Mar 2026, 10:15 . Flagged since",
    },
}


async def test_a_line_says_what_was_found_when_a_flag_was_raised_in_both_languages(world: World, app: FastAPI) -> None:
    found = await found_of_each_kind(world, app)
    so_far = f"/reports/this-month/{ids.show('msp', world.msp.id)}"
    pages = await pages_of(app, world, await someone(world))
    present = f"{so_far}/lines/{ids.show('site', found['lost'].site_id)}"
    assert FOUND["en"]["lost"] in text_of(await pages.get(present))
    await pages.client.aclose()
    world.clock.now = APRIL + GRACE
    await world.close()
    report = f"/reports/{ids.show('report', (await world.reports())[0].id)}"
    for language, said in FOUND.items():
        pages = await pages_of(app, world, await someone(world), language)
        for kind, machine in found.items():
            text = text_of(await pages.get(f"{report}/lines/{ids.show('site', machine.site_id)}"))
            assert said[kind] in text
        await pages.client.aclose()


async def test_the_vendor_goes_through_the_reports_of_one_distributor_page_by_page(
    world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await world.another_distributor("Altra Distribuzione")
    msps = [world.msp, *[await world.another_msp(f"Tirreno {n}", other) for n in range(3)]]
    for number, msp in enumerate(msps):
        await world.running((1 + number, 0, 0), f"Sito {number}", msp)
    world.clock.now = APRIL + GRACE
    await world.close()
    monkeypatch.setattr(issued_reports, "_ROWS", 2)
    pages = await pages_of(app, world, await someone(world, PartnerKind.VENDOR))
    every = text_of(await pages.get("/reports"))
    assert world.msp.name in every
    first = await pages.get(f"/reports?distributor={ids.show('distributor', other.id)}")
    assert "selected>Altra Distribuzione<" in first.text
    assert "Charged agents 9" in text_of(first)
    [more] = re.findall(r'href="(\?[^"]+)" rel="next"', first.text)
    second = text_of(await pages.get("/reports" + more.replace("&amp;", "&")))
    for text, there in ((text_of(first), (0, 1)), (second, (2,))):
        assert [n for n in range(3) if f"Tirreno {n}" in text] == list(there)
        assert world.msp.name not in text
    ours = await pages_of(app, world, await someone(world, PartnerKind.DISTRIBUTOR))
    said = await ours.get(f"/reports?distributor={ids.show('distributor', other.id)}")
    assert ("Altra" in said.text, world.msp.name in said.text) == (False, True)
    for one in (pages, ours):
        await one.client.aclose()


async def test_the_present_month_says_what_the_provisional_report_says(world: World, app: FastAPI) -> None:
    at = await month_end(world)
    await world.key("Mai collegata")
    world.clock.advance(days=2)
    await void(world, at.hotel)
    pages = await pages_of(app, world, await someone(world))
    said = text_of(await pages.get("/reports/this-month"))
    async with world.sessions() as db:
        totals = (await world.provisional(db))["totals"]
    assert f"Would be charged {totals['charged']}" in said
    assert "3 sites are silent" in said
    assert "Mai collegata" in said
    site = f"/reports/this-month/{ids.show('msp', world.msp.id)}/lines/{ids.show('site', at.hotel.site_id)}"
    assert "Distribuito per errore" in text_of(await pages.get(site))
    provisional = await pages.get(f"/reports/this-month/{ids.show('msp', world.msp.id)}/json")
    theirs = await pages.client.get("/v1/reports/provisional", headers={"Authorization": f"Bearer {pages.secret}"})
    assert provisional.content == theirs.content
    await pages.client.aclose()


async def test_every_file_is_the_bytes_of_the_api(world: World, app: FastAPI, client: httpx.AsyncClient) -> None:
    at = await month_end(world)
    statement = f"/statements/{ids.show('statement', at.statement.id)}"
    for kind, path in ((PartnerKind.MSP, at.report), (PartnerKind.DISTRIBUTOR, statement)):
        pages = await pages_of(app, world, await someone(world, kind))
        headers = {"Authorization": f"Bearer {pages.secret}"}
        shown = (await pages.get(path)).text
        for form in ("json", "csv", "xlsx", "pdf.it", "pdf.en", "pdf"):
            ours = await pages.get(f"{path}/files/{form}")
            theirs = await client.get(f"/v1{path}/{form}", headers=headers)
            assert (ours.status_code, ours.content) == (200, theirs.content)
            assert ours.headers["content-type"] == theirs.headers["content-type"]
            assert "attachment" in ours.headers["content-disposition"]
            assert sha256(ours.content).hexdigest() in shown
        await pages.client.aclose()


async def test_a_stranger_s_figures_do_not_exist(world: World, app: FastAPI) -> None:
    at = await month_end(world)
    case, asked = await dispute(world, at), await void(world, at.hotel)
    other = await world.another_distributor("Altra Distribuzione")
    msp = await world.another_msp("Tirreno IT", other)
    site, own = ids.show("site", at.hotel.site_id), ids.show("msp", world.msp.id)
    statement = f"/statements/{ids.show('statement', at.statement.id)}"
    closed = [
        at.report, f"{at.report}/files/json", f"{at.report}/files/pdf", at.line, case, asked,
        f"/reports/this-month/{own}", f"/reports/this-month/{own}/lines/{site}", f"/reports/this-month/{own}/json",
        f"/excuses/{site}",
    ]  # fmt: skip
    of_distributor = [statement, f"{statement}/files/csv", f"{statement}/msps/{own}", f"/prices/new?msp={own}"]
    for kind, partner_id, paths in (
        (PartnerKind.MSP, msp.id, [*closed, f"{at.line}/dispute"]),
        (PartnerKind.DISTRIBUTOR, other.id, [*closed, *of_distributor, f"{at.line}/adjust"]),
    ):
        pages = await pages_of(app, world, await person(world, kind, partner_id))
        for path in paths:
            assert (await pages.get(path)).status_code == 404, path
        for path in ("/reports", "/disputes", "/voids", *(("/statements", "/prices") if kind != "msp" else ())):
            said = text_of(await pages.get(path))
            assert "Adria" not in said, path
            assert "2026-0000" not in said, path
        for path in (
            f"{at.line}/dispute",
            f"{at.line}/adjust",
            f"{at.line}/late-usage",
            case,
            asked,
            f"/excuses/{site}",
        ):
            sent = {"server": "1", "workstation": "1", "server_plus": "1", "reason": "x", "once": "x"}
            stretch = {"from_at": "2026-04-03T00:00", "until_at": "2026-04-04T00:00"}
            assert (await pages.post(path, **sent, **stretch)).status_code in (403, 404), path
        await pages.client.aclose()


async def test_an_msp_sees_amounts_only_if_its_distributor_shows_them(world: World, app: FastAPI) -> None:
    at = await month_end(world)
    theirs = await pages_of(app, world, await someone(world, PartnerKind.DISTRIBUTOR))
    assert "€139.50" in text_of(await theirs.get(at.report))
    ours = await pages_of(app, world, await someone(world))
    assert "€" not in text_of(await ours.get(at.report)) + text_of(await ours.get("/reports"))
    assert (await ours.get("/statements")).status_code == 403
    answer = await theirs.post("/prices/terms", no_data="nothing", shows="shows_amounts")
    assert (answer.status_code, answer.headers["location"]) == (303, "/prices")
    assert "€139.50" in text_of(await ours.get(at.report))
    assert "€139.50" in text_of(await ours.get("/reports"))
    for pages in (ours, theirs):
        await pages.client.aclose()


async def test_an_adjustment_whose_form_is_sent_twice_is_one(world: World, app: FastAPI) -> None:
    at = await month_end(world)
    pages = await pages_of(app, world, await someone(world, PartnerKind.DISTRIBUTOR))
    fields = {"server": "-1", "workstation": "0", "server_plus": "0", "reason": "concordato", "once": "the-form"}
    for _ in range(2):
        answer = await pages.post(f"{at.line}/adjust", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, at.line)
    said = text_of(await pages.get(at.line))
    assert said.count("“concordato”") == 1
    assert "the next report" in said
    for _ in range(2):
        refused = await pages.post(f"{at.line}/adjust", **fields | {"server": "-9", "once": "another"})
    assert "No more can be taken back than was charged." in text_of(refused)
    await pages.client.aclose()


async def test_a_void_is_asked_for_by_the_visitor_s_wall_clock_and_granted(world: World, app: FastAPI) -> None:
    at = await month_end(world)
    world.clock.advance(hours=2)
    ours = await pages_of(app, world, await someone(world))
    form = f"/reports/this-month/{ids.show('msp', world.msp.id)}/lines/{ids.show('site', at.hotel.site_id)}/void"
    wrong = await ours.post(form, from_at="2026-05-01T07:00", until_at="2026-05-01T06:00", reason="errore")
    assert (wrong.status_code, "must end after it begins" in text_of(wrong)) == (422, True)
    odd = await ours.post(form, from_at="0001-05-01T07:00", until_at="9999-12-31T23:59", reason="errore")
    assert (odd.status_code, "cannot be taken" in text_of(odd)) == (422, True)
    asked = await ours.post(form, from_at="2026-05-01T06:30", until_at="2026-05-01T07:00", reason="errore,\r\nun'ora")
    assert asked.status_code == 303
    theirs = await pages_of(app, world, await someone(world, PartnerKind.DISTRIBUTOR))
    said = await theirs.get(asked.headers["location"])
    assert '2026-05-01T04:30:00Z"' in said.text
    assert (await theirs.post(asked.headers["location"], reason="certo")).status_code == 422
    granted = await theirs.post(asked.headers["location"], granted="yes", reason="certo")
    assert granted.status_code == 303
    assert "Granted" in text_of(await ours.get("/voids"))
    for pages in (ours, theirs):
        await pages.client.aclose()
