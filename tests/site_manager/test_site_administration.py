"""What the Site Manager does when asked: each command at most once, the inventory, and another credential."""

import json
import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from site_manager import Answered, Done, FolderMachine, Repaired, SiteManager, Spool, Unreachable
from site_manager.spool import SCHEMA_VERSION, read_identity
from tests.site_manager.fake_service import KEY, Clock, FakeService, Listening, problem
from tests.site_manager.machine import Machine as Disk
from tests.site_manager.test_site_cli import Command

LATER = "2026-11-02T00:00:00Z"


class Machine:
    """A machine that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.agents: list[dict[str, Any]] | None = [{"id": "a1", "name": "PC 1", "type": "server"}]
        self.dies = False

    def backups(self) -> dict[str, int] | None:
        return {"ok": 1, "warning": 0, "failed": 0, "overdue": 0}

    def inventory(self) -> Sequence[dict[str, Any]] | None:
        return self.agents

    def run_backup(self, name: str) -> Done:
        self.asked.append(name)
        if self.dies:
            raise KeyboardInterrupt
        return Done("done")

    def rename(self, name: str) -> Done:
        self.asked.append(name)
        return Done("failed", "line\nbreak")


@pytest.fixture
def work() -> Machine:
    return Machine()


async def opened(disk: Disk, http: httpx.AsyncClient, clock: Clock, work: Machine | None, **more: Any) -> SiteManager:
    site = SiteManager(disk.spool(), http, clock, machine=work, **more)
    await site.activate(KEY, hostname="backup01")
    return site


@pytest.fixture
async def site(machine: Disk, http: httpx.AsyncClient, clock: Clock, work: Machine) -> SiteManager:
    return await opened(machine, http, clock, work)


def order(number: int, kind: str = "run_backup", name: str = "Nightly", expires_at: str = LATER) -> dict[str, Any]:
    named = {"name": name} if kind in ("run_backup", "rename") else {}
    return {"id": f"command_{number}", "kind": kind, "expires_at": expires_at} | named


async def round_(site: SiteManager) -> Answered:
    outcome = await site.heartbeat()
    assert isinstance(outcome, Answered), outcome
    await site.tend()
    return outcome


def results(service: FakeService) -> list[tuple[str, str]]:
    sent = [result for beat in service.heartbeats for result in beat.members.get("results", [])]
    return [(result["command"], result["outcome"]) for result in sent]


# --- commands ---------------------------------------------------------------------------------------------------


async def test_a_command_is_done_and_its_result_told_once(
    site: SiteManager, service: FakeService, work: Machine
) -> None:
    service.commands = [order(1), order(2, "rename", "Rossi")]
    for _ in range(3):
        await round_(site)
    assert work.asked == ["Nightly", "Rossi"]
    assert results(service) == [("command_1", "done"), ("command_2", "failed")]
    assert service.heartbeats[1].members["results"][1]["text"] == "line break"


async def test_a_command_that_comes_twice_is_done_once(site: SiteManager, service: FakeService, work: Machine) -> None:
    for _ in range(3):
        service.commands = [order(1)]
        await round_(site)
    assert work.asked == ["Nightly"]


async def test_a_lost_answer_brings_its_command_with_the_repeat(
    site: SiteManager, service: FakeService, work: Machine
) -> None:
    service.commands, service.lose_replies = [order(1)], 1
    assert isinstance(await site.heartbeat(), Unreachable)
    await round_(site)
    assert work.asked == ["Nightly"]


async def test_one_that_was_begun_and_never_ended_is_not_begun_again(
    machine: Disk, http: httpx.AsyncClient, clock: Clock, site: SiteManager, service: FakeService, work: Machine
) -> None:
    service.commands, work.dies = [order(1)], True
    with pytest.raises(KeyboardInterrupt):
        await round_(site)
    after = SiteManager(machine.spool(), http, clock, machine=work)
    await round_(after)
    await round_(after)
    assert work.asked == ["Nightly"]
    assert results(service) == [("command_1", "failed")]


async def test_one_that_has_expired_by_the_service_s_clock_is_not_done(
    machine: Disk, http: httpx.AsyncClient, service: FakeService, work: Machine
) -> None:
    behind = Clock(service.clock())
    behind.move(days=-40)
    site = await opened(machine, http, behind, work)
    service.commands = [order(1, expires_at="2026-10-31T23:59:59Z"), order(2, name="Weekly")]
    await round_(site)
    await round_(site)
    assert work.asked == ["Weekly"]
    assert results(service) == [("command_2", "done")]


async def test_a_site_may_refuse_all(
    machine: Disk, http: httpx.AsyncClient, clock: Clock, service: FakeService, work: Machine
) -> None:
    site = await opened(machine, http, clock, work, refuses_commands=True)
    kinds = ("run_backup", "rename", "send_inventory", "rotate_credential")
    service.commands = [order(number, kind) for number, kind in enumerate(kinds)]
    await round_(site)
    await round_(site)
    assert (work.asked, service.inventories) == ([], [])
    assert {outcome for _, outcome in results(service)} == {"refused"}
    assert "next_credential_sha256" not in service.heartbeats[-1].members


async def test_what_nothing_here_can_do_is_refused(
    machine: Disk, http: httpx.AsyncClient, clock: Clock, service: FakeService
) -> None:
    site = await opened(machine, http, clock, None)
    service.commands = [order(1), order(2, "send_inventory"), order(3, "delete_everything"), {"id": 7}]
    await round_(site)
    await round_(site)
    assert results(service) == [(f"command_{number}", "refused") for number in (1, 2, 3)]


async def test_results_of_a_request_that_was_given_up_go_into_the_next(site: SiteManager, service: FakeService) -> None:
    service.commands = [order(1)]
    await round_(site)
    service.next_answers = [problem(422, "request_invalid")]
    assert isinstance(await site.heartbeat(), Repaired)
    await round_(site)
    assert results(service) == [("command_1", "done")] * 2


async def test_the_backups_go_along(site: SiteManager, service: FakeService) -> None:
    await round_(site)
    assert service.heartbeats[0].members["backups"] == {"ok": 1, "warning": 0, "failed": 0, "overdue": 0}


# --- the inventory ----------------------------------------------------------------------------------------------


def agents(count: int) -> list[dict[str, Any]]:
    return [{"id": f"a{number:05}", "name": f"PC {number}", "type": "server"} for number in range(count)]


async def test_the_whole_is_sent_when_asked_for_and_then_what_changes(
    site: SiteManager, service: FakeService, work: Machine, clock: Clock
) -> None:
    work.agents = agents(2500)
    await round_(site)
    assert service.inventories == []  # nobody asked
    service.commands = [order(1, "send_inventory")]
    await round_(site)
    parts = [(method, body["part"], body["parts"], len(body["agents"])) for method, body in service.inventories]
    assert parts == [("PUT", 1, 3, 1000), ("PUT", 2, 3, 1000), ("PUT", 3, 3, 500)]
    await round_(site)
    assert results(service) == [("command_1", "done")]
    work.agents = [*agents(2499), {"id": "new", "name": "PC new", "type": "workstation"}]
    await round_(site)
    assert len(service.inventories) == 3
    clock.move(hours=1)
    await round_(site)
    [(method, body)] = service.inventories[3:]
    assert (method, body["base"], body["revision"]) == ("PATCH", 1, 2)
    assert ([one["id"] for one in body["agents"]], body["gone"]) == (["new"], ["a02499"])


async def test_an_inventory_that_was_not_taken_is_sent_again_under_a_new_number(
    site: SiteManager, service: FakeService
) -> None:
    service.commands = [order(1, "send_inventory")]
    await site.heartbeat()
    service.lose_replies = 1
    await site.tend()
    await round_(site)
    assert [body["revision"] for _, body in service.inventories] == [1, 2]
    await round_(site)
    assert results(service) == [("command_1", "done")]


async def test_changes_that_the_service_does_not_follow_become_the_whole(
    site: SiteManager, service: FakeService, work: Machine, clock: Clock
) -> None:
    service.commands = [order(1, "send_inventory")]
    await round_(site)
    work.agents = agents(3)
    clock.move(hours=1)
    await site.heartbeat()
    service.next_answers = [problem(409, "inventory_unknown", revision=9)]
    await site.tend()
    await round_(site)
    assert [(method, body["revision"]) for method, body in service.inventories] == [
        ("PUT", 1), ("PATCH", 2), ("PUT", 10)
    ]  # fmt: skip


async def test_an_inventory_that_is_refused_is_told_as_failed(site: SiteManager, service: FakeService) -> None:
    service.commands = [order(1, "send_inventory")]
    await site.heartbeat()
    service.next_answers = [problem(422, "inventory_too_large")]
    await site.tend()
    await round_(site)
    assert results(service) == [("command_1", "failed")]
    assert len(service.inventories) == 1


# --- the credential ---------------------------------------------------------------------------------------------


def secrets_of(disk: Disk) -> tuple[str, str | None]:
    identity = read_identity(disk.spool().db)
    assert identity is not None
    return identity.secret, identity.next_secret


async def test_the_next_credential_is_offered_used_and_then_the_only_one(
    machine: Disk, site: SiteManager, service: FakeService
) -> None:
    service.commands = [order(1, "rotate_credential")]
    await round_(site)
    old, following = secrets_of(machine)
    assert following not in (None, old)
    for _ in range(3):
        await round_(site)
    used = [sent.authorization.rsplit(".", 1)[1] for sent in service.heartbeats]
    assert used == [old, old, following, following]
    assert ["next_credential_sha256" in sent.members for sent in service.heartbeats] == [False, True, False, False]
    assert secrets_of(machine) == (following, None)
    assert results(service) == []  # the service has seen it


async def test_a_lost_answer_at_any_step_of_it_leaves_a_credential_that_is_known(
    machine: Disk, http: httpx.AsyncClient, clock: Clock, site: SiteManager, service: FakeService
) -> None:
    service.commands = [order(1, "rotate_credential")]
    old = secrets_of(machine)[0]
    for _ in range(5):
        service.lose_replies = 1
        assert isinstance(await site.heartbeat(), Unreachable)
        site = SiteManager(machine.spool(), http, clock)  # as after a restart
        await round_(site)
    secret, following = secrets_of(machine)
    assert secret != old and following is None


async def test_a_service_restored_from_before_the_change_is_told_the_old_one(
    machine: Disk, site: SiteManager, service: FakeService
) -> None:
    service.commands = [order(1, "rotate_credential")]
    await round_(site)
    await round_(site)
    service.next_credential = None  # the offer was in what the service lost
    assert isinstance(await site.heartbeat(), Repaired)
    for _ in range(3):
        await round_(site)
    assert secrets_of(machine)[1] is None
    assert results(service) == []


async def test_an_offer_that_is_ignored_is_dropped(machine: Disk, site: SiteManager, service: FakeService) -> None:
    service.commands = [order(1, "rotate_credential")]
    await round_(site)
    old = secrets_of(machine)[0]
    service.notices = [{"code": "credential_ignored"}]
    await round_(site)
    assert secrets_of(machine) == (old, None)


# --- killed in the middle ---------------------------------------------------------------------------------------


@pytest.fixture
def command(service: FakeService, tmp_path: Path) -> Iterator[Command]:
    with Listening(service) as server:
        yield Command(server, tmp_path / "site.sqlite3")


def test_a_kill_while_a_command_is_done_leaves_it_done_at_most_once(
    command: Command,
    service: FakeService,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "definitions.txt").write_text("Nightly\n")
    os.mkfifo(folder / "runs.log")  # whoever writes to it waits for a reader: the machine is in the middle
    command.activate()
    service.commands = [order(1, expires_at="2199-01-01T00:00:00Z")]
    process = command.start("run", "--once", "--folder", str(folder))
    while not _begun(command.state):
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (folder / "runs.log").unlink()
    for _ in range(2):
        assert command("run", "--once", "--folder", str(folder))[0] == 0
    assert not (folder / "runs.log").exists()
    [result] = [result for beat in service.heartbeats for result in beat.members.get("results", [])]
    assert (result["outcome"], "interrupted" in result["text"]) == ("failed", True)


def _begun(state: Path) -> bool:
    with closing(sqlite3.connect(state)) as db:
        (begun,) = db.execute("SELECT count(*) FROM command WHERE begun_at IS NOT NULL").fetchone()
        return bool(begun)


def test_a_kill_while_the_inventory_is_sent_sends_it_again(
    command: Command,
    service: FakeService,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "inventory.json").write_text(json.dumps(agents(3)))
    command.activate()
    service.commands = [order(1, "send_inventory", expires_at="2199-01-01T00:00:00Z")]
    arrived, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        if service.inventories:
            arrived.set()
            go_on.wait(10)

    service.hook = hold
    process = command.start("run", "--once", "--folder", str(folder))
    assert arrived.wait(20)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    service.hook = None
    go_on.set()
    for _ in range(2):
        assert command("run", "--once", "--folder", str(folder))[0] == 0
    assert [body["revision"] for _, body in service.inventories] == [1, 2]
    assert results(service) == [("command_1", "done")]


def test_a_kill_with_the_offer_under_way_leaves_both_credentials(
    command: Command,
    service: FakeService,
) -> None:
    command.activate()
    service.commands = [order(1, "rotate_credential", expires_at="2199-01-01T00:00:00Z")]
    command("run", "--once")
    arrived, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        go_on.wait(10)

    for _ in range(2):  # with the offer, then with the new credential
        service.hook = hold
        arrived.clear()
        go_on.clear()
        process = command.start("run", "--once")
        assert arrived.wait(20)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        service.hook = None
        go_on.set()
        assert command("run", "--once")[0] == 0
    with closing(sqlite3.connect(command.state)) as db:
        assert db.execute("SELECT next_secret FROM identity").fetchone() == (None,)
    assert command("run", "--once")[0] == 0


# --- the reference machine and the file -------------------------------------------------------------------------


def test_the_folder_s_files_are_read_with_care(tmp_path: Path) -> None:
    folder = FolderMachine(tmp_path)
    assert (folder.backups(), folder.inventory()) == (None, None)
    for text in ("", "{", "[1]", '{"ok": -1, "warning": 0, "failed": 0, "overdue": 0}', '[{"id": 1}]'):
        (tmp_path / "backups.json").write_text(text)
        (tmp_path / "inventory.json").write_text(text)
        assert (folder.backups(), folder.inventory()) == (None, None)
    (tmp_path / "definitions.txt").write_text("Nightly\n")
    assert folder.run_backup("Weekly").outcome == "failed"
    assert folder.run_backup("Nightly").outcome == folder.rename("Rossi").outcome == "done"
    assert ((tmp_path / "runs.log").read_text(), (tmp_path / "name.txt").read_text()) == ("Nightly\n", "Rossi\n")
    shutil.rmtree(tmp_path)
    assert folder.rename("Rossi").outcome == "failed"


async def test_a_file_of_the_version_before_is_brought_up_to_date(
    machine: Disk, site: SiteManager, service: FakeService
) -> None:
    await round_(site)
    with closing(sqlite3.connect(machine.path)) as db:
        for table in ("command", "inventory", "agent"):
            db.execute(f"DROP TABLE {table}")
        for column in ("next_secret", "next_in_use"):
            db.execute(f"ALTER TABLE identity DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    again = machine.site()
    await round_(again)
    spool = Spool.open(machine.path)
    assert spool.db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    spool.close()
