"""Keys, sites and reports for an MSP's programs: what they see, page by page, and that a stranger's does not exist."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from services import ids
from services.keys import Key
from services.partners import Msp
from services.reports.tables import Report
from tests.support.problems import pointers, problem
from tests.support.world import World

APRIL = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture
async def ours(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {await world.token()}"}


@pytest.fixture
async def theirs(world: World) -> dict[str, str]:
    other = await world.another_msp("Baltica")
    return {"Authorization": f"Bearer {await world.token(other)}"}


# --- keys ------------------------------------------------------------------------------------------------------


async def test_a_key_is_made_shown_once_with_its_code_and_then_masked(
    client: httpx.AsyncClient, ours: dict[str, str]
) -> None:
    made = await client.post("/v1/keys", json={"name": "Hotel Adria", "reference": "C-17"}, headers=ours)
    assert made.status_code == 201
    said = made.json()
    assert re.fullmatch(r"([0-9A-Z]{5}-){4}[0-9A-Z]{5}", said["code"])
    assert (said["state"], said["name"], said["reference"]) == ("issued", "Hotel Adria", "C-17")
    shown = (await client.get(f"/v1/keys/{said['id']}", headers=ours)).json()
    assert shown == {name: value for name, value in said.items() if name != "code"}
    assert shown["key"] == "*****-*****-*****-*****-" + said["code"][-5:]


async def test_a_taken_name_is_409_and_makes_nothing(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    for expected in (201, 409):
        answer = await client.post("/v1/keys", json={"name": "Hotel Adria"}, headers=ours)
        assert answer.status_code == expected
    problem(answer, 409, "key_name_taken")
    assert pointers(answer) == ["/name"]
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(Key)) == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": 5}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "a", "reference": "\0"}, "/reference"),
        ({"name": "a", "state": "active"}, "/state"),
    ],
)
async def test_bad_input_for_a_key_is_422_with_a_pointer(
    client: httpx.AsyncClient, ours: dict[str, str], body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/keys", json=body, headers=ours)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == [pointer]


async def test_an_msp_that_is_not_approved_makes_no_key(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(approved_at=None))
    problem(await client.post("/v1/keys", json={"name": "a"}, headers=ours), 403, "msp_not_approved")


async def test_the_timeline_says_when_from_to_why_and_by_whom(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=14)
    await world.sweep()
    world.clock.advance(hours=1)
    await world.beat(machine, (1, 0, 0))
    key = await world.key_of(machine)
    answer = await client.get(f"/v1/keys/{ids.show('key', key.id)}/timeline", headers=ours)
    assert answer.json()["items"][-2:] == [
        {
            "at": "2026-03-24T09:00:00Z", "recorded_at": "2026-03-24T09:00:00Z", "event": "disabled",
            "from_state": "active", "to_state": "disabled", "reason": "silent", "actor": "sweep",
        },
        {
            "at": "2026-03-24T10:00:00Z", "recorded_at": "2026-03-24T10:00:00Z", "event": "enabled",
            "from_state": "disabled", "to_state": "active", "reason": "heard again", "actor": "site",
        },
    ]  # fmt: skip


# --- sites -----------------------------------------------------------------------------------------------------


async def test_a_site_is_shown_with_its_liveness_and_the_dated_ladder(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    machine = await world.running((12, 140, 1))
    await world.pass_time(hours=2)
    answer = await client.get(f"/v1/sites/{ids.show('site', machine.site_id)}", headers=ours)
    said = answer.json()
    assert (said["state"], said["liveness"], said["hostname"]) == ("active", "late", "backup01")
    assert said["deployed"] == {"server": 12, "workstation": 140, "server_plus": 1}
    assert (said["warn_at"], said["disable_at"]) == ("2026-03-11T09:00:00Z", "2026-03-24T09:00:00Z")
    [listed] = (await client.get("/v1/sites", headers=ours)).json()["items"]
    assert listed == said


# --- strangers -------------------------------------------------------------------------------------------------


async def test_a_stranger_s_key_site_and_report_do_not_exist(
    client: httpx.AsyncClient, world: World, ours: dict[str, str], theirs: dict[str, str]
) -> None:
    machine = await world.running((1, 0, 0))
    key = await world.key_of(machine)
    world.clock.now = APRIL
    await world.close()
    async with world.sessions() as db:
        [report_id] = await db.scalars(select(Report.id))
    paths = [
        f"/v1/keys/{ids.show('key', key.id)}",
        f"/v1/keys/{ids.show('key', key.id)}/timeline",
        f"/v1/sites/{ids.show('site', key.site_id)}",
        f"/v1/reports/{ids.show('report', report_id)}/json",
        f"/v1/reports/{ids.show('report', report_id)}/csv",
    ]
    for path in paths:
        assert (await client.get(path, headers=ours)).status_code == 200, path
        problem(await client.get(path, headers=theirs), 404, "not_found")
    for path in ("/v1/keys", "/v1/sites", "/v1/reports"):
        assert len((await client.get(path, headers=ours)).json()["items"]) == 1
        assert (await client.get(path, headers=theirs)).json()["items"] == []
    assert (await client.get("/v1/reports/provisional", headers=theirs)).json()["lines"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/keys/x",
        "/v1/keys/key_00000000000000000000000000",
        "/v1/keys/site_00000000000000000000000000",
        "/v1/keys/%00",
        "/v1/keys/x/timeline",
        "/v1/sites/x",
        "/v1/reports/x/json",
        "/v1/nothing",
        "/docs",
    ],
)
async def test_what_does_not_exist_is_404(client: httpx.AsyncClient, ours: dict[str, str], path: str) -> None:
    problem(await client.get(path, headers=ours), 404, "not_found")


async def test_another_method_is_405_with_allow(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/activations")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v1/keys", "/v1/sites", "/v1/reports", "/v1/reports/provisional"])
async def test_without_a_good_token_it_is_401_everywhere(client: httpx.AsyncClient, world: World, path: str) -> None:
    machine = await world.activated()
    expired = await world.token(expires_at=world.clock() + timedelta(minutes=1))
    world.clock.advance(minutes=1)
    for token in (None, "x", "tdm_" + "x" * 43, expired, machine.bearer):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await client.get(path, headers=headers)
        problem(answer, 401, "credential_invalid")
        assert answer.headers["www-authenticate"] == "Bearer"


# --- pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "count"), [("keys", 7), ("sites", 7), ("reports", 5)])
async def test_pages_hold_every_item_once_and_link_to_the_next(
    client: httpx.AsyncClient, world: World, ours: dict[str, str], what: str, count: int
) -> None:
    for number in range(7):
        world.clock.advance(seconds=1)
        await world.running((1, 0, 0), f"site {number}")
    world.clock.now = datetime(2026, 8, 15, tzinfo=UTC)
    await world.close()
    seen: list[str] = []
    url: str | None = f"/v1/{what}?limit=3"
    while url:
        page = await client.get(url, headers=ours)
        items = page.json()["items"]
        assert len(items) <= 3
        seen += [item["id"] for item in items]
        url = page.links.get("next", {}).get("url")
    assert len(seen) == len(set(seen)) == count
    if what != "reports":
        assert seen == sorted(seen)


async def test_reports_come_oldest_first(client: httpx.AsyncClient, world: World, ours: dict[str, str]) -> None:
    await world.running((1, 0, 0))
    for month in range(4, 13):
        world.clock.now = datetime(2026, month, 2, tzinfo=UTC)
        await world.close()
    items = (await client.get("/v1/reports", headers=ours)).json()["items"]
    assert [item["month"] for item in items] == [f"2026-{month:02d}" for month in range(3, 12)]


@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/keys", "text"), ("/v1/sites", "text"), ("/v1/audit-log", "subject"), ("/v1/sites/{site}/agents", "after")],
)
async def test_a_nul_in_a_query_is_422_with_a_pointer(
    client: httpx.AsyncClient, world: World, ours: dict[str, str], path: str, name: str
) -> None:
    machine = await world.running((1, 0, 0))
    given = {name: f"{UUID(int=1)}.\x00" if name == "after" else "\x00"}
    answer = await client.get(path.format(site=ids.show("site", machine.site_id)), headers=ours, params=given)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == [f"/query/{name}"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=201", "/query/limit"),
        ("limit=x", "/query/limit"),
        ("after=x", "/query/after"),
        ("after=site_00000000000000000000000000", "/query/after"),
        ("after=" + "x" * 65, "/query/after"),
        ("after=%00", "/query/after"),
    ],
)
async def test_a_bad_page_is_422_with_a_pointer(
    client: httpx.AsyncClient, ours: dict[str, str], query: str, pointer: str
) -> None:
    answer = await client.get(f"/v1/keys?{query}", headers=ours)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == [pointer]


# --- reports ---------------------------------------------------------------------------------------------------


async def test_the_provisional_report_is_the_month_as_if_it_closed_now(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    machine = await world.running((3, 140, 0))
    world.clock.advance(hours=1)
    await world.beat(machine, (3, 120, 0))
    world.clock.advance(hours=1)
    answer = await client.get("/v1/reports/provisional", headers=ours)
    document = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert (document["status"], document["number"], document["period"]["month"]) == ("provisional", None, "2026-03")
    assert document["totals"]["workstation"] == 140
    assert [line["coverage_percent"] for line in document["lines"]] == ["50.00"]


async def test_an_issued_report_is_downloaded_as_the_very_bytes(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    await world.running((3, 140, 0), "=cmd")
    world.clock.now = APRIL
    await world.close()
    [item] = (await client.get("/v1/reports", headers=ours)).json()["items"]
    assert (item["number"], item["month"], item["issued_at"]) == ("2026-00001", "2026-03", "2026-04-01T04:00:00Z")
    [report] = await world.reports()
    got = await client.get(f"/v1/reports/{item['id']}/json", headers=ours)
    assert got.content == report.document
    assert json.loads(got.content)["lines"][0]["site"] == "=cmd"
    sheet = await client.get(f"/v1/reports/{item['id']}/csv", headers=ours)
    assert sheet.headers["content-type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(sheet.text))
    assert (row["site"], row["workstation"]) == ("'=cmd", "140")


async def test_a_form_that_does_not_exist_is_422(client: httpx.AsyncClient, ours: dict[str, str]) -> None:
    answer = await client.get("/v1/reports/report_00000000000000000000000000/exe", headers=ours)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == ["/path/form"]


async def test_keys_are_filtered_by_how_their_site_is_doing(
    client: httpx.AsyncClient, world: World, ours: dict[str, str]
) -> None:
    for name in ("One", "Two"):
        await world.running((1, 0, 0), name)
    await world.key("Never")

    async def named(query: str) -> list[str]:
        answer = await client.get(f"/v1/keys?{query}", headers=ours)
        assert answer.status_code == 200, answer.text
        return [key["name"] for key in answer.json()["items"]]

    assert await named("liveness=online") == ["One", "Two"]
    assert await named("liveness=never_connected") == ["Never"]
    assert await named("liveness=online&text=two") == ["Two"]
    assert await named("liveness=silent") == []
    first = await client.get("/v1/keys?liveness=online&limit=1", headers=ours)
    following = await client.get(first.links["next"]["url"], headers=ours)
    assert [key["name"] for key in following.json()["items"]] == ["Two"]
