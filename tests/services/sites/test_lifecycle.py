"""What partners do to keys, and what becomes of it at the site and in the figures."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from services import partners, sites
from services.errors import Absent
from services.keys import KeyAlreadyRotated, KeyRevokedForGood, KeyState
from services.partners import PartnerKind, Principal
from services.sites import KeyAlreadyBound, Liveness, Order, SeatsExhausted, TooEarly, breaker, orders
from services.sites.moves import NotAnotherMsp
from services.sites.orders import NothingToRelease
from services.sites.pace import EARLY_ALLOWED, Pace
from services.sites.tables import SiteFlag
from services.usage import raw_sites, recount
from tests.support.machine import Machine, Three, instant
from tests.support.world import World


async def order(world: World, act: Any, machine: Machine, **more: Any) -> Any:
    async with world.sessions.begin() as db:
        return await act(db, machine.site_id, actor="test", now=world.clock(), **more)


async def events(world: World, machine: Machine) -> list[str]:
    return [event for event, _, _ in await world.timeline(machine)]


async def peaks_twice(world: World, machine: Machine) -> dict[str, int]:
    """The peaks, found in both ways that there are."""
    found = {name: peak for name, (peak, _) in (await world.peaks(machine)).items()}
    span = world.month()
    async with world.sessions() as db:
        raw = [one async for one in raw_sites(db, world.msp.id, span) if one.site_id == machine.site_id]
    again = recount(raw[0].lines, raw[0].from_at, raw[0].until_at)
    assert {name: peak.value for name, peak in again.peaks.items()} == found
    return found


async def standalone(world: World, beside: Machine, agents: Three = (0, 0, 1)) -> Machine:
    machine = Machine(beside.license_key)
    await world.activate(machine, product="server_plus", version="5.1")
    await world.beat(machine, agents)
    return machine


# --- suspended, revoked -----------------------------------------------------------------------------------------


async def test_a_suspended_site_is_told_why_gets_no_lease_and_its_usage_is_stored(world: World) -> None:
    machine = await world.running((1, 0, 0))
    for _ in range(2):
        await order(world, orders.suspend, machine, reason="invoice open")
    world.clock.advance(days=2)
    answer = await world.beat(machine, (9, 0, 0))
    assert (answer.state, answer.reason, answer.lease) == (KeyState.SUSPENDED, "invoice open", None)
    assert (await world.peaks(machine))["server"][0] == 9
    assert (await events(world, machine)).count("suspended") == 1


async def test_a_resumed_site_is_active_with_a_lease_at_its_next_heartbeat(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await order(world, orders.suspend, machine, reason="x")
    await world.beat(machine, (1, 0, 0))
    for _ in range(2):
        await order(world, orders.resume, machine)
    world.clock.advance(days=2)
    answer = await world.beat(machine, (1, 0, 0))
    assert (answer.state, answer.lease is not None) == (KeyState.ACTIVE, True)
    assert (await events(world, machine))[2:] == ["suspended", "resumed"]


async def test_a_revoked_key_counts_until_the_first_answer_that_told_the_site(world: World) -> None:
    machine = await world.running((1, 0, 0))
    for _ in range(2):
        await order(world, orders.revoke, machine, reason="contract ended")
    world.clock.advance(hours=1)
    answer = await world.beat(machine, (5, 0, 0))
    assert (answer.state, answer.lease) == (KeyState.REVOKED, None)
    world.clock.advance(hours=1)
    await world.beat(machine, (50, 0, 0))
    assert (await peaks_twice(world, machine))["server"] < 50
    assert (await events(world, machine)).count("revoked") == 1


async def test_what_is_revoked_can_be_neither_suspended_nor_resumed(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await order(world, orders.revoke, machine, reason="x")
    with pytest.raises(KeyRevokedForGood):
        await order(world, orders.suspend, machine, reason="x")
    with pytest.raises(KeyRevokedForGood):
        await order(world, orders.resume, machine)


async def test_an_msp_s_suspension_holds_for_all_its_keys_and_leaves_their_own_alone(world: World) -> None:
    one, two = await world.running((1, 0, 0), "one"), await world.running((1, 0, 0), "two")
    await order(world, orders.suspend, one, reason="own")
    async with world.sessions.begin() as db:
        assert await orders.suspend_msp(db, world.msp.id, reason="late", actor="test", now=world.clock()) == 2
        assert await orders.suspend_msp(db, world.msp.id, reason="late", actor="test", now=world.clock()) == 0
    assert (await world.beat(one, (1, 0, 0))).reason == "own"
    assert (await world.beat(two, (1, 0, 0))).reason == "late"
    async with world.sessions.begin() as db:
        await orders.resume_msp(db, world.msp.id, actor="test", now=world.clock())
    assert (await world.beat(one, (1, 0, 0))).state is KeyState.SUSPENDED
    assert (await world.beat(two, (1, 0, 0))).state is KeyState.ACTIVE


# --- released, rotated ------------------------------------------------------------------------------------------


async def test_a_released_site_manager_counts_until_the_next_one_activates_and_is_evidence_after(world: World) -> None:
    old = await world.running((10, 0, 0))
    new = Machine(old.license_key)
    with pytest.raises(KeyAlreadyBound):
        await world.activate(new)
    for _ in range(2):
        await order(world, orders.release, old)
    world.clock.advance(hours=1)
    await world.beat(old, (12, 0, 0))
    world.clock.advance(hours=1)
    await world.activate(new)
    await world.beat(new, (3, 0, 0))
    world.clock.advance(hours=1)
    answer = await world.beat(old, (99, 0, 0))
    assert (answer.state, answer.lease) == (KeyState.REVOKED, None)
    assert (await peaks_twice(world, old))["server"] == 12
    assert (await events(world, old)).count("released") == 1


async def test_nothing_can_be_released_where_nothing_is_bound(world: World) -> None:
    issued = await world.key()
    with pytest.raises(NothingToRelease):
        await order(world, orders.release, Machine(issued.code, site_id=issued.key.site_id))


async def test_a_rotated_key_has_a_new_code_and_the_same_site_and_a_repeat_gives_the_same(world: World) -> None:
    machine = await world.running((1, 0, 0))
    last = machine.license_key[-5:]
    codes = [
        (await order(world, lambda db, s, **k: orders.rotate(db, world.desk.vault, s, **k), machine, replaces=last))[1]
        for _ in range(2)
    ]
    assert codes[0] == codes[1] != machine.license_key
    assert (await world.beat(machine, (2, 0, 0))).state is KeyState.ACTIVE
    assert (await events(world, machine)).count("rotated") == 1
    with pytest.raises(KeyAlreadyRotated):
        await order(world, lambda db, s, **k: orders.rotate(db, world.desk.vault, s, **k), machine, replaces="00000")


async def test_a_revoked_key_that_is_rotated_lives_again_and_counts(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await order(world, orders.revoke, machine, reason="leaked")
    await world.beat(machine, (1, 0, 0))
    world.clock.advance(hours=1)
    last = machine.license_key[-5:]
    await order(world, lambda db, s, **k: orders.rotate(db, world.desk.vault, s, **k), machine, replaces=last)
    world.clock.advance(hours=1)
    assert (await world.beat(machine, (7, 0, 0))).state is KeyState.ACTIVE
    assert (await peaks_twice(world, machine))["server"] == 7


# --- standalones ------------------------------------------------------------------------------------------------


async def test_of_many_standalones_at_once_no_more_are_bound_than_there_are_seats(world: World) -> None:
    machine = await world.running((1, 0, 0))
    many = [Machine(machine.license_key) for _ in range(7)]
    done = await asyncio.gather(*(world.activate(one, product="server_plus") for one in many), return_exceptions=True)
    assert sum(isinstance(one, SeatsExhausted) for one in done) == 2
    assert sum(isinstance(one, Exception) for one in done) == 2


async def test_a_listed_standalone_is_counted_once_and_an_unlisted_one_beside(world: World) -> None:
    machine = await world.running((1, 0, 1))
    listed, _ = await standalone(world, machine), await standalone(world, machine)
    assert (await peaks_twice(world, machine))["server_plus"] == 3
    world.clock.advance(days=31)
    first = instant(world.clock())
    for one in (listed, _):
        await world.beat(one, (0, 0, 1))
    seen = {"n": machine.through + 1, "at": first, "seen": [str(listed.installation_id)]}
    await world.beat(machine, (1, 0, 1), standalones=seen)
    world.clock.advance(hours=1)
    for one in (machine, listed, _):
        await world.beat(one, (1, 0, 1) if one is machine else (0, 0, 1))
    await peaks_twice(world, machine)
    world.clock.advance(days=31)
    for one in (machine, listed, _):
        await world.beat(one, (1, 0, 1) if one is machine else (0, 0, 1))
    assert (await peaks_twice(world, machine))["server_plus"] == 2


async def test_a_seat_that_is_ended_counts_no_more_and_a_rejected_one_never_did(world: World) -> None:
    machine = await world.running((1, 0, 0))
    ended, rejected = await standalone(world, machine, (0, 0, 2)), await standalone(world, machine, (0, 0, 40))
    world.clock.advance(hours=1)
    for one, act in ((ended, sites.end_seat), (rejected, sites.reject_seat)):
        for _ in range(2):
            async with world.sessions.begin() as db:
                key = await sites.standing.lock(db, machine.site_id)
                await act(db, key, one.installation_id, actor="test", now=world.clock())
    world.clock.advance(hours=1)
    assert (await world.beat(ended, (0, 0, 30))).state is KeyState.REVOKED
    assert (await peaks_twice(world, machine))["server_plus"] == 2


async def test_a_silent_standalone_s_seat_ends_at_its_last_contact_and_is_taken_again_when_it_is_heard(
    world: World,
) -> None:
    machine = await world.running((1, 0, 0))
    one = await standalone(world, machine, (0, 0, 2))
    for _ in range(24):  # into the next month
        await world.pass_time(days=1)
        await world.beat(machine, (1, 0, 0))
        while not (await world.sweep()).idle:
            pass
    [seat] = await seats_of(world, machine)
    assert (seat.end_reason, (await world.key_of(machine)).state) == ("seat_silent", KeyState.ACTIVE)
    assert (await peaks_twice(world, machine))["server_plus"] == 0  # it counted until its last contact, and no longer
    assert (await world.beat(one, (0, 0, 2))).state is KeyState.ACTIVE
    assert (await peaks_twice(world, machine))["server_plus"] == 2
    assert (await events(world, machine))[-2:] == ["seat_silent", "seat_taken"]


async def seats_of(world: World, machine: Machine) -> list[sites.Seat]:
    key = await world.key_of(machine)
    async with world.sessions() as db:
        return await sites.seats_of(db, key)


# --- clones and restores ----------------------------------------------------------------------------------------


async def test_a_restore_is_no_clone_and_a_clone_is_flagged_when_both_have_spoken(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(image, (3, 0, 0), resume=True)
    await world.beat(image, (3, 0, 0))
    assert await flags(world) == []
    await world.beat(machine, (2, 0, 0))
    await world.beat(machine, (2, 0, 0))
    assert await flags(world) == ["clone_suspected"]


async def flags(world: World) -> list[str]:
    async with world.sessions() as db:
        return list(await db.scalars(select(SiteFlag.flag)))


# --- breaker, pace, moves, policy -------------------------------------------------------------------------------


async def test_when_too_many_are_due_none_is_disabled_until_an_operator_lets_them_go(world: World) -> None:
    machines = [await world.running((1, 0, 0), f"site {n}") for n in range(11)]
    await world.pass_time(days=15)
    swept = await world.sweep()
    assert (swept.disabled, swept.held) == (0, 11)
    async with world.sessions.begin() as db:
        [held] = await breaker.held(db)
        assert (held.msp, held.sites) == ("Adriatica IT", 11)
        assert await breaker.release(db, world.msp.id, world.clock()) == 11
    assert (await world.sweep()).disabled == 11
    assert {(await world.key_of(machine)).state for machine in machines} == {KeyState.DISABLED}


async def test_the_breaker_cannot_be_passed_in_batches(world: World) -> None:
    """The worker was away for the whole silence, so the sites come to the end of the ladder a few at a time."""
    for number in range(12):
        await world.running((1, 0, 0), f"site {number}")
    await world.pass_time(days=15)
    swept = []
    while not (one := await world.sweep(limit=5)).idle:
        swept.append((one.disabled, one.held))
    assert (sum(disabled for disabled, _ in swept), sum(held for _, held in swept)) == (0, 12)


async def test_too_early_is_harmless_and_never_for_repeats_resumes_and_more(world: World) -> None:
    machine = await world.running((1, 0, 0))
    world.desk.pace = Pace()
    for _ in range(EARLY_ALLOWED):
        await world.beat(machine, (1, 0, 0))
    image = machine.image()
    last = machine.body(world.clock(), (1, 0, 0))
    refused = await world.hear(machine, last)
    assert isinstance(refused, TooEarly)
    assert refused.retry_after
    await world.beat(machine, (1, 0, 0), [], more=True)
    body = machine.body(world.clock(), (1, 0, 0))
    machine.learn(await accepted(world, machine, body))
    assert (await accepted(world, machine, body)).echo == machine.echo
    await world.beat(image, (1, 0, 0), resume=True)


async def accepted(world: World, machine: Machine, body: dict[str, Any]) -> sites.Answer:
    answer = await world.hear(machine, body)
    assert isinstance(answer, sites.Answer), answer
    return answer


async def listed(world: World, *partner_ids: UUID) -> list[list[UUID]]:
    """The online sites of some partners, by name."""
    lists, now = [], world.clock()
    for partner_id in partner_ids:
        kind = PartnerKind.DISTRIBUTOR if partner_id == world.distributor.id else PartnerKind.MSP
        own = Principal(partner_id, partner_id, kind, at=now)
        async with world.sessions() as db:
            await partners.guard(db, own)
            asked = {"liveness": Liveness.ONLINE, "order": Order.NAME}
            found = await sites.sites_of(db, own, now, after=None, limit=10, **asked)  # type: ignore[arg-type]
            assert (await sites.fleet_of(db, own, now)).by_liveness[Liveness.ONLINE] == len(found)
        lists.append([one.site_id for one in found])
    return lists


async def test_a_site_moves_at_the_start_of_the_next_period_and_each_msp_has_its_part(world: World) -> None:
    machine = await world.running((4, 0, 0))
    other = await world.another_msp("Baltica")
    with pytest.raises(NotAnotherMsp):
        await order(world, sites.moves.offer, machine, to_msp_id=world.msp.id)
    moves = [await order(world, sites.moves.offer, machine, to_msp_id=other.id) for _ in range(2)]
    assert moves[0].id == moves[1].id
    async with world.sessions.begin() as db:
        with pytest.raises(Absent):
            await sites.moves.move_offered_to(db, world.msp.id, moves[0].id)
        move = await sites.moves.move_offered_to(db, other.id, moves[0].id)
        accepted = await sites.moves.accept(db, move, actor="test", now=world.clock())
        effective_at = accepted.effective_at
    assert effective_at == world.month().ends_at
    await world.beat(machine, (4, 0, 0))
    assert [one.site_id for one in await world.figures([other])] == []
    world.clock.now = effective_at + timedelta(hours=1)
    await world.beat(machine, (6, 0, 0))
    # Until the worker has come to the move it is on nobody's list, and none breaks by it.
    assert await listed(world, world.msp.id, other.id, world.distributor.id) == [[], [], [machine.site_id]]
    async with world.sessions.begin() as db:
        assert await sites.moves.do_next(db, world.clock())
        assert not await sites.moves.do_next(db, world.clock())
    assert (await world.key_of(machine)).msp_id == other.id
    assert await listed(world, world.msp.id, other.id) == [[], [machine.site_id]]
    assert [one.peaks["server"][0] for one in await world.figures([other])] == [6]
    assert await world.figures([world.msp]) == []
