"""Prices, statements and decisions over HTTP: what the table of routes and roles does not show."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from services import ids
from services.partners import PartnerKind
from tests.support.people import Headers, person, session_of, signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World

CLOSED = datetime(2026, 4, 1, 4, tzinfo=UTC)
PRICES = {
    "currency": "EUR",
    "from_month": "2026-03",
    "prices": {"server": [{"from_units": 0, "price": "10"}, {"from_units": 5, "price": "8.005"}]},
}


async def both(world: World) -> tuple[Headers, Headers]:
    """Fresh sessions of the distributor and of the MSP: a month is longer than any."""
    now = world.clock()
    emails = [f"{name}.{ids.new_id(now)}@example.org" for name in ("d", "m")]
    d = await person(world, PartnerKind.DISTRIBUTOR, world.distributor.id, email=emails[0])
    m = await person(world, PartnerKind.MSP, world.msp.id, email=emails[1])
    return await session_of(world, d), await session_of(world, m)


async def issued(world: World, client: httpx.AsyncClient) -> tuple[Headers, Headers, str, str]:
    """A closed and stated March of one site with 6 servers: the headers of both, report and statement."""
    theirs = await signed_in(world, PartnerKind.DISTRIBUTOR)
    assert (await client.post("/v1/price-lists", json=PRICES, headers=theirs)).status_code == 201
    await world.running((6, 0, 0))
    world.clock.now = CLOSED
    await world.close()
    theirs, ours = await both(world)
    [report] = (await client.get("/v1/reports", headers=ours)).json()["items"]
    [statement] = (await client.get("/v1/statements", headers=theirs)).json()["items"]
    return theirs, ours, report["id"], statement["id"]


async def test_an_msp_sees_amounts_only_if_its_distributor_shows_them(client: httpx.AsyncClient, world: World) -> None:
    theirs, ours, report_id, _ = await issued(world, client)
    url = f"/v1/reports/{report_id}/amounts"
    problem(await client.get(url, headers=ours), 403, "amounts_not_shown")
    terms = {"no_data": "nothing", "shows_amounts": True}
    assert (await client.put("/v1/billing-terms", json=terms, headers=theirs)).status_code == 200
    shown = (await client.get(url, headers=ours)).json()["items"]
    assert [(line["quantity"], line["unit_price"], line["amount"]) for line in shown] == [(6, "8.005", "48.03")]
    assert shown == (await client.get(url, headers=theirs)).json()["items"]


async def test_terms_are_changed_by_who_has_read_them(client: httpx.AsyncClient, world: World) -> None:
    headers = await signed_in(world, PartnerKind.DISTRIBUTOR)
    read = (await client.get("/v1/billing-terms", headers=headers)).headers["etag"]
    terms: dict[str, Any] = {"no_data": "last_known", "shows_amounts": False}
    first = await client.put("/v1/billing-terms", json=terms, headers={**headers, "If-Match": read})
    assert first.json() == terms
    again = await client.put("/v1/billing-terms", json=terms, headers={**headers, "If-Match": read})
    problem(again, 412, "changed_meanwhile")


async def test_a_price_list_that_is_sent_again_is_one(client: httpx.AsyncClient, world: World) -> None:
    headers = {**await signed_in(world, PartnerKind.DISTRIBUTOR), "Idempotency-Key": "march"}
    made = [(await client.post("/v1/price-lists", json=PRICES, headers=headers)).json() for _ in range(2)]
    assert made[0] == made[1]
    assert (await client.get("/v1/price-lists", headers=headers)).json()["items"] == made[:1]


async def test_a_price_list_that_is_none_names_the_field(client: httpx.AsyncClient, world: World) -> None:
    headers = await signed_in(world, PartnerKind.DISTRIBUTOR)
    bad = {**PRICES, "prices": {"server": [{"from_units": 5, "price": "1"}]}}
    assert pointers(await client.post("/v1/price-lists", json=bad, headers=headers)) == ["/prices/server"]
    bad = {**PRICES, "prices": {"server": [{"from_units": 0, "price": "1e3"}]}}
    assert pointers(await client.post("/v1/price-lists", json=bad, headers=headers)) == ["/prices/server/0/price"]


async def test_the_invoice_that_was_written_is_on_the_statement_and_the_last_one_recorded_holds(
    client: httpx.AsyncClient, world: World
) -> None:
    theirs, _, _, statement_id = await issued(world, client)
    body = {"msp_id": ids.show("msp", world.msp.id), "number": "12/2026", "invoiced_on": "2026-04-02"}
    for number in ("12/2026", "13/2026"):
        answer = await client.post(
            f"/v1/statements/{statement_id}/invoices", json={**body, "number": number}, headers=theirs
        )
        assert answer.status_code == 201
    [invoice] = (await client.get(f"/v1/statements/{statement_id}", headers=theirs)).json()["invoices"]
    assert (invoice["number"], invoice["invoiced_on"]) == ("13/2026", "2026-04-02")
    pdf = await client.get(f"/v1/statements/{statement_id}/pdf", headers=theirs)
    assert (pdf.headers["content-type"], pdf.content[:5]) == ("application/pdf", b"%PDF-")


async def test_a_dispute_is_seen_and_upheld_by_the_distributor_and_becomes_a_correction(
    client: httpx.AsyncClient, world: World
) -> None:
    theirs, ours, report_id, _ = await issued(world, client)
    [site] = (await client.get("/v1/sites", headers=ours)).json()["items"]
    claim = {"server": 5, "workstation": 0, "server_plus": 0, "reason": "one was a test"}
    url = f"/v1/reports/{report_id}/lines/{site['id']}"
    assert (await client.post(f"{url}/dispute", json=claim, headers=ours)).status_code == 201
    [seen] = (await client.get("/v1/disputes", headers=theirs)).json()["items"]
    assert (seen["standing"], seen["claimed"]["server"]) == ("open", 5)
    decision = {"granted": True, "reason": "true"}
    answer = await client.post(f"/v1/disputes/{seen['id']}/decision", json=decision, headers=theirs)
    assert answer.json()["standing"] == "upheld"
    more = {"server": -6, "workstation": 0, "server_plus": 0, "reason": "all of it"}
    assert pointers(await client.post(f"{url}/adjustments", json=more, headers=theirs)) == ["/server"]
    told = (await client.get("/v1/events", headers=ours)).json()["items"]
    assert "dispute.decided" in [event["kind"] for event in told]
    world.clock.now = CLOSED + timedelta(days=30)
    await world.close()
    theirs, _ = await both(world)
    last = (await client.get("/v1/reports", headers=theirs)).json()["items"][-1]
    document = (await client.get(f"/v1/reports/{last['id']}/json", headers=theirs)).json()
    assert [line["quantities"]["server"] for line in document["corrections"]] == [-1]


async def test_a_distributor_reads_the_provisional_report_of_an_msp_of_its_own(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.running((2, 0, 0))
    world.clock.advance(hours=1)
    url = f"/v1/msps/{ids.show('msp', world.msp.id)}/reports/provisional"
    for kind in PartnerKind:
        document = (await client.get(url, headers=await signed_in(world, kind))).json()
        assert (document["status"], document["totals"]["server"]) == ("provisional", 2)
