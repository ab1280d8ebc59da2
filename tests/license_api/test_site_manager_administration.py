"""The reference Site Manager against the real API: commands, inventory, backups and another credential."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from site_manager import Activated, Answered, Counts, FolderMachine, SiteManager, Spool
from tests.support.world import World


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool.open(tmp_path / "site.sqlite3")) as opened:
        yield opened


@pytest.fixture
async def ours(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {await world.token()}"}


async def test_a_site_does_what_it_is_asked_and_its_partner_sees_it(
    client: httpx.AsyncClient, world: World, spool: Spool, ours: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "definitions.txt").write_text("Nightly\n")
    (tmp_path / "inventory.json").write_text(json.dumps([_agent(number) for number in range(3)]))
    (tmp_path / "backups.json").write_text('{"ok": 2, "warning": 0, "failed": 1, "overdue": 0}')
    site = SiteManager(spool, client, world.clock, machine=FolderMachine(tmp_path))
    activated = await site.activate((await world.key()).code, hostname="backup01")
    assert isinstance(activated, Activated)
    site.record(world.clock(), Counts(server=3))
    at = f"/v1/sites/{activated.site_id}"
    orders: list[dict[str, Any]] = [
        {"kind": "run_backup", "name": "Nightly"},
        {"kind": "rename", "name": "Hotel Adria, Rimini"},
        {"kind": "send_inventory"},
        {"kind": "rotate_credential"},
    ]
    await _round(site, world)
    for order in orders:
        assert (await client.post(f"{at}/commands", json=order, headers=ours)).status_code == 201
    for _ in range(4):
        await _round(site, world)
    shown = (await client.get(f"{at}/commands", headers=ours)).json()["items"]
    assert {one["kind"]: one["state"] for one in shown} == {order["kind"]: "done" for order in orders}
    assert (tmp_path / "runs.log").read_text() == "Nightly\n"
    agents = (await client.get(f"{at}/agents", headers=ours)).json()["items"]
    assert [one["name"] for one in agents] == ["PC 0", "PC 1", "PC 2"]
    [trouble] = (await client.get("/v1/backups/troubles", headers=ours)).json()["items"]
    assert trouble["backups"]["failed"] == 1
    assert (await client.get(at, headers=ours)).json()["flags"] == []

    (tmp_path / "inventory.json").write_text(json.dumps([_agent(7)]))
    world.clock.advance(hours=1)
    await _round(site, world)
    [left] = (await client.get(f"{at}/agents", headers=ours)).json()["items"]
    assert left["name"] == "PC 7"


def _agent(number: int) -> dict[str, Any]:
    return {"id": f"a{number}", "name": f"PC {number}", "type": "server", "last_contact_at": "2026-03-10T08:00:00Z"}


async def _round(site: SiteManager, world: World) -> None:
    outcome = await site.heartbeat()
    assert isinstance(outcome, Answered), outcome
    await site.tend()
    world.clock.advance(minutes=15)
