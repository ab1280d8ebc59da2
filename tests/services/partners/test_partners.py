"""Partners: the policy in force, tokens, and who was with whom when."""

from datetime import timedelta

import httpx
import pytest

from services import partners
from services.errors import Absent, Unauthenticated
from services.ids import show
from services.partners import PartnerKind, Policy
from tests.support.people import signed_in
from tests.support.problems import problem
from tests.support.world import World


async def test_the_nearest_policy_wins_value_by_value(world: World) -> None:
    async with world.sessions.begin() as db:
        await partners.set_policy(db, "programme", heartbeat_seconds=600, disable_after_seconds=700)
        await partners.set_policy(db, "distributor", world.distributor.id, disable_after_seconds=800)
        await partners.set_policy(db, "msp", world.msp.id, warn_after_seconds=900)
        await partners.set_policy(db, "msp", world.distributor.id, warn_after_seconds=1)  # another subject
    async with world.sessions() as db:
        policy = await partners.policy_of_msp(db, world.msp.id, world.clock())
    assert policy == Policy(heartbeat_seconds=600, disable_after_seconds=800, warn_after_seconds=900)


async def test_setting_one_value_leaves_the_others(world: World) -> None:
    await world.policy(heartbeat_seconds=600)
    await world.policy(standalone_seats=7)
    async with world.sessions() as db:
        policy = await partners.policy_of(db, distributor_id=world.distributor.id)
    assert policy == Policy(heartbeat_seconds=600, standalone_seats=7)


def test_the_programme_s_defaults_are_those_of_the_domain() -> None:
    policy = Policy()
    assert policy.disable_after == timedelta(days=14)
    assert policy.close_grace == timedelta(hours=6)
    assert (policy.heartbeat_seconds, policy.warn_after_seconds, policy.standalone_seats) == (900, 86_400, 5)


async def test_a_token_stands_for_its_msp_until_it_expires(world: World) -> None:
    token = await world.token(expires_at=world.clock() + timedelta(hours=1))
    async with world.sessions() as db:
        principal = await partners.principal_of(db, token, world.clock())
        assert principal.msp_id == world.msp.id
        with pytest.raises(Unauthenticated):
            await partners.principal_of(db, token, world.clock() + timedelta(hours=1))


@pytest.mark.parametrize("token", ["", "tdm_", "tdm_" + "x" * 43, "other"])
async def test_a_token_that_was_never_issued_stands_for_nobody(world: World, token: str) -> None:
    await world.token()
    async with world.sessions() as db:
        with pytest.raises(Unauthenticated):
            await partners.principal_of(db, token, world.clock())


async def test_an_msp_has_its_distributor_from_the_start_of_its_tenure(world: World) -> None:
    async with world.sessions() as db:
        assert await partners.distributor_of(db, world.msp.id, world.clock()) == world.distributor.id
        with pytest.raises(Absent):
            await partners.distributor_of(db, world.msp.id, world.clock() - timedelta(seconds=1))


async def test_what_a_partner_must_have_cannot_be_taken_away_and_a_name_is_one_s_own(
    client: httpx.AsyncClient, world: World
) -> None:
    vendor = await signed_in(world, PartnerKind.VENDOR)
    other, msp = await world.another_distributor("Nord"), await world.another_msp("Baltica")
    for url in (f"/v1/distributors/{show('distributor', other.id)}", f"/v1/msps/{show('msp', msp.id)}"):
        for name in ("name", "language"):
            answer = await client.patch(url, json={name: None}, headers=vendor)
            problem(answer, 422, "request_invalid")
        taken = world.distributor.name if "distributors" in url else world.msp.name
        problem(await client.patch(url, json={"name": taken}, headers=vendor), 409, "name_taken")
        gone = await client.patch(url, json={"address": None}, headers=vendor)
        assert gone.status_code == 200
