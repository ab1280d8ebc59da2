"""Activation and heartbeats: what is sent, what waits, what is sent again."""

import asyncio
import hashlib
import json
import shutil
import sqlite3
import uuid
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import rfc8785

from site_manager import (
    Activated,
    Answered,
    Change,
    Counts,
    Refused,
    Repaired,
    SiteManager,
    Spool,
    Unreachable,
    Unwritable,
    chain,
    requests,
)
from site_manager.answers import read_answer
from site_manager.key_code import write_code
from site_manager.spool import read_identity, read_progress
from tests.site_manager.fake_service import KEY, START, Clock, FakeService, change_at, problem, raw_public_key
from tests.site_manager.machine import Machine

ONE = Counts(server=1)


async def answered(site: SiteManager) -> Answered:
    outcome = await site.heartbeat()
    assert isinstance(outcome, Answered), outcome
    return outcome


def but_sent_at(body: bytes) -> bytes:
    head, _, _ = body.partition(b'"sent_at":')
    return head


def receipts_agree(machine: Machine, service: FakeService, line: int = 0) -> bool:
    """The client's chain, recomputed from the service's entries by another library, line by line."""
    db = machine.spool().db
    receipt = hashlib.sha256(service.installation.encode()).digest()  # type: ignore[union-attr]
    for n, entry in sorted(service.lines[line].entries.items()):
        receipt = hashlib.sha256(receipt + rfc8785.dumps(entry)).digest()
        (kept,) = db.execute("SELECT receipt FROM entry WHERE n = ?", (n,)).fetchone()
        if kept != receipt:
            return False
    return chain.verify(db).broken_n is None


# Activation


async def test_an_activation_tells_what_the_protocol_asks_for_and_never_the_secret(
    machine: Machine, service: FakeService
) -> None:
    outcome = await machine.site().activate(KEY.lower(), hostname="backup01", name="Rossi", timezone="Europe/Rome")
    assert isinstance(outcome, Activated) and outcome.first
    asked = service.activations[0]
    identity = read_identity(machine.spool().db)
    assert identity is not None and len(identity.secret) == 43
    assert identity.secret not in json.dumps(asked)
    assert asked["credential_sha256"] == hashlib.sha256(identity.secret.encode()).hexdigest()
    assert str(uuid.UUID(asked["installation_id"])) == asked["installation_id"]
    assert len(raw_public_key(asked["public_key"])) == 32
    rest = {name: asked[name] for name in ("license_key", "product", "version", "hostname", "name", "timezone")}
    assert list(rest.values()) == [KEY, "site_manager", "7.2", "backup01", "Rossi", "Europe/Rome"]
    assert "console_url" not in asked


async def test_a_lost_activation_is_healed_by_asking_again(machine: Machine, service: FakeService) -> None:
    service.lose_replies = 1
    assert isinstance(await machine.site().activate(KEY, hostname="h"), Unreachable)
    again = await machine.site().activate(KEY, hostname="h")
    assert isinstance(again, Activated) and not again.first
    assert service.activations[0] == service.activations[1]
    assert (await answered(machine.site())).sequence == 1


async def test_a_mistyped_key_is_never_asked_of_the_service(machine: Machine, service: FakeService) -> None:
    assert await machine.site().activate(KEY[:-1] + "K", hostname="h") == Refused("key_malformed")
    assert not service.activations


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "key_unknown"),
        (409, "key_already_bound"),
        (409, "credential_mismatch"),
        (409, "seats_exhausted"),
        (403, "key_suspended"),
        (422, "version_unsupported"),
    ],
)
async def test_a_refused_activation_is_a_value(machine: Machine, service: FakeService, status: int, code: str) -> None:
    service.next_answers = [problem(status, code, detail="why")]
    assert await machine.site().activate(KEY, hostname="h") == Refused(code, "why")
    assert await machine.site().heartbeat() == Refused("not_activated")


async def test_too_many_attempts_say_when_to_ask_again(machine: Machine, service: FakeService) -> None:
    service.next_answers = [problem(429, "too_many_attempts", {"Retry-After": "600"}, detail="slowly")]
    assert await machine.site().activate(KEY, hostname="h") == Unreachable("too_many_attempts", "slowly", 600.0)


async def test_a_file_that_holds_a_key_takes_no_other(site: SiteManager, service: FakeService) -> None:
    assert await site.activate(write_code(77), hostname="h") == Refused("other_key_held")
    assert len(service.activations) == 1


async def test_the_first_change_is_the_count_at_the_activation(
    machine: Machine, service: FakeService, clock: Clock
) -> None:
    site = machine.site()
    site.record(clock() - timedelta(days=3), Counts(server=9))
    site.record(clock() - timedelta(days=2), Counts(server=5))
    await site.activate(KEY, hostname="h")
    await answered(site)
    assert service.lines[0].entries == {
        1: {"n": 1, "at": "2026-11-01T00:00:00Z", "server": 5, "workstation": 0, "server_plus": 0}
    }


async def test_a_copy_from_before_the_first_heartbeat_is_told_so(
    machine: Machine, service: FakeService, tmp_path: Path
) -> None:
    service.lose_replies = 1
    await machine.site().activate(KEY, hostname="h")
    shutil.copy(machine.path, tmp_path / "copy")
    shutil.copy(f"{machine.path}-wal", tmp_path / "copy-wal")
    await machine.site().activate(KEY, hostname="h")
    await answered(machine.site())
    assert await machine.site(tmp_path / "copy").activate(KEY, hostname="h") == Refused("echo_withheld")


async def test_an_activation_repeated_later_keeps_the_conversation(site: SiteManager, service: FakeService) -> None:
    await answered(site)
    assert isinstance(await site.activate(KEY, hostname="h"), Activated)
    assert (await answered(site)).sequence == 2


# Heartbeats


async def test_the_first_heartbeat_is_sequence_1_with_change_1(site: SiteManager, service: FakeService) -> None:
    outcome = await answered(site)
    sent = service.heartbeats[0].members
    assert (sent["sequence"], sent["more"], "resume" in sent) == (1, False, False)
    counts = {"server": 12, "workstation": 140, "server_plus": 0}
    assert sent["deployed"] == counts
    assert sent["changes"] == [{"n": 1, "at": "2026-11-01T00:00:00Z"} | counts]
    assert (outcome.sequence, outcome.through, outcome.receipt_agrees) == (1, 1, True)
    assert site.next_at == START + timedelta(seconds=900)


async def test_a_heartbeat_with_nothing_new_carries_no_changes(
    site: SiteManager, service: FakeService, clock: Clock
) -> None:
    await answered(site)
    site.record(clock(), Counts(server=12, workstation=140))
    await answered(site)
    assert "changes" not in service.heartbeats[1].members
    assert service.heartbeats[1].members["nonce"] != service.heartbeats[0].members["nonce"]


async def test_a_site_that_never_counted_says_that_it_has_none(machine: Machine, service: FakeService) -> None:
    site = machine.site()
    await site.activate(KEY, hostname="h")
    await answered(site)
    assert change_at(service.heartbeats[0], 1)["server"] == 0


async def test_active_goes_along_where_it_is_known(site: SiteManager, service: FakeService, clock: Clock) -> None:
    site.record(clock(), Counts(server=12), Counts(server=11))
    await answered(site)
    assert service.heartbeats[0].members["active"]["server"] == 11
    assert change_at(service.heartbeats[0], 2)["active"]["server"] == 11
    assert "active" not in change_at(service.heartbeats[0], 1)


async def test_a_repeat_after_a_lost_answer_is_the_same_bytes_but_for_sent_at(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    service.lose_replies = 1
    assert isinstance(await site.heartbeat(), Unreachable)
    clock.move(minutes=1)
    await answered(machine.site())
    first, second = (sent.body for sent in service.heartbeats)
    assert but_sent_at(first) == but_sent_at(second)
    assert first != second
    assert service.heartbeats[1].members["sent_at"] == "2026-11-01T00:01:00Z"
    assert service.lines[0].sequence == 1


async def test_what_happens_meanwhile_waits_for_the_next_sequence(
    site: SiteManager, service: FakeService, clock: Clock
) -> None:
    service.lose_replies = 2
    for server in (13, 14):
        assert isinstance(await site.heartbeat(), Unreachable)
        clock.move(minutes=1)
        site.record(clock(), Counts(server=server))
    await answered(site)
    assert len({but_sent_at(sent.body) for sent in service.heartbeats}) == 1
    await answered(site)
    assert [entry["n"] for entry in service.heartbeats[-1].members["changes"]] == [2, 3]
    assert service.heartbeats[-1].members["sequence"] == 2


async def test_a_thousand_entries_a_request_and_more_while_others_wait(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    site.record_many([Change(START + timedelta(seconds=i), Counts(server=i % 7)) for i in range(1, 2501)])
    clock.move(hours=1)
    mores = []
    for _ in range(3):
        outcome = await answered(site)
        mores.append(outcome.more)
        assert site.next_at == clock() + timedelta(seconds=0 if outcome.more else 900)
    sizes = [len(sent.members["changes"]) for sent in service.heartbeats]
    assert (mores, sizes) == ([True, True, False], [1000, 1000, 501])
    assert all(sent.members["deployed"]["server"] == 2500 % 7 for sent in service.heartbeats)
    assert service.lines[0].through == 2501
    assert receipts_agree(machine, service)


async def test_a_request_stays_under_the_service_s_limit_of_bytes(
    site: SiteManager, service: FakeService, clock: Clock
) -> None:
    big = Counts(1_000_000, 1_000_000, 1_000_000)
    later = clock() + timedelta(microseconds=1)
    site.record_many([Change(later, big, Counts(server=900_000 + i)) for i in range(900)])
    site.record_standalones(clock(), [str(uuid.UUID(int=i)) for i in range(3000)])
    assert (await answered(site)).more
    assert not (await answered(site)).more
    assert service.lines[0].through == 902
    assert max(len(sent.body) for sent in service.heartbeats) < 256 * 1024


async def test_standalones_go_one_listing_a_request(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    one, two = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    site.record_standalones(clock(), [one])
    site.record_standalones(clock(), [one, two])
    assert (await answered(site)).more
    assert not (await answered(site)).more
    assert [sent.members["standalones"]["n"] for sent in service.heartbeats] == [2, 3]
    assert receipts_agree(machine, service)


# Repairs


async def test_changes_missing_sends_again_from_the_service_s_through(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    await answered(site)
    for server in range(20, 25):
        clock.move(minutes=5)
        site.record(clock(), Counts(server=server))
        await answered(site)
    line = service.lines[0]
    del line.receipts[3:]  # the service comes back from a backup that knew two entries
    line.entries = {n: entry for n, entry in line.entries.items() if n <= 2}
    line.sequence = 2
    site.record(clock(), Counts(server=99))
    assert await site.heartbeat() == Repaired("changes_missing")
    assert site.next_at == clock()
    await answered(site)
    refused, taken = service.heartbeats[-2:]
    assert [entry["n"] for entry in taken.members["changes"]] == [3, 4, 5, 6, 7]
    assert (taken.members["sequence"], taken.members["echo"]) == (refused.members["sequence"], refused.members["echo"])
    assert taken.members["nonce"] != refused.members["nonce"]
    assert receipts_agree(machine, service)


async def test_a_restored_file_resumes_on_a_line_of_its_own(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock, tmp_path: Path
) -> None:
    await answered(site)
    image = copy_of(machine, tmp_path / "image")
    clock.move(minutes=15)
    site.record(clock(), Counts(server=50))
    await answered(site)
    clock.move(minutes=15)
    restored = machine.site(image)
    restored.record(clock(), Counts(server=60))
    assert await restored.heartbeat() == Repaired("line_broken")
    again = machine.site(image)  # and dies before it resumes
    assert (await answered(again)).receipt_agrees
    refused, resumed = (sent.members for sent in service.heartbeats[-2:])
    assert (resumed["resume"], resumed["sequence"], resumed["echo"]) == (True, 2, refused["echo"])
    assert resumed["nonce"] != refused["nonce"]
    assert len(service.lines) == 2 and service.lines[1].entries[2]["server"] == 60
    await answered(again)
    assert "resume" not in service.heartbeats[-1].members
    assert (await answered(site)).sequence == 3  # the other copy's line stays valid


async def test_a_resume_whose_answer_is_lost_is_repeated(
    machine: Machine, site: SiteManager, service: FakeService, tmp_path: Path
) -> None:
    await answered(site)
    image = copy_of(machine, tmp_path / "image")
    await answered(site)
    restored = machine.site(image)
    assert isinstance(await restored.heartbeat(), Repaired)
    service.down = True
    assert isinstance(await restored.heartbeat(), Unreachable)
    service.down = False
    await answered(machine.site(image))
    assert service.heartbeats[-1].members["resume"] is True


async def test_a_resume_goes_on_behind_the_through_that_its_echo_names(
    site: SiteManager, service: FakeService, clock: Clock
) -> None:
    await answered(site)
    site.record(clock(), Counts(server=2))
    service.next_answers = [problem(409, "changes_missing", through=0), problem(409, "line_broken", through=9)]
    for code in ("changes_missing", "line_broken"):
        assert await site.heartbeat() == Repaired(code)
    await site.heartbeat()
    sent = [[entry["n"] for entry in sent.members["changes"]] for sent in service.heartbeats[1:]]
    assert sent == [[2], [1, 2], [2]]


async def test_an_answer_that_comes_late_moves_nothing_back(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    db = machine.spool().db
    await answered(site)
    service.lose_replies = 1
    await site.heartbeat()
    frozen = requests.read_waiting(db)
    assert frozen is not None
    late = read_answer(service.handle(asked(service, frozen.sent("2026-11-01T00:00:00Z"))).content)
    assert late is not None and late.sequence == 2
    await answered(site)
    assert requests.settle(db, frozen, late, clock(), clock()) is None
    await answered(site)
    assert requests.settle(db, frozen, late, clock(), clock()) is None
    assert read_progress(db).sequence == 3


async def test_an_answer_to_another_sequence_is_none(site: SiteManager, service: FakeService) -> None:
    await answered(site)
    old = service.handle(asked(service, service.heartbeats[0].body)).json()
    service.next_answers = [httpx.Response(200, json=old)]
    outcome = await site.heartbeat()
    assert isinstance(outcome, Unreachable) and outcome.why == "strange_answer"


def asked(service: FakeService, body: bytes) -> httpx.Request:
    """The same request by hand, past the client."""
    headers = {"Authorization": service.heartbeats[-1].authorization}
    return httpx.Request("POST", "https://service.test/v1/heartbeats", content=body, headers=headers)


async def test_a_line_broken_after_a_resume_is_a_plain_no_and_backs_off(
    site: SiteManager, service: FakeService, clock: Clock
) -> None:
    broken = [problem(409, "line_broken", through=0, receipt="00" * 32) for _ in range(2)]
    service.next_answers = broken
    assert isinstance(await site.heartbeat(), Repaired)
    assert isinstance(await site.heartbeat(), Refused)
    assert site.next_at > clock()


async def test_a_body_too_large_is_halved_until_it_fits(site: SiteManager, service: FakeService, clock: Clock) -> None:
    site.record_many([Change(START, Counts(server=i)) for i in range(99)])
    service.next_answers = [httpx.Response(413), problem(413, "body_too_large")]
    assert await site.heartbeat() == Repaired("body_too_large")
    assert await site.heartbeat() == Repaired("body_too_large")
    assert (await answered(site)).more
    assert [len(sent.members["changes"]) for sent in service.heartbeats] == [100, 50, 25]


async def test_a_deployed_mismatch_is_settled_by_saying_the_counts_again(
    site: SiteManager, service: FakeService
) -> None:
    service.next_answers = [problem(422, "deployed_mismatch")]
    assert await site.heartbeat() == Repaired("deployed_mismatch")
    await answered(site)
    assert [entry["n"] for entry in service.heartbeats[1].members["changes"]] == [1, 2]


async def test_a_request_that_stays_invalid_is_told_and_backs_off(
    site: SiteManager, service: FakeService, clock: Clock
) -> None:
    service.next_answers = [problem(422, "request_invalid", detail="deployed") for _ in range(2)]
    assert await site.heartbeat() == Repaired("request_invalid")
    assert await site.heartbeat() == Refused("request_invalid", "deployed")
    assert site.next_at > clock()


async def test_repairs_without_end_slow_down(site: SiteManager, service: FakeService, clock: Clock) -> None:
    service.next_answers = [problem(409, "changes_missing", through=0) for _ in range(5)]
    waits = []
    for _ in range(5):
        await site.heartbeat()
        waits.append(site.next_at > clock())
    assert waits == [False, False, False, True, True]


async def test_a_service_that_knows_more_than_this_file_is_followed(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    service.next_answers = [problem(409, "changes_missing", through=40, receipt="ab" * 32)]
    await site.heartbeat()
    await site.heartbeat()
    sent = service.heartbeats[-1].members
    assert [entry["n"] for entry in sent["changes"]] == [41]
    assert sent["deployed"]["server"] == 12


async def test_a_service_that_asks_for_pruned_entries_is_told_what_is_lost(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    await answered(site)
    site.record(clock(), Counts(server=2))
    await answered(site)
    clock.move(days=50)
    site.record(clock(), Counts(server=3))
    await answered(site)
    assert machine.spool().db.execute("SELECT min(n) FROM entry").fetchone() == (3,)
    line = service.lines[0]
    del line.receipts[2:]
    line.entries = {1: line.entries[1]}
    assert await site.heartbeat() == Repaired("changes_missing")
    await answered(site)
    assert [(lost["n"], lost["until"]) for lost in service.heartbeats[-1].members["lost"]] == [
        (2, "2026-12-21T00:00:00Z")
    ]
    assert service.lines[0].entries[3]["server"] == 3
    assert (await answered(site)).receipt_agrees


async def test_a_receipt_that_is_not_ours_is_told_and_later_ones_agree(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    await answered(site)
    service.lines[0].receipts[1] = b"\xaa" * 32
    assert not (await answered(site)).receipt_agrees
    site.record(clock(), Counts(server=2))
    assert (await answered(site)).receipt_agrees
    assert chain.verify(machine.spool().db).disputed_n == 1


# No news


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (problem(503, "unavailable", {"Retry-After": "77"}), "unavailable"),
        (httpx.Response(503, headers={"Retry-After": "77"}), "unavailable"),
        (problem(429, "too_early", {"Retry-After": "77"}), "too_early"),
        (httpx.Response(502, html="<h1>Bad gateway</h1>"), "unavailable"),
        (httpx.Response(401, html="<h1>Hotel Wi-Fi</h1>"), "strange_answer"),
        (httpx.Response(403, json={"error": "proxy"}), "strange_answer"),
        (httpx.Response(302, headers={"Location": "https://login.test"}), "strange_answer"),
        (httpx.Response(200, html="<h1>Welcome</h1>"), "strange_answer"),
        (httpx.Response(200, json={"state": "active"}), "strange_answer"),
        (httpx.Response(500, json=[]), "unavailable"),
    ],
)
async def test_no_news_is_never_a_verdict(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock, answer: httpx.Response, why: str
) -> None:
    await answered(site)
    service.next_answers = [answer]
    outcome = await site.heartbeat()
    assert isinstance(outcome, Unreachable) and outcome.why == why
    assert read_progress(machine.spool().db).state == "active"
    assert site.permission().backups
    waited = (site.next_at - clock()).total_seconds()
    assert waited >= (77 if "Retry-After" in answer.headers else 1)
    await answered(site)
    assert but_sent_at(service.heartbeats[-1].body) == but_sent_at(service.heartbeats[-2].body)


async def test_back_off_grows_within_the_interval_and_an_answer_ends_it(
    machine: Machine, service: FakeService, clock: Clock, http: httpx.AsyncClient
) -> None:
    site = SiteManager(machine.spool(), http, clock, entropy=lambda size: b"\xff" * size)
    await site.activate(KEY, hostname="h")
    service.down = True
    waits = []
    for _ in range(10):
        assert isinstance(await site.heartbeat(), Unreachable)
        waits.append(round((site.next_at - clock()).total_seconds()))
        clock.at = site.next_at
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    service.down = False
    await answered(site)
    assert (site.next_at - clock()).total_seconds() == 900
    service.down = True
    await site.heartbeat()
    assert round((site.next_at - clock()).total_seconds()) == 5


async def test_a_wrong_credential_is_a_plain_no(site: SiteManager, service: FakeService) -> None:
    service.credential = "another"
    assert isinstance(await site.heartbeat(), Refused)
    assert (await site.heartbeat()) == Refused("credential_invalid", "credential_invalid")


@pytest.mark.parametrize("state", ["suspended", "disabled", "revoked"])
async def test_a_business_no_is_an_answer_and_usage_goes_on(
    site: SiteManager, service: FakeService, clock: Clock, state: str
) -> None:
    service.state = state
    assert (await answered(site)).state == state
    permission = site.permission()
    assert (permission.new_agents, permission.restore) == (False, True)
    assert permission.backups is (state == "suspended")
    site.record(clock(), Counts(server=77))
    await answered(site)
    assert service.lines[0].entries[2]["server"] == 77


# The spool


def copy_of(machine: Machine, to: Path) -> Path:
    with sqlite3.connect(machine.path) as source, sqlite3.connect(to) as target:
        source.backup(target)
    return to


async def test_next_at_outlives_a_restart(machine: Machine, site: SiteManager, clock: Clock) -> None:
    await answered(site)
    clock.move(minutes=1)
    assert machine.site().next_at == START + timedelta(seconds=900)


async def test_acknowledged_changes_are_kept_for_45_days(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    db = machine.spool().db
    await answered(site)
    for day in range(1, 60):
        clock.move(days=1)
        site.record(clock(), Counts(server=day))
        await answered(site)
    (first, last, count) = db.execute("SELECT min(n), max(n), count(*) FROM entry").fetchone()
    assert (first, last, count) == (15, 60, 46)
    verified = chain.verify(db)
    assert (verified.first_n, verified.last_n, verified.broken_n) == (15, 60, None)


async def test_changes_that_were_not_acknowledged_are_never_pruned(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    await answered(site)
    site.record_many([Change(clock() + timedelta(hours=i), Counts(server=i)) for i in range(1, 1501)])
    clock.move(days=100)
    await answered(site)
    await answered(site)
    assert service.lines[0].through == 1501


async def test_a_full_spool_drops_the_oldest_and_says_what_is_lost(
    machine: Machine, service: FakeService, clock: Clock
) -> None:
    site = machine.site(entries_max=100)
    await site.activate(KEY, hostname="h")
    service.lose_replies = 1
    site.record(clock(), ONE)
    await site.heartbeat()  # frozen, and never to be touched
    for i in range(2, 202):
        site.record(START + timedelta(minutes=i), Counts(server=i))
    clock.move(days=1)
    while not (await answered(site)).through or (await answered(site)).more:
        pass
    entries = service.lines[0].entries
    assert list(entries) == list(range(1, len(entries) + 1)) and len(entries) <= 102
    losses = [entry for entry in entries.values() if "until" in entry]
    assert [(entry["n"], entry["from"]) for entry in losses] == [(2, "2026-11-01T00:02:00Z")]
    assert entries[3]["at"] == losses[0]["until"]
    assert entries[len(entries)]["server"] == 201
    assert receipts_agree(machine, service)


async def test_a_full_disk_loses_no_change_while_the_process_lives(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    await answered(site)
    spool = machine.spool()
    full = SiteManager(spool, service.client(), clock)
    (pages,) = spool.db.execute("PRAGMA page_count").fetchone()
    spool.db.execute(f"PRAGMA max_page_count = {pages}")
    kept = [full.record(clock() + timedelta(seconds=i), Counts(server=i)) for i in range(1, 501)]
    assert False in kept
    assert isinstance(await full.heartbeat(), Unwritable)
    spool.db.execute("PRAGMA max_page_count = 1000000")
    assert isinstance(await full.heartbeat(), Answered)
    assert [entry["server"] for entry in service.lines[0].entries.values()] == [12, *range(1, 501)]


async def test_two_processes_on_one_file_number_consecutively(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    other = machine.site()
    for i in range(10):
        (site, other)[i % 2].record(clock(), Counts(server=i))
    await answered(site)
    await answered(other)
    assert service.lines[0].through == 11
    assert receipts_agree(machine, service)


async def test_two_processes_that_count_at_once_keep_everything(
    machine: Machine, site: SiteManager, http: httpx.AsyncClient, clock: Clock
) -> None:
    def count(first: int) -> bool:
        with closing(Spool.open(machine.path)) as spool:
            own = SiteManager(spool, http, clock)
            return all(own.record(clock(), Counts(server=first + i)) for i in range(100))

    both = await asyncio.gather(*(asyncio.to_thread(count, first) for first in (1000, 2000)))
    assert both == [True, True]
    verified = chain.verify(machine.spool().db)
    assert (verified.last_n, verified.broken_n) == (201, None)


async def test_a_request_is_synced_to_the_disk_before_it_is_sent(
    service: FakeService, machine: Machine, http: httpx.AsyncClient, clock: Clock
) -> None:
    spool = machine.spool()
    site = SiteManager(spool, http, clock)
    await site.activate(KEY, hostname="h")
    await answered(site)
    statements: list[str] = []
    spool.db.set_trace_callback(statements.append)
    service.hook = lambda: statements.append("SEND")
    await answered(site)
    before = statements[: statements.index("SEND")]
    synced, frozen = before.index("PRAGMA synchronous = FULL"), [s.startswith("INSERT OR REPLACE") for s in before]
    assert synced < frozen.index(True) < before.index("COMMIT") == len(before) - 1


def test_the_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    Spool.open(tmp_path / "s").close()
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


async def test_the_last_payload_is_the_very_bytes_sent_with_their_receipt(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    service.lose_replies = 1
    await site.heartbeat()
    payload = requests.read_payload(machine.spool().db)
    assert payload is not None and payload.body == service.heartbeats[0].body and payload.receipt is None
    clock.move(minutes=3)
    await answered(site)
    payload = requests.read_payload(machine.spool().db)
    assert payload is not None and payload.body == service.heartbeats[1].body
    assert payload.receipt == service.lines[0].receipts[1]


async def test_a_tampered_entry_is_found(machine: Machine, site: SiteManager) -> None:
    await answered(site)
    db = machine.spool().db
    db.execute("UPDATE entry SET body = CAST(replace(body, '140', '139') AS BLOB) WHERE n = 1")
    assert chain.verify(db).broken_n == 1
