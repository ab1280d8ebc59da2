"""Activation: every row of the protocol's table that is there, on a real database, and the race for one key."""

import asyncio
from collections import Counter
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from services.errors import Refusal
from services.keys import KeyMalformed, KeyState, KeyUnknown
from services.partners import Msp, MspNotApproved
from services.sites import (
    Activated,
    CredentialMismatch,
    KeyAlreadyBound,
    KeyRevoked,
    KeySuspended,
    VersionUnsupported,
    read_bearer,
)
from services.sites.tables import Installation, SilenceTimer
from services.usage import first_receipt
from tests.support.machine import Machine
from tests.support.world import World


async def test_the_first_activation_binds_the_key_and_gives_all_that_a_site_needs(world: World) -> None:
    machine = Machine((await world.key()).code)
    bound = await world.activate(machine)
    assert bound.first
    assert bound.state is KeyState.ACTIVE
    assert (bound.through, bound.receipt) == (0, first_receipt(str(machine.installation_id)))
    assert bound.echo
    assert bound.lease
    assert bound.server_time == world.clock()
    assert {event for event, _, _ in await world.timeline(machine)} == {"issued", "activated"}
    async with world.sessions() as db:
        timer = (await db.scalars(select(SilenceTimer))).one()
        stored = (await db.scalars(select(Installation))).one()
    assert timer.due_at == world.clock() + bound.policy.warn_after
    assert stored.credential_sha256 == read_bearer(machine.bearer).credential_sha256


async def test_a_repeat_is_the_same_activation_with_the_echo_while_nothing_was_sent(world: World) -> None:
    machine = Machine((await world.key()).code)
    first = await world.activate(machine)
    world.clock.advance(minutes=1)
    again = await world.activate(machine)
    assert not again.first
    assert (again.site_id, again.key_id, again.echo) == (first.site_id, first.key_id, first.echo)
    assert len(await world.timeline(machine)) == 2
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(Installation)) == 1


async def test_after_the_first_heartbeat_a_repeat_gets_no_echo_but_through_and_receipt(world: World) -> None:
    machine = await world.running((1, 2, 3))
    again = await world.activate(machine.image())
    assert again.echo is None
    assert (again.through, again.receipt.hex()) == (1, machine.receipt)


async def test_another_site_manager_on_a_bound_key_is_refused(world: World) -> None:
    machine = await world.activated()
    with pytest.raises(KeyAlreadyBound):
        await world.activate(Machine(machine.license_key))


async def test_the_same_installation_with_another_credential_is_refused(world: World) -> None:
    machine = await world.activated()
    reinstalled = Machine(machine.license_key, installation_id=machine.installation_id)
    with pytest.raises(CredentialMismatch):
        await world.activate(reinstalled)


async def test_an_installation_may_hold_another_key_as_a_binding_of_its_own(world: World) -> None:
    machine = await world.running((1, 0, 0), "one")
    other = Machine((await world.key("two")).code, installation_id=machine.installation_id, secret=machine.secret)
    assert (await world.activate(other)).first
    await world.beat(other, (5, 0, 0))
    await world.beat(machine, (1, 0, 0))
    assert other.site_id != machine.site_id


async def test_an_unknown_key_and_a_mistyped_one_are_told_apart(world: World) -> None:
    with pytest.raises(KeyUnknown):
        await world.activate(Machine("00000-00000-00000-0000V-V6KVH"))
    with pytest.raises(KeyMalformed):
        await world.activate(Machine("00000-00000-00000-0000V-V6KVJ"))


@pytest.mark.parametrize("version", ["6.9.9", "6", "0"])
async def test_a_site_manager_older_than_7_is_refused(world: World, version: str) -> None:
    with pytest.raises(VersionUnsupported):
        await world.activate(Machine((await world.key()).code, version=version))


@pytest.mark.parametrize("version", ["7", "7.0.0", "10.1", "12.0-rc.1"])
async def test_version_7_and_later_is_taken(world: World, version: str) -> None:
    assert (await world.activate(Machine((await world.key()).code, version=version))).first


@pytest.mark.parametrize(
    ("instants", "refusal"),
    [
        (("suspended_at",), KeySuspended),
        (("revoked_at",), KeyRevoked),
        (("suspended_at", "revoked_at"), KeyRevoked),
    ],
)
async def test_a_suspended_or_revoked_key_is_refused(
    world: World, instants: tuple[str, ...], refusal: type[Refusal]
) -> None:
    issued = await world.key()
    machine = Machine(issued.code, site_id=issued.key.site_id)
    await world.mark_key(machine, **dict.fromkeys(instants, world.clock()))
    with pytest.raises(refusal):
        await world.activate(machine)


async def test_a_key_of_an_msp_that_is_not_approved_is_refused(world: World) -> None:
    machine = Machine((await world.key()).code)
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(approved_at=None))
    with pytest.raises(MspNotApproved):
        await world.activate(machine)


async def test_a_refused_activation_leaves_nothing(world: World) -> None:
    machine = await world.activated()
    before = await world.timeline(machine)
    with pytest.raises(KeyAlreadyBound):
        await world.activate(Machine(machine.license_key, installation_id=uuid4()))
    assert await world.timeline(machine) == before
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(Installation)) == 1


async def test_the_policy_in_force_goes_to_the_site_and_into_its_line(world: World) -> None:
    await world.policy(heartbeat_seconds=3600, disable_after_seconds=86_400)
    machine = Machine((await world.key()).code)
    bound = await world.activate(machine)
    assert (bound.policy.heartbeat_seconds, bound.policy.disable_after_seconds) == (3600, 86_400)
    assert 1800 < bound.next_heartbeat_seconds <= 5400
    async with world.sessions() as db:
        assert (await db.scalars(select(SilenceTimer.due_at))).one() == world.clock() + bound.policy.disable_after


async def test_of_five_activations_at_once_for_one_key_exactly_one_is_first(world: World) -> None:
    code = (await world.key()).code
    outcomes = await asyncio.gather(*(world.activate(Machine(code)) for _ in range(5)), return_exceptions=True)
    assert Counter(type(one) for one in outcomes) == {Activated: 1, KeyAlreadyBound: 4}


async def test_the_same_activation_five_times_at_once_is_one(world: World) -> None:
    machine = Machine((await world.key()).code)
    outcomes = await asyncio.gather(*(world.activate(machine.image()) for _ in range(5)))
    assert Counter(one.first for one in outcomes) == {True: 1, False: 4}
    assert len({one.echo for one in outcomes}) == 1
