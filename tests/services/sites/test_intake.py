"""Heartbeats taken in, on a real database: what is stored, what is answered, and that a repeat changes nothing."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import rfc8785
from sqlalchemy import delete, select

from services.errors import Refusal, Unauthenticated
from services.keys import KeyState
from services.sites import Answer, ChangesMissing, DeployedMismatch, LineBroken, take_in
from services.usage import Line, first_receipt
from services.usage.receipts import next_receipt
from services.usage.tables import UsageConflict, UsageEntry
from tests.support.locks import somebody_waits_for_a_lock
from tests.support.machine import Machine, change, instant, lost
from tests.support.world import World


async def entries_of(world: World, line: int = 0) -> list[UsageEntry]:
    async with world.sessions() as db:
        return list(await db.scalars(select(UsageEntry).where(UsageEntry.line == line).order_by(UsageEntry.n)))


async def lines_of(world: World, machine: Machine) -> list[Line]:
    async with world.sessions() as db:
        return list(await db.scalars(select(Line).filter_by(site_id=machine.site_id).order_by(Line.line)))


async def everything(world: World) -> list[tuple[Any, ...]]:
    """Lines, entries and conflicts as they are, to see that nothing changed."""
    columns = [*Line.__table__.columns, *UsageEntry.__table__.columns, *UsageConflict.__table__.columns]
    async with world.sessions() as db:
        return [
            tuple(row)
            for table in (Line, UsageEntry, UsageConflict)
            for row in await db.execute(
                select(*(c for c in columns if c.table is table.__table__)).order_by(*table.__table__.primary_key)
            )
        ]


async def test_the_first_heartbeat_reports_the_count_and_is_durable(world: World) -> None:
    machine = await world.activated()
    answer = await world.beat(machine, (12, 141, 1))
    assert (answer.state, answer.reason, answer.sequence, answer.through) == (KeyState.ACTIVE, None, 1, 1)
    [stored] = await entries_of(world)
    assert (stored.server, stored.workstation, stored.server_plus) == (12, 141, 1)
    assert (stored.at, stored.received_at, stored.clock_suspect) == (world.clock(), world.clock(), False)


async def test_a_receipt_can_be_recomputed_by_the_site_from_what_it_sent(world: World) -> None:
    machine = await world.activated()
    sent = [change(n, world.clock(), (n, 0, 0)) for n in (1, 2, 3)]
    answer = await world.beat(machine, (3, 0, 0), sent)
    receipt = first_receipt(str(machine.installation_id))
    for one in sent:
        receipt = next_receipt(receipt, rfc8785.dumps(one))
    assert answer.receipt == receipt


async def test_an_implied_change_is_stored_only_when_the_count_differs(world: World) -> None:
    machine = await world.running((12, 140, 1))
    for count in (140, 141, 141, 140):
        world.clock.advance(minutes=15)
        await world.beat(machine, (12, count, 1))
    assert [(one.n, one.workstation) for one in await entries_of(world)] == [(1, 140), (2, 141), (3, 140)]


async def test_an_idle_heartbeat_moves_only_contact_and_what_is_known(world: World) -> None:
    machine = await world.running((12, 140, 1))
    [before] = await lines_of(world, machine)
    world.clock.advance(minutes=15)
    answer = await world.beat(machine, (12, 140, 1))
    [after] = await lines_of(world, machine)
    assert answer.lease is None
    assert (after.last_contact_at, after.known_until_at) == (world.clock(), world.clock())
    assert (after.through, after.receipt, after.sequence) == (before.through, before.receipt, before.sequence + 1)


async def test_the_active_counts_are_kept_beside_the_deployed_ones(world: World) -> None:
    machine = await world.activated()
    active = {"server": 1, "workstation": 2, "server_plus": 0}
    await world.beat(machine, (3, 3, 0), [change(1, world.clock(), (3, 3, 0), active=active)])
    [stored] = await entries_of(world)
    assert (stored.active_server, stored.active_workstation, stored.active_server_plus) == (1, 2, 0)


async def test_a_repeat_gets_its_own_answer_again_and_changes_nothing_but_the_contact(world: World) -> None:
    machine = await world.activated()
    body = machine.body(world.clock(), (1, 2, 3))
    first = await world.hear(machine, body)
    ledger = await entries_of(world)
    world.clock.advance(minutes=1)
    again = await world.hear(machine, body | {"sent_at": instant(world.clock())})
    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert (again.sequence, again.echo, again.through, again.receipt) == (
        first.sequence,
        first.echo,
        first.through,
        first.receipt,
    )
    assert again.lease, "the lost answer may have held one"
    assert [one.n for one in await entries_of(world)] == [one.n for one in ledger]


async def test_a_lease_is_renewed_once_a_day_and_not_more_often(world: World) -> None:
    machine = await world.activated()
    leases = []
    for _ in range(9):
        world.clock.advance(hours=6)
        leases.append((await world.beat(machine, (1, 0, 0))).lease is not None)
    assert leases == [False, False, False, True, False, False, False, True, False]


async def test_the_answer_to_a_site_whose_key_is_suspended_says_so_and_its_usage_is_stored(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.mark_key(machine, suspended_at=world.clock(), reason="invoice open")
    world.clock.advance(days=2)
    answer = await world.beat(machine, (2, 0, 0))
    assert (answer.state, answer.reason, answer.lease) == (KeyState.SUSPENDED, "invoice open", None)
    assert [one.server for one in await entries_of(world)] == [1, 2]
    await world.mark_key(machine, revoked_at=world.clock())
    assert (await world.beat(machine, (3, 0, 0))).state is KeyState.REVOKED
    assert [one.server for one in await entries_of(world)] == [1, 2, 3]


# --- what is refused leaves nothing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("numbers", "deployed", "refusal"),
    [
        ((3,), (1, 0, 0), ChangesMissing),
        ((2, 4), (1, 0, 0), ChangesMissing),
        ((2,), (9, 9, 9), DeployedMismatch),
    ],
)
async def test_a_refused_heartbeat_changes_nothing_and_the_sequence_goes_out_again(
    world: World, numbers: tuple[int, ...], deployed: tuple[int, int, int], refusal: type[Refusal]
) -> None:
    machine = await world.running((1, 0, 0))
    before = await everything(world)
    world.clock.advance(minutes=15)
    changes = [change(n, world.clock(), (1, 0, 0)) for n in numbers]
    answer = await world.hear(machine, machine.body(world.clock(), deployed, changes))
    assert isinstance(answer, refusal)
    assert await everything(world) == before
    await world.beat(machine, (2, 0, 0))
    assert machine.sequence == 2


async def test_a_wrong_secret_is_no_credential_and_tells_nothing(world: World) -> None:
    machine = await world.running((1, 0, 0))
    before = await everything(world)
    for stranger in (
        replace(machine, secret="x" * 43),
        Machine("", site_id=machine.site_id, secret=machine.secret, echo=machine.echo),
        replace(machine, site_id=world.msp.id),
    ):
        for resume in (False, True):
            body = stranger.body(world.clock(), (9, 9, 9), resume=resume)
            answer = await world.hear(stranger, body)
            assert isinstance(answer, Unauthenticated)
            assert not answer.members
    assert await everything(world) == before


async def test_a_batch_answers_each_as_if_it_were_alone(world: World) -> None:
    one, two, three = [await world.running((n, 0, 0), f"site {n}") for n in (1, 2, 3)]
    world.clock.advance(minutes=15)
    bodies = [
        (one, one.body(world.clock(), (7, 0, 0))),
        (two, two.body(world.clock(), (7, 0, 0), [change(5, world.clock(), (7, 0, 0))])),
        (replace(three, secret="x" * 43), three.body(world.clock(), (7, 0, 0))),
        (three, three.body(world.clock(), (8, 0, 0))),
    ]
    async with world.sessions.begin() as db:
        beats = [(machine.heartbeat(body), world.clock()) for machine, body in bodies]
        answers = await take_in(db, world.desk, beats)
    assert [type(answer) for answer in answers] == [Answer, ChangesMissing, Unauthenticated, Answer]
    async with world.sessions() as db:
        rows = await db.execute(select(Line.site_id, Line.server))
    assert {row.site_id: row.server for row in rows} == {one.site_id: 7, two.site_id: 2, three.site_id: 8}


async def test_the_same_heartbeat_twice_at_once_is_counted_once(world: World) -> None:
    machine = await world.running((1, 0, 0))
    body = machine.body(world.clock.advance(minutes=15), (2, 0, 0))
    async with world.sessions.begin() as db:
        [one] = await take_in(db, world.desk, [(machine.heartbeat(body), world.clock())])
        hearing = asyncio.create_task(world.hear(machine, body))
        await somebody_waits_for_a_lock(world.sessions)
    other = await hearing
    assert isinstance(one, Answer)
    assert isinstance(other, Answer)
    assert (one.echo, one.receipt) == (other.echo, other.receipt)
    assert len(await entries_of(world)) == 2


# --- offline, clocks, lost entries, standalones ----------------------------------------------------------------


async def test_a_month_offline_comes_in_chunks_that_can_stop_after_any(world: World) -> None:
    machine = await world.running((0, 0, 0))
    start = world.clock()
    world.clock.advance(days=20)
    spool = [change(n, start + timedelta(hours=n), (n, 0, 0)) for n in range(2, 9)]
    await world.beat(machine, (8, 0, 0), spool[:3], more=True)
    [line] = await lines_of(world, machine)
    assert (line.through, line.known_until_at) == (4, start + timedelta(hours=4))
    await world.beat(machine, (8, 0, 0), spool[3:])
    [line] = await lines_of(world, machine)
    assert (line.through, line.server, line.known_until_at) == (8, 8, world.clock())


async def test_overlapping_replay_counts_once(world: World) -> None:
    machine = await world.running((0, 0, 0))
    spool = [change(n, world.clock(), (n, 0, 0)) for n in range(2, 6)]
    await world.beat(machine, (4, 0, 0), spool[:3])
    answer = await world.beat(machine, (5, 0, 0), spool)
    assert (answer.through, list(answer.notices)) == (5, [])
    assert [one.n for one in await entries_of(world)] == [1, 2, 3, 4, 5]


async def test_another_content_under_a_known_number_is_evidence_and_the_first_counts(world: World) -> None:
    machine = await world.activated()
    at = world.clock()
    await world.beat(machine, (2, 0, 0), [change(1, at, (1, 0, 0)), change(2, at, (2, 0, 0))])
    other = change(1, at, (50, 0, 0))
    answer = await world.beat(machine, (3, 0, 0), [other, change(2, at, (2, 0, 0)), change(3, at, (3, 0, 0))])
    assert list(answer.notices) == [{"code": "conflict", "n": 1}]
    assert [one.server for one in await entries_of(world)] == [1, 2, 3]
    async with world.sessions() as db:
        [kept] = await db.scalars(select(UsageConflict))
    assert json.loads(kept.entry) == other
    await world.beat(machine, (3, 0, 0), [other])
    async with world.sessions() as db:
        assert len(list(await db.scalars(select(UsageConflict)))) == 1


async def test_a_suspect_clock_is_flagged_told_and_never_counts_in_the_future(world: World) -> None:
    machine = await world.running((1, 0, 0))
    world.clock.advance(hours=1)
    fast = world.clock() + timedelta(days=40)
    answer = await world.beat(machine, (5, 0, 0), [change(2, fast - timedelta(minutes=10), (5, 0, 0))], sent_at=fast)
    assert list(answer.notices) == [{"code": "clock_suspect", "n": 2}]
    [_, stored] = await entries_of(world)
    assert (stored.clock_suspect, stored.at) == (True, world.clock() - timedelta(minutes=10))
    assert json.loads(stored.entry)["at"] == instant(fast - timedelta(minutes=10))


async def test_lost_and_standalone_entries_take_numbers_and_are_kept(world: World) -> None:
    machine = await world.running((1, 0, 0))
    start = world.clock()
    world.clock.advance(hours=5)
    seen = {"n": 3, "at": instant(world.clock()), "seen": [str(machine.installation_id)]}
    sent_lost = lost(2, start + timedelta(hours=1), start + timedelta(hours=2))
    changes = [change(4, world.clock(), (4, 0, 0))]
    answer = await world.beat(machine, (4, 0, 0), changes, lost=[sent_lost], standalones=seen)
    assert answer.through == 4
    stored = await entries_of(world)
    assert [(one.n, one.kind) for one in stored] == [
        (1, "change"), (2, "lost"), (3, "standalones"), (4, "change"),
    ]  # fmt: skip
    assert json.loads(stored[1].entry) == sent_lost
    assert json.loads(stored[2].entry) == seen


# --- restore, clone, resume ------------------------------------------------------------------------------------


async def test_an_old_image_is_told_where_its_line_stands_but_gets_no_echo(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    answer = await world.hear(image, image.body(world.clock(), (1, 0, 0)))
    assert isinstance(answer, LineBroken)
    assert answer.members == {"through": 2, "receipt": machine.receipt}


async def test_a_copy_in_exact_step_is_found_by_its_nonce(world: World) -> None:
    machine = await world.running((1, 0, 0))
    clone = machine.image()
    await world.beat(machine, (1, 0, 0))
    assert isinstance(await world.hear(clone, clone.body(world.clock(), (1, 0, 0))), LineBroken)


async def test_a_resume_goes_on_from_the_echo_on_a_new_line_and_the_old_one_stays_valid(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    world.clock.advance(hours=1)
    await world.beat(machine, (2, 0, 0))
    world.clock.advance(hours=1)
    answer = await world.beat(image, (7, 0, 0), [change(2, world.clock(), (7, 0, 0))], resume=True)
    assert (answer.sequence, answer.through) == (2, 2)
    old, new = await lines_of(world, machine)
    assert (new.line, new.parent, new.parent_through, new.base_server) == (1, 0, 1, 1)
    assert new.begins_at == world.clock()
    assert [one.server for one in await entries_of(world, line=1)] == [7]
    await world.beat(image, (8, 0, 0))
    await world.beat(machine, (3, 0, 0))
    old, new = await lines_of(world, machine)
    assert (old.server, new.server) == (3, 8)


async def test_the_receipt_of_a_new_line_continues_the_chain_that_the_image_holds(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    sent = change(2, world.clock(), (7, 0, 0))
    answer = await world.beat(image, (7, 0, 0), [sent], resume=True)
    before = next_receipt(
        first_receipt(str(machine.installation_id)),
        rfc8785.dumps(change(1, world.clock(), (1, 0, 0))),
    )
    assert answer.receipt == next_receipt(before, rfc8785.dumps(sent))


async def test_the_repeat_of_a_resume_opens_no_third_line(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    body = image.body(world.clock(), (7, 0, 0), resume=True)
    first, again = await world.hear(image, body), await world.hear(image, body)
    assert isinstance(first, Answer)
    assert isinstance(again, Answer)
    assert (again.echo, again.receipt, again.through) == (first.echo, first.receipt, first.through)
    assert len(await lines_of(world, machine)) == 2


@pytest.mark.parametrize("wrong", [{"sequence": 5}, {"echo": "AAAA"}, {"echo": "other"}])
async def test_a_resume_needs_a_genuine_echo_and_its_next_sequence(world: World, wrong: dict[str, Any]) -> None:
    machine = await world.running((1, 0, 0))
    other = await world.running((1, 0, 0), "other")
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    if wrong.get("echo") == "other":
        wrong = {"echo": other.echo}
    answer = await world.hear(image, image.body(world.clock(), (7, 0, 0), resume=True) | wrong)
    assert isinstance(answer, LineBroken)
    assert answer.members == {"through": 2, "receipt": machine.receipt}
    assert len(await lines_of(world, machine)) == 1


async def test_a_resume_with_the_current_echo_needs_no_new_line(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.beat(machine, (2, 0, 0), resume=True)
    assert len(await lines_of(world, machine)) == 1


async def test_a_refused_resume_opens_no_line(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    body = image.body(world.clock(), (7, 0, 0), [change(9, world.clock(), (7, 0, 0))], resume=True)
    answer = await world.hear(image, body)
    assert isinstance(answer, ChangesMissing)
    assert len(await lines_of(world, machine)) == 1


async def test_a_line_can_be_resumed_from_a_resumed_line(world: World) -> None:
    machine = await world.running((1, 0, 0))
    one = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(one, (5, 0, 0), resume=True)
    two = one.image()
    await world.beat(one, (6, 0, 0))
    answer = await world.beat(two, (9, 0, 0), resume=True)
    assert [(line.line, line.parent) for line in await lines_of(world, machine)] == [(0, None), (1, 0), (2, 1)]
    assert answer.through == 3


async def test_a_service_restored_from_an_older_state_adopts_the_echo_and_is_sent_the_rest_again(world: World) -> None:
    machine = await world.running((1, 0, 0))
    before = machine.image()
    async with world.sessions() as db:
        [old] = await db.scalars(select(Line))
        was = {name: getattr(old, name) for name in ("sequence", "nonce", "through", "receipt", "server")}
    sent = [change(n, world.clock(), (n, 0, 0)) for n in (2, 3, 4)]
    for one in sent:
        await world.beat(machine, (one["n"], 0, 0), [one])
    async with world.sessions.begin() as db:  # the service's own backup is put back
        [row] = await db.scalars(select(Line))
        for name, value in was.items():
            setattr(row, name, value)
        for entry in await db.scalars(select(UsageEntry).where(UsageEntry.n > 1)):
            await db.delete(entry)
    missing = await world.hear(machine, machine.body(world.clock(), (5, 0, 0), [change(5, world.clock(), (5, 0, 0))]))
    assert isinstance(missing, ChangesMissing)
    assert missing.members == {"through": 1, "receipt": before.receipt}
    answer = await world.beat(machine, (5, 0, 0), [*sent, change(5, world.clock(), (5, 0, 0))])
    assert (answer.sequence, answer.through) == (5, 5)
    assert [one.server for one in await entries_of(world)] == [1, 2, 3, 4, 5]
    assert len(await lines_of(world, machine)) == 1


async def test_a_service_restored_to_before_a_line_was_opened_lets_that_line_s_site_go_on(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    first = change(2, world.clock(), (7, 0, 0))
    await world.beat(image, (7, 0, 0), [first], resume=True)
    async with world.sessions.begin() as db:  # the service's own backup is put back
        await db.execute(delete(UsageEntry).where(UsageEntry.line == 1))
        await db.execute(delete(Line).where(Line.line == 1))
    later = change(3, world.clock.advance(hours=1), (8, 0, 0))
    missing = await world.hear(image, image.body(world.clock(), (8, 0, 0), [later]))
    assert isinstance(missing, ChangesMissing)
    assert missing.members["through"] == 0
    everything = [change(1, world.clock() - timedelta(hours=1), (1, 0, 0)), first, later]
    answer = await world.beat(image, (8, 0, 0), everything)
    assert (answer.sequence, answer.through) == (3, 3)
    await world.beat(image, (9, 0, 0))
    await world.beat(machine, (2, 0, 0))
    assert [(line.line, line.server) for line in await lines_of(world, machine)] == [(0, 2), (1, 9)]


# --- what the protocol says of answers ----------------------------------------------------------------------------


async def test_a_repeat_is_told_the_state_of_now_and_has_a_lease_only_while_that_is_active(world: World) -> None:
    machine = await world.activated()
    body = machine.body(world.clock(), (1, 2, 3))
    first = await world.hear(machine, body)
    assert isinstance(first, Answer)
    for instants, state in (({"suspended_at": world.clock()}, "suspended"), ({"suspended_at": None}, "active")):
        await world.mark_key(machine, **instants)
        again = await world.hear(machine, body)
        assert isinstance(again, Answer)
        assert (again.state, again.echo, again.receipt) == (state, first.echo, first.receipt)
        assert (again.lease is not None) == (state == "active")


async def test_a_broken_request_is_told_of_the_line_that_its_echo_names_or_of_the_oldest(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(image, (3, 0, 0), resume=True)
    await world.beat(image, (4, 0, 0))
    stranger = await world.running((9, 0, 0), "Baltica")
    for echo, line in ((image.echo, image), ("no echo at all", machine), (stranger.echo, machine)):
        answer = await world.hear(image, image.body(world.clock(), (5, 0, 0), sequence=99, echo=echo))
        assert isinstance(answer, LineBroken)
        assert answer.members == {"through": line.through, "receipt": line.receipt}, echo


async def test_a_revoked_site_that_fell_silent_is_not_enabled_by_its_heartbeat_and_its_usage_is_stored(
    world: World,
) -> None:
    machine = await world.running((1, 0, 0))
    await world.pass_time(days=15)
    await world.sweep()
    await world.mark_key(machine, revoked_at=world.clock(), reason="over")
    answer = await world.beat(machine, (2, 0, 0))
    assert (answer.state, answer.reason, answer.lease) == ("revoked", "over", None)
    assert (await world.key_of(machine)).disabled_at is not None
    assert [one.n for one in await entries_of(world)] == [1, 2]
