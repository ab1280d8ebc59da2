"""The distributor's statement: exact amounts, nothing at 0 for want of a price, corrections at the original price."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jsonschema
import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from services import reports
from services.delivery import Event, Letter
from services.delivery.writing import write_letter
from services.errors import Invalid
from services.partners.tables import Distributor, Msp
from services.reports.billing_tables import Statement, StatementFile, StatementLine
from services.reports.pricing import Rates, Tier, amount, show_price
from services.reports.schemas import STATEMENT_SCHEMA
from services.reports.statement_forms import render_statement
from services.sites.administration_tables import Agent, Inventory
from tests.services.reports.test_corrections import APRIL, DAY, GRACE, HOUR, MAY, disputed, silent_over_the_close
from tests.support.clock import START
from tests.support.machine import change
from tests.support.world import World

EUR = {"server": [Tier(0, Decimal("10")), Tier(5, Decimal("8.005"))], "workstation": [Tier(0, Decimal("1.125"))]}


async def prices(world: World, tiers: Any = None, **fields: Any) -> None:
    async with world.sessions.begin() as db:
        await reports.set_prices(
            db,
            world.distributor.id,
            **{  # type: ignore[arg-type]
                "msp_id": None, "currency": "EUR", "from_month": "2026-01", "tiers": tiers or EUR, "actor": "anna",
                "now": START,
            } | fields,
        )  # fmt: skip


async def statements(world: World) -> list[dict[str, Any]]:
    async with world.sessions() as db:
        rows = await db.scalars(select(Statement).order_by(Statement.starts_at, Statement.part))
        return [json.loads(row.document) for row in rows]


async def closed(world: World, deployed: tuple[int, int, int], end: datetime = APRIL) -> None:
    await world.running(deployed)
    world.clock.now = end + GRACE
    await world.close()


# --- prices, pure ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price", "currency", "expected"),
    [
        (1, "0.005", "EUR", "0.01"),
        (-1, "0.005", "EUR", "-0.01"),
        (3, "1.125", "EUR", "3.38"),
        (1, "0.5", "JPY", "1"),
        (1, "0.0005", "KWD", "0.001"),
        (0, "9.99", "EUR", "0.00"),
    ],
)
def test_a_line_is_rounded_half_up_to_the_currency_s_own_places(
    quantity: int, price: str, currency: str, expected: str
) -> None:
    assert str(amount(quantity, Decimal(price), currency)) == expected


def test_all_units_have_the_price_of_the_tier_that_the_total_reached() -> None:
    rates = Rates("EUR", EUR)
    assert [rates.unit_price("server", total) for total in (0, 4, 5, 99)] == [
        Decimal(10), Decimal(10), Decimal("8.005"), Decimal("8.005"),
    ]  # fmt: skip
    assert rates.unit_price("server_plus", 1) is None


@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_a_price_is_shown_exactly(price: Decimal) -> None:
    shown = show_price(price)
    assert Decimal(shown) == price
    assert len(shown.partition(".")[2]) >= 2


# --- statements ------------------------------------------------------------------------------------------------


async def test_a_statement_has_what_an_invoice_needs_and_its_totals_are_the_sum_of_its_lines(world: World) -> None:
    await prices(world)
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(legal_name="Adriatica IT S.r.l.", vat_number="IT01234567890", sdi_code="X"))
    await closed(world, (6, 3, 0))
    [document] = await statements(world)
    [msp] = document["msps"]
    assert [(line["type"], line["quantity"], line["unit_price"], line["amount"]) for line in msp["lines"]] == [
        ("server", 6, "8.005", "48.03"), ("workstation", 3, "1.125", "3.38"),
    ]  # fmt: skip
    assert document["totals"] == msp["totals"] == {"EUR": "51.41"}
    assert (document["notice"], document["statement"], msp["report"]) == (
        "documento non fiscale", "2026-03", "2026-00001",
    )  # fmt: skip
    assert (msp["legal_name"], msp["vat_number"], msp["missing"]) == (
        "Adriatica IT S.r.l.", "IT01234567890", ["address"],
    )  # fmt: skip


async def test_a_missing_price_holds_that_msp_s_statement_and_a_later_part_states_it(world: World) -> None:
    other = await world.another_msp("Baltica")
    await prices(world, {"server": [Tier(0, Decimal(10))]})
    await world.running((1, 0, 0))
    await world.running((0, 1, 0), "theirs", other)
    world.clock.now = APRIL + GRACE
    await world.close()
    [first] = await statements(world)
    assert [msp["msp"] for msp in first["msps"]] == ["Adriatica IT"]
    assert first["held"] == [{"msp": "Baltica", "reason": "price_missing"}]
    await world.close()
    assert len(await statements(world)) == 1
    await prices(world, now=world.clock.advance(days=1))
    await world.close()
    [again, second] = await statements(world)
    assert again == first
    assert (second["statement"], second["msps"][0]["msp"], second["totals"]) == (
        "2026-03/2",
        "Baltica",
        {"EUR": "1.13"},
    )


async def test_an_msp_s_own_list_is_before_the_distributor_s_and_may_be_in_another_currency(world: World) -> None:
    other = await world.another_msp("Baltica")
    await prices(world)
    await prices(world, {"server": [Tier(0, Decimal(7))]}, msp_id=other.id, currency="CHF")
    await world.running((1, 0, 0))
    await world.running((1, 0, 0), "theirs", other)
    world.clock.now = APRIL + GRACE
    await world.close()
    [document] = await statements(world)
    assert document["totals"] == {"CHF": "7.00", "EUR": "10.00"}


async def test_a_price_holds_from_its_month_on_and_never_changes_an_issued_statement(world: World) -> None:
    await prices(world)
    await prices(world, {"server": [Tier(0, Decimal(20))]}, from_month="2026-04")
    machine = await world.running((1, 0, 0))
    world.clock.now = APRIL + GRACE
    await world.close()
    await prices(world, {"server": [Tier(0, Decimal(99))]}, now=world.clock())
    await world.beat(machine, (1, 0, 0))
    world.clock.now = MAY + GRACE
    await world.close()
    found = await statements(world)
    assert [one["totals"] for one in found] == [{"EUR": "10.00"}, {"EUR": "20.00"}]


async def test_a_correction_is_at_the_original_price_and_cites_statement_and_invoice(world: World) -> None:
    await prices(world)
    machine = await silent_over_the_close(world)
    world.clock.now = APRIL + GRACE
    await world.close()
    await prices(world, {"server": [Tier(0, Decimal(99))]}, from_month="2026-04", now=world.clock())
    async with world.sessions.begin() as db:
        [row] = await db.scalars(select(Statement))
        await reports.record_invoice(
            db, row, world.msp.id, number="12/2026", invoiced_on=world.clock().date(), actor="anna", now=world.clock()
        )
    world.clock.now = APRIL + 2 * DAY
    await world.beat(machine, (0, 0, 0), [change(2, APRIL - DAY, (8, 0, 0)), change(3, APRIL - HOUR, (0, 0, 0))])
    world.clock.now = MAY + GRACE
    await world.close()
    [line] = (await statements(world))[-1]["msps"][0]["lines"]
    # The tier of the original total holds: 3 servers were at 10.00, though 8 together would have been at 8.005.
    assert (line["origin"], line["quantity"], line["unit_price"], line["amount"]) == ("late_usage", 5, "10.00", "50.00")
    assert (line["statement"], line["invoice"], line["month"]) == ("2026-03", "12/2026", "2026-03")


async def test_a_price_that_was_stated_wrongly_becomes_a_signed_line_naming_the_statement(world: World) -> None:
    await prices(world)
    await closed(world, (1, 0, 0))
    async with world.sessions.begin() as db:
        [row] = await db.scalars(select(Statement))
        correction = {"currency": "EUR", "reason": "listino errato", "actor": "anna", "now": world.clock()}
        with pytest.raises(Invalid):
            await reports.correct_price(db, row, world.msp.id, amount=Decimal("1.234"), **correction)  # type: ignore[arg-type]
        await reports.correct_price(db, row, world.msp.id, amount=Decimal("-2.50"), **correction)  # type: ignore[arg-type]
    world.clock.now = MAY + GRACE
    await world.close()
    [line] = (await statements(world))[-1]["msps"][0]["lines"]
    assert (line["origin"], line["amount"], line["statement"], line["reason"]) == (
        "price", "-2.50", "2026-03", "listino errato",
    )  # fmt: skip
    world.clock.now = MAY + 31 * DAY + GRACE
    await world.close()
    assert (await statements(world))[-1]["msps"][0]["lines"] == []


async def test_a_disputed_line_stands_apart_until_it_is_decided(world: World) -> None:
    await prices(world)
    machine, row = await disputed(world)
    world.clock.now = MAY + GRACE
    async with world.sessions.begin() as db:
        await reports.decide_dispute(
            db, row, "distributor", upheld=False, reason="no", actor="a", now=row.opened_at + DAY
        )
    await world.close()
    _, april = await statements(world)
    [apart] = april["contested"]
    assert (apart["standing"], apart["charged"]["server"], apart["claimed"]["server"]) == ("refused", 90, 3)
    assert machine.site_id is not None


async def test_stated_lines_add_up_to_the_charges_of_the_reports(world: World) -> None:
    await prices(world)
    await closed(world, (6, 3, 0))
    async with world.sessions() as db:
        rows = list(await db.scalars(select(StatementLine)))
    assert [(row.type, row.quantity) for row in rows] == [("server", 6), ("workstation", 3)]


@pytest.mark.parametrize(
    "bad",
    [
        {"currency": "euro"},
        {"from_month": "2026-13"},
        {"tiers": {"printer": [Tier(0, Decimal(1))]}},
        {"tiers": {"server": [Tier(1, Decimal(1))]}},
        {"tiers": {"server": [Tier(0, Decimal(1)), Tier(0, Decimal(2))]}},
        {"tiers": {"server": [Tier(0, Decimal(-1))]}},
        {"tiers": {"server": [Tier(0, Decimal("0.0000001"))]}},
    ],
)
async def test_a_price_list_that_is_none_is_refused_with_a_pointer(world: World, bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        await prices(world, **bad)
    assert refused.value.pointer


# --- forms and delivery ----------------------------------------------------------------------------------------


async def test_a_statement_s_forms_are_the_same_bytes_again_and_carry_exact_amounts(world: World) -> None:
    await prices(world)
    await closed(world, (6, 3, 0))
    async with world.sessions() as db:
        [row] = await db.scalars(select(Statement))
        files = {file.form: file.content for file in await db.scalars(select(StatementFile))}
    assert render_statement(row.document) == files
    jsonschema.validate(json.loads(row.document), STATEMENT_SCHEMA)
    lines = list(csv.DictReader(io.StringIO(files["csv"].decode("utf-8-sig"), newline="")))
    assert [(line["type"], line["unit_price"], line["amount"], line["currency"]) for line in lines] == [
        ("server", "8.005", "48.03", "EUR"), ("workstation", "1.125", "3.38", "EUR"),
    ]  # fmt: skip
    text = pypdf.PdfReader(io.BytesIO(files["pdf.it"])).pages[0].extract_text()
    assert "Documento non fiscale" in text
    for shown in ("51,41 EUR", "report 2026-00001", "marzo 2026"):
        assert shown in text


async def test_letters_and_events_are_posted_once_with_the_pdf_in_the_reader_s_language(world: World) -> None:
    await prices(world)
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(billing_email="conti@adriatica.example"))
        await db.execute(update(Distributor).values(email="ufficio@distribuzione.example", language="en"))
    await closed(world, (1, 0, 0))
    await world.close()
    async with world.sessions() as db:
        letters = list(await db.scalars(select(Letter).order_by(Letter.kind, Letter.recipient)))
        kinds = sorted(await db.scalars(select(Event.kind)))
        [file] = await reports.files_with(db, letters[0].kind, letters[0].values, letters[0].language)
    assert [(letter.kind, letter.recipient, letter.language) for letter in letters] == [
        ("report_issued", "conti@adriatica.example", "it"),
        ("report_issued", "ufficio@distribuzione.example", "en"),
        ("statement_ready", "ufficio@distribuzione.example", "en"),
    ]
    assert [kind for kind in kinds if kind.startswith(("report", "statement"))] == [
        "report.issued", "report.issued", "statement.ready",
    ]  # fmt: skip
    assert (file[0], file[2][:5]) == ("report-2026-00001.pdf", b"%PDF-")


async def test_on_the_last_day_at_nine_local_each_msp_is_told_once_what_is_missing(world: World) -> None:
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(billing_email="conti@adriatica.example"))
    machine = await silent_over_the_close(world)
    await world.key("mai attivata")
    async with world.sessions.begin() as db:
        own = {"site_id": machine.site_id, "installation_id": machine.installation_id}
        known = {"parts": 1, "received": [1], "received_at": START, "complete_at": START}
        db.add(Inventory(**own, revision=1, **known, server=0, workstation=3, server_plus=0))
        await db.flush()
        for number, days in enumerate((1, 40, 50)):
            db.add(
                Agent(
                    **own, agent_id=str(number), revision=1, name="pc", type="workstation", version="7",
                    last_contact_at=APRIL - timedelta(days=days),
                )
            )  # fmt: skip
    nine = datetime(2026, 3, 31, 7, tzinfo=UTC)
    for now in (nine - timedelta(seconds=1), nine, nine + 2 * HOUR):
        world.clock.now = now
        await world.last_day()
        async with world.sessions() as db:
            letters = list(await db.scalars(select(Letter)))
        assert len(letters) == (now >= nine)
    [letter] = letters
    assert (letter.kind, letter.posted_at) == ("report_last_day", nine)
    assert (letter.values["charged"], letter.values["silent"], letter.values["never_connected"]) == (
        "3", ["Hotel Adria"], ["mai attivata"],
    )  # fmt: skip
    assert (letter.values["unseen_count"], letter.values["unseen"]) == (2, [{"site": "Hotel Adria", "count": 2}])
    written = write_letter(letter.kind, letter.language, letter.values).text
    assert "Rimuovere agenti adesso non abbassa più questo mese" in written
    assert "2 macchine non viste da 30 giorni:\n  - Hotel Adria: 2" in written
