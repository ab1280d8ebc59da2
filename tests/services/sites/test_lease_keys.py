"""Rotation of the key that signs leases: published before it signs, and as long as a lease of it can hold."""

from datetime import timedelta

from services import sites
from services.sites import CACHED_SECONDS
from tests.support.world import World


async def kids(world: World) -> list[str]:
    async with world.sessions() as db:
        return [key["kid"] for key in await sites.public_keys(db, world.desk.vault, world.clock())]


async def signs(world: World) -> str:
    async with world.sessions.begin() as db:
        return (await sites.signing_key(db, world.desk.vault, world.clock())).kid


async def rotate(world: World) -> str:
    async with world.sessions.begin() as db:
        return (await sites.rotate_signing_key(db, world.desk.vault, world.clock())).kid


async def test_a_new_signing_key_is_published_before_it_signs_and_the_old_one_outlives_its_leases(world: World) -> None:
    await world.running((1, 0, 0))
    old = await signs(world)
    new = await rotate(world)
    assert set(await kids(world)) == {old, new}
    assert await signs(world) == old
    world.clock.advance(seconds=CACHED_SECONDS - 1)
    assert await signs(world) == old
    last_lease_begins = world.clock()
    world.clock.advance(seconds=1)
    assert await signs(world) == new
    longest = timedelta(days=14) + 2 * timedelta(days=1)
    world.clock.now = last_lease_begins + longest
    assert set(await kids(world)) == {old, new}
    world.clock.advance(days=366)
    assert await kids(world) == [new]


async def test_a_key_stays_published_for_leases_that_were_given_under_a_longer_policy(world: World) -> None:
    await world.policy(disable_after_seconds=90 * 86_400)
    await world.running((1, 0, 0))
    old, given_at = await signs(world), world.clock()
    await world.policy(disable_after_seconds=86_400)
    world.clock.advance(days=1)
    await rotate(world)
    world.clock.now = given_at + timedelta(days=90)
    assert old in await kids(world)


async def test_two_rotations_in_a_row_leave_nobody_without_a_key(world: World) -> None:
    first = await signs(world)
    second = await rotate(world)
    third = await rotate(world)
    assert set(await kids(world)) == {first, second, third}
    assert await signs(world) == first
    world.clock.advance(seconds=CACHED_SECONDS)
    assert await signs(world) in (second, third)
