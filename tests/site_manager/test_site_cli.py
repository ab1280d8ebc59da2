"""The command in a process of its own, against a service on a real port: also killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from site_manager.answers import STATES as ALL_STATES
from site_manager.lease import LeaseRefused, Reason
from site_manager.messages import LEASES, NO_NEWS, REFUSALS, STATES, explain
from site_manager.outcome import Refused, Unreachable, Unwritable
from tests.site_manager.fake_service import KEY, Clock, FakeService, Listening

CODES = {
    *("key_unknown", "key_malformed", "version_unsupported", "key_already_bound", "credential_mismatch"),
    *("seats_exhausted", "key_suspended", "key_revoked", "msp_not_approved", "credential_invalid"),
    *("body_too_large", "request_invalid", "deployed_mismatch", "changes_missing", "line_broken"),
}


class Command:
    def __init__(self, server: str, state: Path) -> None:
        self.server = server
        self.state = state

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "site_manager", *args, "--state", str(self.state)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, *args: str) -> tuple[int, str, str]:
        process = self.start(*args)
        out, err = process.communicate(timeout=30)
        return process.returncode, out.decode(), err.decode()

    def activate(self) -> tuple[int, str, str]:
        return self("activate", KEY, "--server", self.server)


@pytest.fixture
def command(service: FakeService, clock: Clock, tmp_path: Path) -> Iterator[Command]:
    # The process has the real time; the service's clock need not agree for what is tested here.
    with Listening(service) as server:
        yield Command(server, tmp_path / "site.sqlite3")


def test_from_activation_to_verified_receipts(command: Command, service: FakeService) -> None:
    assert command.activate()[0] == 0
    assert command("set-agents", "server=12", "workstation=140")[0] == 0
    assert command("set-agents", "workstation=141")[0] == 0
    assert command("run", "--once")[0] == 0
    code, out, err = command("show-last-payload")
    assert code == 0 and out.encode() == service.heartbeats[0].body
    assert service.lines[0].receipts[2].hex() in err
    assert json.loads(out)["deployed"] == {"server": 12, "workstation": 141, "server_plus": 0}
    code, out, _ = command("verify-receipts")
    assert code == 0 and "1 to 2" in out
    code, out, _ = command("status")
    assert code == 0 and "site_01fake" in out and "0 entries" in out


@pytest.mark.parametrize("answered_before", [False, True])
def test_a_kill_in_the_middle_of_a_heartbeat_loses_nothing_and_counts_nothing_twice(
    command: Command, service: FakeService, answered_before: bool
) -> None:
    command.activate()
    command("set-agents", "server=12")
    if answered_before:
        command("run", "--once")
    sent_before = len(service.heartbeats)
    arrived, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        go_on.wait(10)

    service.hook = hold
    process = command.start("run", "--once")
    assert arrived.wait(10)
    os.kill(process.pid, signal.SIGKILL)  # the service has the request; its answer goes nowhere
    process.communicate()
    service.hook = None
    command("set-agents", "server=13")
    go_on.set()
    assert command("run", "--once")[0] == 0
    first, repeat = (sent.body.partition(b'"sent_at"')[0] for sent in service.heartbeats[sent_before:])
    assert first == repeat
    assert command("run", "--once")[0] == 0
    line = service.lines[0]
    assert [entry["server"] for entry in line.entries.values()] == [12, 13]
    assert line.sequence == 2 + answered_before
    assert command("verify-receipts")[0] == 0


def test_run_ends_at_sigterm_and_holds_its_file_alone(command: Command, service: FakeService) -> None:
    command.activate()
    arrived = threading.Event()
    service.hook = arrived.set
    service.interval = 1
    command("run", "--once")
    arrived.clear()
    process = command.start("run")
    assert arrived.wait(10)
    code, _, err = command("run", "--once")
    assert code == 1 and "Another process" in err
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_what_is_wrong_is_told_in_a_sentence(command: Command, service: FakeService, tmp_path: Path) -> None:
    assert "activate" in command("run")[2]
    assert "typing error" in command("activate", "12345", "--server", command.server)[2]
    assert "https://" in command("activate", KEY, "--server", "http://service.test")[2]
    assert "TYPE=NUMBER" in command("set-agents", "mainframe=1")[2]
    assert "TYPE=NUMBER" in command("set-agents", "server=-1")[2]
    command.state = tmp_path / "garbage"
    command.state.write_bytes(b"this is no database at all, but it is long enough to be looked at" * 20)
    code, _, err = command("status")
    assert code == 1 and "cannot be used" in err and "Traceback" not in err


def test_every_code_state_and_reason_has_its_sentence() -> None:
    assert set(REFUSALS) >= CODES
    assert set(STATES) == ALL_STATES
    assert set(LEASES) == set(get_args(Reason))
    told = {explain(Refused(code)) for code in REFUSALS} | {explain(Unreachable(why, "")) for why in NO_NEWS}
    assert len(told) == len(REFUSALS) + len(NO_NEWS)
    assert "brand_new" in explain(Refused("brand_new", "because"))
    assert "full" in explain(Unwritable("database or disk is full"))
    assert LeaseRefused("forged").reason in LEASES
