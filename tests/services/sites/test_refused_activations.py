"""Refused activations are kept for the MSP, one row an installation, and let in with one click."""

from typing import Any

import pytest
from sqlalchemy import func, select

from services import sites
from services.errors import Absent
from services.partners import Principal
from services.sites import (
    WORTH_KEEPING,
    CredentialMismatch,
    KeyAlreadyBound,
    Refused,
    SeatsExhausted,
    admission,
    orders,
    refusals,
)
from services.sites import namesakes as find_namesakes
from services.sites.administration_tables import RefusedActivation
from services.sites.tables import Installation
from tests.support.machine import Machine
from tests.support.world import World

ONE = (1, 0, 0)


async def refused(world: World, machine: Machine, kind: type[Exception] = KeyAlreadyBound, **fields: Any) -> None:
    """Try to activate, are refused, and the edge commits."""
    async with world.sessions.begin() as db:
        with pytest.raises(WORTH_KEEPING) as caught:
            await world_activate(world, db, machine, **fields)
    assert isinstance(caught.value, kind)


async def world_activate(world: World, db: Any, machine: Machine, **fields: Any) -> Any:
    return await sites.activate(db, world.desk, machine.activation(**fields), world.clock(), address="192.0.2.7")


async def listed(world: World, msp_id: Any = None) -> list[Refused]:
    principal = Principal(msp_id or world.msp.id, world.msp.id, at=world.clock())
    async with world.sessions() as db:
        return list(await refusals.refused_of(db, principal, after=None, limit=100))


async def allow(world: World, one: Refused) -> None:
    async with world.sessions.begin() as db:
        await admission.allow(db, one.row.site_id, one.row.id, actor="test", now=world.clock())


@pytest.fixture
async def bound(world: World) -> Machine:
    return await world.running(ONE)


def newcomer(bound: Machine, hostname: str = "backup02") -> Machine:
    return Machine(bound.license_key, hostname=hostname)


# --- kept -------------------------------------------------------------------------------------------------------


async def test_who_was_refused_is_kept_once_however_often_it_tries(world: World, bound: Machine) -> None:
    machine = newcomer(bound)
    first_at = world.clock()
    for _ in range(3):
        await refused(world, machine)
        world.clock.advance(hours=1)
    [one] = await listed(world)
    row = one.row
    assert (row.code, row.hostname, row.address, row.attempts) == ("key_already_bound", "backup02", "192.0.2.7", 3)
    assert (row.first_at, one.name, one.holder) == (first_at, "Hotel Adria", "backup01")


async def test_a_flood_of_invented_installations_fills_nothing(world: World, bound: Machine) -> None:
    known = newcomer(bound)
    await refused(world, known)
    await allow(world, (await listed(world))[0])
    for _ in range(refusals.KEPT_MAX + 5):
        world.clock.advance(seconds=1)
        await refused(world, newcomer(bound))
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(RefusedActivation)) == refusals.KEPT_MAX
        held = select(RefusedActivation.installation_id).where(RefusedActivation.allowed_at.is_not(None))
        assert list(await db.scalars(held)) == [known.installation_id]  # what is held is not pushed out


async def test_each_reason_is_told_and_a_stranger_sees_none(world: World, bound: Machine) -> None:
    await refused(world, newcomer(bound))
    reinstalled = bound.image()
    reinstalled.secret = bound.secret[::-1]
    await refused(world, reinstalled, CredentialMismatch)
    for _ in range(5):
        await world.activate(newcomer(bound), product="server_plus", version="5.1")
    await refused(world, newcomer(bound), SeatsExhausted, product="server_plus", version="5.1")
    assert [one.row.code for one in await listed(world)] == [
        "seats_exhausted", "credential_mismatch", "key_already_bound"
    ]  # fmt: skip
    assert await listed(world, (await world.another_msp("Baltica")).id) == []


async def test_one_that_has_activated_is_no_longer_listed(world: World, bound: Machine) -> None:
    machine = newcomer(bound)
    await refused(world, machine)
    async with world.sessions.begin() as db:
        await orders.release(db, bound.site_id, actor="test", now=world.clock())
    await world.activate(machine)
    assert await listed(world) == []


async def test_an_impostor_s_refusal_stays_when_the_true_one_repeats_its_activation(
    world: World, bound: Machine
) -> None:
    impostor = bound.image()
    impostor.secret = bound.secret[::-1]
    await refused(world, impostor, CredentialMismatch)
    await world.activate(bound)
    assert len(await listed(world)) == 1


async def test_a_dismissed_one_that_tries_again_is_listed_again(world: World, bound: Machine) -> None:
    machine = newcomer(bound)
    await refused(world, machine)
    [one] = await listed(world)
    async with world.sessions.begin() as db:
        await admission.dismiss(db, bound.site_id, one.row.id)
    assert await listed(world) == []
    async with world.sessions.begin() as db:
        with pytest.raises(Absent):
            await admission.dismiss(db, bound.site_id, one.row.id)
    await refused(world, machine)
    assert len(await listed(world)) == 1


# --- let in -----------------------------------------------------------------------------------------------------


async def test_release_and_allow_lets_that_one_in_and_nobody_before_it(world: World, bound: Machine) -> None:
    machine, thief = newcomer(bound), newcomer(bound, "thief")
    await refused(world, machine)
    [one] = await listed(world)
    for _ in range(2):
        await allow(world, one)
    assert await listed(world) == []
    await refused(world, thief)
    await refused(world, bound)  # nor may the old one come back
    same_name = machine.image()
    same_name.secret = machine.secret[::-1]
    await refused(world, same_name)  # nor one that only calls itself so
    await world.activate(machine)
    timeline = [event for event, _, _ in await world.timeline(bound)]
    assert timeline.count("activation_allowed") == timeline.count("released") == 1
    await refused(world, bound)


async def test_what_is_held_is_free_again_after_a_week_or_a_release(world: World, bound: Machine) -> None:
    await refused(world, newcomer(bound))
    await allow(world, (await listed(world))[0])
    async with world.sessions.begin() as db:
        await orders.release(db, bound.site_id, actor="test", now=world.clock())
    other = newcomer(bound)
    await world.activate(other)
    await refused(world, newcomer(bound))
    await allow(world, (await listed(world))[0])
    world.clock.advance(days=7)
    await world.activate(newcomer(bound))


async def test_a_reinstalled_site_manager_is_let_in_with_its_new_credential(world: World, bound: Machine) -> None:
    reinstalled = bound.image()
    reinstalled.secret = bound.secret[::-1]
    await refused(world, reinstalled, CredentialMismatch)
    await allow(world, (await listed(world))[0])
    await world.activate(reinstalled)
    assert await listed(world) == []


async def test_a_reinstalled_standalone_is_let_in_on_its_own_seat(world: World, bound: Machine) -> None:
    standalone = newcomer(bound)
    await world.activate(standalone, product="server_plus", version="5.1")
    reinstalled = standalone.image()
    reinstalled.secret = standalone.secret[::-1]
    await refused(world, reinstalled, CredentialMismatch, product="server_plus", version="5.1")
    await allow(world, (await listed(world))[0])
    await world.activate(reinstalled, product="server_plus", version="5.1")
    await world.beat(bound, ONE)  # the Site Manager was not released
    async with world.sessions() as db:
        manager = await db.get_one(Installation, (bound.site_id, bound.installation_id))
        assert manager.released_at is None


async def test_a_standalone_beyond_the_seats_gets_one_more(world: World, bound: Machine) -> None:
    for _ in range(5):
        await world.activate(newcomer(bound), product="server_plus", version="5.1")
    sixth = newcomer(bound)
    await refused(world, sixth, SeatsExhausted, product="server_plus", version="5.1")
    [one] = await listed(world)
    for _ in range(2):
        await allow(world, one)
    await world.activate(sixth, product="server_plus", version="5.1")
    await refused(world, newcomer(bound), SeatsExhausted, product="server_plus", version="5.1")


# --- namesakes --------------------------------------------------------------------------------------------------


async def test_a_key_on_a_machine_that_another_site_has_is_told(world: World, bound: Machine) -> None:
    stranger = await world.another_msp("Baltica")
    await world.running(ONE, "Not ours", stranger)  # on a backup01 of its own
    machine = Machine((await world.key("Hotel Adria new")).code, hostname="BACKUP01")
    await world.activate(machine)
    asked = (world.msp.id, machine.hostname, machine.site_id)
    async with world.sessions() as db:
        found = await find_namesakes(db, [asked])
    assert [one.name for one in found[asked]] == ["Hotel Adria"]


async def test_one_that_has_not_come_for_long_is_forgotten_with_its_address(world: World, bound: Machine) -> None:
    await refused(world, newcomer(bound))
    world.clock.advance(days=89)
    for remaining in (1, 0):
        async with world.sessions.begin() as db:
            await refusals.drop_old(db, world.clock())
        assert len(await listed(world)) == remaining
        world.clock.advance(days=1)
