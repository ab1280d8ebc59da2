"""The distributor: what to invoice, what is held for want of a price, its answer to a dispute, the invoice recorded."""

import pytest
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from services import ids
from services.partners import PartnerKind
from tests.console.conftest import Opened
from tests.support.browser import NARROW, WIDE
from tests.support.console import Pages, pages_of, text_of
from tests.support.month_end import PRICES, dispute, month_end, prices, someone, with_identity
from tests.support.world import World


@pytest.mark.parametrize(("language", "width", "script"), [("it", WIDE, False), ("en", NARROW, True)])
async def test_the_distributor_answers_a_dispute_and_records_the_invoice(
    world: World, open_window: Opened, *, language: str, width: int, script: bool
) -> None:
    await with_identity(world)
    at = await month_end(world)
    case = await dispute(world, at)
    italian = language == "it"
    window = await open_window(
        await someone(world, PartnerKind.DISTRIBUTOR), language=language, width=width, script=script
    )
    page = window.page
    await window.open("/disputes?only=open")
    assert await window.says("tocca a te" if italian else "your turn")
    await page.get_by_role("link", name="Hotel Adria").click()
    assert page.url.endswith(case)
    assert "−1" in await page.inner_text("main")
    await page.get_by_label("Perché" if italian else "Why").fill("Giusto, era una prova")
    await page.get_by_role("button", name="Accogli" if italian else "Uphold it").click()
    assert await window.says("Accolta dal distributore" if italian else "Upheld by the distributor")
    await window.open("/statements")
    await page.get_by_role("link", name="Aprile 2026" if italian else "April 2026").click()
    assert await window.says("139,50\N{NO-BREAK SPACE}€" if italian else "€139.50")
    await page.get_by_role("link", name="Adriatica IT", exact=True).click()
    assert await window.says("ABC1234")
    await page.get_by_label("Numero" if italian else "Number").fill("12/2026")
    await page.get_by_role("button", name="Registra la fattura" if italian else "Record the invoice").click()
    assert await window.says("12/2026")
    await window.open("/statements")
    assert await window.says("Tutte registrate" if italian else "All recorded")


async def test_a_missing_price_is_named_and_set_and_the_draft_is_ready(world: World, app: FastAPI) -> None:
    await prices(world, tiers={"server": PRICES["server"]})
    await month_end(world, stated=False)
    pages = await pages_of(app, world, await someone(world, PartnerKind.DISTRIBUTOR))
    said = text_of(await pages.get("/statements"))
    assert "Held: a price is missing Workstation, Server Plus" in said
    form = await pages.get("/prices/new")
    assert 'value="8.005"' in form.text
    wrong = await pages.post("/prices/new", from_month="2026-01", currency="eur", server_price_0="dieci", once="a")
    assert (wrong.status_code, "This is no price." in text_of(wrong)) == (422, True)
    fields = {
        "from_month": "2026-01", "currency": "eur", "once": "b", "server_from_0": "0", "server_price_0": "10",
        "server_from_1": "50", "server_price_1": "8,005", "workstation_price_0": "1,125",
        "server_plus_price_0": "12.50",
    }  # fmt: skip
    for _ in range(2):
        assert (await pages.post("/prices/new", **fields)).status_code == 303
    said = text_of(await pages.get("/prices"))
    assert "€8.005 from 50" in said
    assert said.count("January 2026") == 2
    assert "Draft, stated next" in text_of(await pages.get("/statements"))
    await world.close()
    assert "There is no statement yet" not in text_of(await pages.get("/statements"))
    await pages.client.aclose()


async def test_a_wrong_price_becomes_a_line_of_the_next_statement(world: World, app: FastAPI) -> None:
    at = await month_end(world)
    pages = await pages_of(app, world, await someone(world, PartnerKind.DISTRIBUTOR))
    one = f"/statements/{ids.show('statement', at.statement.id)}/msps/{ids.show('msp', world.msp.id)}"
    wrong = await pages.post(f"{one}/price-correction", amount="molto", reason="x", once="a")
    assert wrong.status_code == 422
    for _ in range(2):
        answer = await pages.post(f"{one}/price-correction", amount="−12,50", reason="era più caro", once="b")
        assert (answer.status_code, answer.headers["location"]) == (303, one)
    assert text_of(await pages.get(one)).count("-€12.50") == 1
    await pages.client.aclose()


async def test_pages_ask_as_often_for_many_rows_as_for_one(world: World, app: FastAPI, engine: AsyncEngine) -> None:
    at = await month_end(world)
    await dispute(world, at)
    paths = [
        "/reports", at.report, at.line, "/disputes", "/voids", "/statements", "/prices",
        f"/statements/{ids.show('statement', at.statement.id)}", f"/reports/this-month/{ids.show('msp', world.msp.id)}",
    ]  # fmt: skip
    pages = await pages_of(app, world, await someone(world, PartnerKind.DISTRIBUTOR))
    few = [await asked(app, pages, path) for path in paths]
    for number in range(4):
        msp = await world.another_msp(f"MSP {number}")
        await world.running((1, 1, 1), f"Sito {number}", msp)
        await world.running((1, 1, 1), f"Altro {number}")
        await prices(world, msp_id=msp.id)
    many = [await asked(app, pages, path) for path in paths]
    assert dict(zip(paths, many, strict=True)) == dict(zip(paths, few, strict=True))
    await pages.client.aclose()


async def asked(app: FastAPI, pages: Pages, path: str) -> int:
    """How many statements the database is sent for a page."""
    statements: list[str] = []
    own = app.state.service.sessions.kw["bind"].sync_engine

    def hear(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(own, "before_cursor_execute", hear)
    answer = await pages.get(path)
    event.remove(own, "before_cursor_execute", hear)
    assert answer.status_code == 200, path
    return len(statements)
