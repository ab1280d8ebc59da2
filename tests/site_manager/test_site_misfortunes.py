"""What befalls a site: the service away for months, copies of its file, a wrong clock, a full disk, a false lease.

Nothing is lost or counted twice, and the operator is told in one sentence what is the matter and what to do.
"""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from site_manager import Answered, Change, Counts, LeaseRefused, Refused, Repaired, SiteManager, Unreachable, Unwritable
from site_manager.loop import PAUSE_MAX_SECONDS, _pause
from site_manager.messages import explain, explain_lease
from tests.site_manager.fake_service import START, Clock, FakeService, problem
from tests.site_manager.machine import Machine


def copied(machine: Machine, name: str) -> Path:
    """The file as it is now, under another name."""
    machine.spool().db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = machine.path.with_name(name)
    shutil.copy(machine.path, path)
    return path


async def test_a_service_that_is_away_for_months_is_told_everything_when_it_is_back(
    site: SiteManager, service: FakeService, clock: Clock
) -> None:
    assert isinstance(await site.heartbeat(), Answered)
    service.down = True
    days = 120
    for day in range(1, days + 1):
        clock.at = START + timedelta(days=day)
        assert site.record_many(
            [Change(clock() + timedelta(minutes=i), Counts(server=day * 20 + i)) for i in range(20)]
        )
        outcome = await site.heartbeat()
        assert isinstance(outcome, Unreachable)
    sentence = explain(outcome)
    assert "check the network" in sentence and "Nothing is lost" in sentence
    assert site.lease_in_hand() == LeaseRefused("expired")
    assert site.permission().restore and not site.permission().backups
    assert "restore works" in explain_lease(site.lease_in_hand())
    service.down, service.lease_always = False, True
    for more in (False, True, True, False):  # the one that waited, and a thousand entries a request
        outcome = await site.heartbeat()
        assert isinstance(outcome, Answered)
        assert outcome.more is more
    assert [entry["server"] for entry in service.lines[0].entries.values()][1:] == list(range(20, days * 20 + 20))
    assert "active" in explain(outcome) and site.permission().new_agents


async def test_two_copies_of_a_file_each_go_on_and_the_later_one_says_what_to_do(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    assert isinstance(await site.heartbeat(), Answered)
    copy = machine.site(copied(machine, "copy.sqlite3"))
    site.record(clock(), Counts(server=13))
    assert isinstance(await site.heartbeat(), Answered)
    copy.record(clock(), Counts(server=99))
    outcome = await copy.heartbeat()
    assert isinstance(outcome, Repaired)
    assert "stop one of them" in explain(outcome)
    for one in (copy, site, copy, site):
        assert isinstance(await one.heartbeat(), Answered)
    assert [[entry["server"] for entry in line.entries.values()] for line in service.lines] == [[12, 13], [12, 99]]


async def test_a_copy_that_holds_a_resume_which_the_other_has_sent_makes_one_of_its_own(
    machine: Machine, site: SiteManager, service: FakeService
) -> None:
    assert isinstance(await site.heartbeat(), Answered)
    broken = problem(409, "line_broken", through=1, receipt="00" * 32)
    service.next_answers = [broken]
    assert isinstance(await site.heartbeat(), Repaired)
    service.down = True
    assert isinstance(await site.heartbeat(), Unreachable)  # the resume waits for its answer
    service.down, service.next_answers = False, [broken]
    site = machine.site()
    assert isinstance(await site.heartbeat(), Repaired)
    assert isinstance(await site.heartbeat(), Answered)
    first, second = service.heartbeats[-2].members, service.heartbeats[-1].members
    assert first["resume"] and second["resume"] and first["nonce"] != second["nonce"]
    service.next_answers = [broken, broken]
    assert isinstance(await site.heartbeat(), Repaired)
    assert isinstance(await site.heartbeat(), Refused)  # but not without end


@pytest.mark.parametrize(("days", "way"), [(400, "ahead of"), (-400, "behind")])
async def test_a_clock_set_ahead_or_back_is_told_delays_nothing_and_is_forgotten_when_it_is_right(
    site: SiteManager, service: FakeService, machine: Machine, clock: Clock, days: int, way: str
) -> None:
    assert isinstance(await site.heartbeat(), Answered)
    own = Clock(START + timedelta(days=days))
    wrong = SiteManager(machine.spool(), service.client(), own)
    assert _pause(wrong, own) <= PAUSE_MAX_SECONDS
    assert wrong.record(own(), Counts(server=13))
    service.lease_always = True
    outcome = await wrong.heartbeat()
    assert isinstance(outcome, Answered)
    assert f"{way} the service's; set it right" in explain(outcome)
    clock.move(minutes=15)
    right = machine.site()
    assert _pause(right, clock) <= PAUSE_MAX_SECONDS
    assert right.record(clock(), Counts(server=14))
    outcome = await right.heartbeat()
    assert explain(outcome) == "The key is active; nothing to do."
    assert right.permission().new_agents
    assert [entry["server"] for entry in service.lines[0].entries.values()] == [12, 13, 14]


async def test_a_full_disk_is_told_and_what_it_did_not_take_can_be_said_again(
    machine: Machine, site: SiteManager, service: FakeService, clock: Clock
) -> None:
    assert isinstance(await site.heartbeat(), Answered)
    spool = machine.spool()
    full = SiteManager(spool, service.client(), clock)
    (pages,) = spool.db.execute("PRAGMA page_count").fetchone()
    spool.db.execute(f"PRAGMA max_page_count = {pages}")
    seen = [f"00000000-0000-4000-8000-{number:012d}" for number in range(500)]
    assert not full.record_standalones(clock(), seen)
    while full.record(clock(), Counts(server=len(service.heartbeats) + clock().minute)):
        clock.move(minutes=1)
    outcome = await full.heartbeat()
    assert isinstance(outcome, Unwritable)
    assert "free disk space" in explain(outcome)
    spool.db.execute("PRAGMA max_page_count = 1000000")
    assert full.record_standalones(clock(), seen)
    assert isinstance(await full.heartbeat(), Answered)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sub": "00000000-0000-4000-8000-000000000000"}, "one file for each installation"),
        ({"iat": int(START.timestamp()) + 3600}, "set this machine's clock right"),
        ({"exp": int(START.timestamp())}, "until the service can be reached again"),
        (None, "somebody may be imitating the service"),
    ],
    ids=["foreign", "future", "expired", "forged"],
)
async def test_a_false_lease_counts_nothing_and_is_told(
    site: SiteManager, service: FakeService, changed: dict[str, Any] | None, said: str
) -> None:
    held = site.lease_in_hand()
    service.lease_always = True
    if changed is None:
        service.signing = OKPKey.generate_key("Ed25519", {"kid": "k1"})
    else:
        service.extra_claims = changed
    outcome = await site.heartbeat()
    assert isinstance(outcome, Answered)
    assert said in explain(outcome)
    assert site.lease_in_hand() == held
