"""The inventory: whole in numbered parts or as changes, up to 20,000 agents, read in pages, erased."""

from typing import Any

import httpx
import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from services import ids
from services.sites.tables import SiteFlag
from services.usage import Line
from tests.support.machine import Body, Machine
from tests.support.people import signed_in
from tests.support.problems import pointers, problem
from tests.support.world import World

URL = "/v1/inventory"
TEN = (10, 0, 0)


@pytest.fixture
async def ours(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {await world.token()}"}


@pytest.fixture
async def machine(world: World) -> Machine:
    return await world.running(TEN)


def agent(number: int, **more: Any) -> Body:
    return {"id": f"a{number:05}", "name": f"PC {number}", "type": "server", **more}


def part(revision: int, number: int, parts: int, *agents: Body) -> Body:
    return {"revision": revision, "part": number, "parts": parts, "agents": list(agents)}


def changes(base: int, revision: int, *agents: Body, gone: tuple[str, ...] = ()) -> Body:
    return {"base": base, "revision": revision, "agents": list(agents), "gone": list(gone)}


async def put(client: httpx.AsyncClient, machine: Machine, body: Body) -> Any:
    answer = await client.put(URL, json=body, headers=machine.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def patch(client: httpx.AsyncClient, machine: Machine, body: Body) -> Any:
    answer = await client.patch(URL, json=body, headers=machine.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def at(machine: Machine) -> str:
    return f"/v1/sites/{ids.show('site', machine.site_id)}"


async def names(client: httpx.AsyncClient, machine: Machine, ours: dict[str, str], query: str = "") -> list[str]:
    answer = await client.get(f"{at(machine)}/agents?limit=200{query}", headers=ours)
    return [one["id"] for one in answer.json()["items"]]


# --- whole ------------------------------------------------------------------------------------------------------


async def test_parts_in_any_order_and_more_than_once_are_one_inventory(
    client: httpx.AsyncClient, machine: Machine, ours: dict[str, str]
) -> None:
    second = part(1, 2, 2, agent(3, type="workstation", version="7.2", last_backup="failed"))
    for _ in range(2):
        said = await put(client, machine, second)
    assert (said["received"], said["complete_at"]) == ([2], None)
    said = await put(client, machine, part(1, 1, 2, agent(1), agent(2)))
    assert (said["complete_at"], said["server"], said["workstation"]) == ("2026-03-10T09:00:00Z", 2, 1)
    assert said == await put(client, machine, second)
    assert await names(client, machine, ours) == ["a00001", "a00002", "a00003"]


async def test_what_the_next_revision_does_not_name_is_gone_when_it_is_whole(
    client: httpx.AsyncClient, machine: Machine, ours: dict[str, str]
) -> None:
    await put(client, machine, part(1, 1, 1, agent(1), agent(2)))
    await put(client, machine, part(5, 1, 2, agent(2, name="renamed")))
    assert await names(client, machine, ours) == ["a00001", "a00002"]
    await put(client, machine, part(5, 2, 2, agent(9)))
    assert await names(client, machine, ours) == ["a00002", "a00009"]
    [first, _] = (await client.get(f"{at(machine)}/agents", headers=ours)).json()["items"]
    assert first["name"] == "renamed"


async def test_an_older_revision_or_other_parts_are_409(client: httpx.AsyncClient, machine: Machine) -> None:
    await put(client, machine, part(5, 1, 2, agent(1)))
    for late in (part(4, 1, 1, agent(1)), part(5, 2, 3, agent(1))):
        answer = await client.put(URL, json=late, headers=machine.headers)
        assert problem(answer, 409, "inventory_superseded")["revision"] == 5


async def test_an_empty_inventory_is_whole(client: httpx.AsyncClient, machine: Machine, ours: dict[str, str]) -> None:
    await put(client, machine, part(1, 1, 1, agent(1)))
    assert (await put(client, machine, part(2, 1, 1)))["complete_at"]
    assert await names(client, machine, ours) == []


async def test_twenty_thousand_agents_are_taken_and_not_one_more(
    client: httpx.AsyncClient, machine: Machine, ours: dict[str, str]
) -> None:
    for number in range(20):
        agents = [agent(number * 1000 + i) for i in range(1000)]
        said = await put(client, machine, part(1, number + 1, 21, *agents))
    surplus = await client.put(URL, json=part(1, 21, 21, agent(99_999)), headers=machine.headers)
    problem(surplus, 422, "inventory_too_large")
    said = await put(client, machine, part(1, 21, 21, agent(19_999)))
    assert said["server"] == 20_000
    more = await client.patch(URL, json=changes(1, 2, agent(99_999)), headers=machine.headers)
    problem(more, 422, "inventory_too_large")
    page = await client.get(f"{at(machine)}/agents?limit=200&after={machine.installation_id}.a19989", headers=ours)
    assert len(page.json()["items"]) == 10


# --- changes ----------------------------------------------------------------------------------------------------


async def test_changes_follow_a_whole_revision_and_twice_is_once(
    client: httpx.AsyncClient, machine: Machine, ours: dict[str, str]
) -> None:
    await put(client, machine, part(1, 1, 1, agent(1), agent(2), agent(3)))
    for _ in range(2):
        said = await patch(client, machine, changes(1, 2, agent(4), gone=("a00001",)))
    assert (said["revision"], said["server"]) == (2, 3)
    await patch(client, machine, changes(2, 3, agent(2, name="renamed", type="workstation")))
    assert await names(client, machine, ours) == ["a00002", "a00003", "a00004"]
    await put(client, machine, part(4, 1, 1, agent(3)))
    assert await names(client, machine, ours) == ["a00003"]


@pytest.mark.parametrize("body", [changes(7, 8), changes(2, 3)], ids=["nothing here", "half a whole"])
async def test_changes_that_follow_nothing_ask_for_the_whole(
    client: httpx.AsyncClient, machine: Machine, body: Body
) -> None:
    await put(client, machine, part(2, 1, 2, agent(1)))
    problem(await client.patch(URL, json=body, headers=machine.headers), 409, "inventory_unknown")


# --- who and what -----------------------------------------------------------------------------------------------


async def test_only_the_installation_itself_may_send(client: httpx.AsyncClient, machine: Machine) -> None:
    thief = machine.image()
    thief.secret = machine.secret[::-1]
    for headers in (thief.headers, {}, {"Authorization": "Bearer x"}):
        answer = await client.put(URL, json=part(1, 1, 1), headers=headers)
        problem(answer, 401, "credential_invalid")
    for _ in range(40):
        answer = await client.put(URL, json=part(1, 1, 1), headers=thief.headers)
    problem(answer, 429, "too_many_attempts")
    await put(client, machine, part(1, 1, 1))  # the right one is never slowed for another's wrong one


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (part(1, 2, 1), ""),
        (part(1, 1, 1, agent(1), agent(1)), ""),
        (part(0, 1, 1), "/revision"),
        (part(1, 1, 1, agent(1, type="mainframe")), "/agents/0/type"),
        (part(1, 1, 1, agent(1, last_contact_at="yesterday")), "/agents/0/last_contact_at"),
        (part(1, 1, 1, {"id": "", "name": "n", "type": "server"}), "/agents/0/id"),
        (part(1, 1, 1, agent(1, name="a\u0000")), "/agents/0/name"),
    ],
)
async def test_bad_input_is_422_and_names_the_field(
    client: httpx.AsyncClient, machine: Machine, body: Body, pointer: str
) -> None:
    answer = await client.put(URL, json=body, headers=machine.headers)
    problem(answer, 422, "request_invalid")
    assert pointers(answer) == [pointer]


async def test_agents_are_read_in_pages_and_by_the_result_of_their_last_backup(
    client: httpx.AsyncClient, world: World, machine: Machine, ours: dict[str, str]
) -> None:
    agents = [
        agent(i, last_backup="failed" if i % 2 else "ok", last_backup_at="2026-03-09T23:00:00Z") for i in range(6)
    ]
    await put(client, machine, part(1, 1, 1, *agents))
    page = await client.get(f"{at(machine)}/agents?limit=2&last_backup=failed", headers=ours)
    following = await client.get(page.headers["link"].split(">")[0][1:], headers=ours)
    found = [one["id"] for answer in (page, following) for one in answer.json()["items"]]
    assert found == ["a00001", "a00003", "a00005"]
    bad = await client.get(f"{at(machine)}/agents?after=x", headers=ours)
    problem(bad, 422, "request_invalid")
    theirs = {"Authorization": f"Bearer {await world.token(await world.another_msp('Baltica'))}"}
    problem(await client.get(f"{at(machine)}/agents", headers=theirs), 404, "not_found")


async def test_an_erased_inventory_is_gone_and_comes_again_whole(
    client: httpx.AsyncClient, world: World, machine: Machine, ours: dict[str, str]
) -> None:
    await put(client, machine, part(1, 1, 1, agent(1)))
    admin = await signed_in(world)
    assert (await client.delete(f"{at(machine)}/inventory", headers=admin)).status_code == 204
    assert await names(client, machine, ours) == []
    answer = await client.patch(URL, json=changes(1, 2), headers=machine.headers)
    problem(answer, 409, "inventory_unknown")
    assert (await world.peaks(machine))["server"][0] == 10


# --- implausible ------------------------------------------------------------------------------------------------


async def flags(world: World) -> list[tuple[str, str]]:
    async with world.sessions() as db:
        return [(row.flag, row.detail) for row in await db.scalars(select(SiteFlag))]


async def test_more_agents_than_are_deployed_are_flagged_with_the_next_heartbeat(
    client: httpx.AsyncClient, world: World, machine: Machine
) -> None:
    await put(client, machine, part(1, 1, 1, *[agent(i) for i in range(11)]))
    assert await flags(world) == []  # the eleventh may be in the heartbeat to come
    await world.beat(machine, (11, 0, 0))
    assert await flags(world) == []
    await patch(client, machine, changes(1, 2, agent(20)))
    await world.beat(machine, (11, 0, 0))
    assert await flags(world) == [("implausible", "inventory of 12 agents of type server, 11 deployed")]
    assert (await world.peaks(machine))["server"][0] == 11
    async with world.sessions() as db:
        assert await db.scalar(select(Line.waiting)) is False  # looked at once, and idle again


# --- what it costs ----------------------------------------------------------------------------------------------


async def test_a_part_costs_as_many_statements_with_a_thousand_agents_as_with_one(
    client: httpx.AsyncClient, machine: Machine
) -> None:
    seen: list[int] = []
    counter = [0]

    def note(*_: Any) -> None:
        counter[0] += 1

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for revision, agents in ((1, 1), (2, 1000)):
            counter[0] = 0
            await put(client, machine, part(revision, 1, 2, *[agent(i) for i in range(agents)]))
            seen.append(counter[0])
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert seen[1] <= seen[0]


# --- what was last told -----------------------------------------------------------------------------------------


async def test_the_last_payload_says_what_was_last_told(
    client: httpx.AsyncClient, world: World, machine: Machine, ours: dict[str, str]
) -> None:
    world.clock.advance(minutes=15)
    await world.beat(machine, (12, 0, 0), backups={"ok": 11, "warning": 0, "failed": 1, "overdue": 0})
    world.clock.advance(minutes=15)
    await world.beat(machine, (12, 0, 0))
    [told] = (await client.get(f"{at(machine)}/last-payload", headers=ours)).json()["items"]
    assert (told["sequence"], told["last_contact_at"], told["through"]) == (3, "2026-03-10T09:30:00Z", 2)
    assert told["last_entry"] == {
        "n": 2, "at": "2026-03-10T09:15:00Z", "server": 12, "workstation": 0, "server_plus": 0
    }  # fmt: skip
    assert (told["receipt"], told["backups"]["failed"]) == (machine.receipt, 1)
