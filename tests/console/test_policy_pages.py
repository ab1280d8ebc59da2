"""Policies at their levels, in the units of people, with what they would do before they are set."""

from services import ids
from services.partners import PartnerKind
from tests.console.conftest import Somebody
from tests.support.console import text_of
from tests.support.world import World


async def test_a_distributor_tries_a_policy_on_its_fleet_and_then_sets_it(world: World, as_somebody: Somebody) -> None:
    await world.running((3, 0, 0))
    await world.pass_time(days=8)
    await world.sweep()
    pages = await as_somebody(PartnerKind.DISTRIBUTOR)
    here = f"/policies/distributor/{ids.show('distributor', world.distributor.id)}"
    tried = text_of(await pages.post(here, disable_after_seconds="7", act="try"))
    assert "would be disabled 1" in tried
    assert "Hotel Adria" in tried
    assert "from the programme" not in text_of(await pages.get(here))
    beyond = text_of(await pages.post(here, disable_after_seconds="0.5", act="save"))
    assert "The vendor allows no such value" in beyond or "disable_after_seconds is from" in beyond
    assert "This is no number." in text_of(await pages.post(here, disable_after_seconds="soon", act="save"))
    await pages.post(here, disable_after_seconds="7,5", act="save")
    assert "7.5 days set here" in text_of(await pages.get(here))
    msp = await as_somebody()
    own = text_of(await msp.get(f"/policies/msp/{ids.show('msp', world.msp.id)}"))
    assert "7.5 days from the distributor" in own
    assert "Warn after (hours)" in own
    assert "Disable after (days)" not in own


async def test_the_programme_and_its_bounds_are_the_vendor_s(world: World, as_somebody: Somebody) -> None:
    pages = await as_somebody(PartnerKind.VENDOR)
    await pages.post("/policies/programme/all", warn_after_seconds="12", act="save")
    assert "12 hours set here" in text_of(await pages.get("/policies/programme/all"))
    assert (await pages.get("/policies/bounds")).status_code == 200
    msp, distributor = await as_somebody(), await as_somebody(PartnerKind.DISTRIBUTOR)
    for other in (msp, distributor):
        assert "Set here" not in text_of(await other.get("/policies/programme/all"))
        assert (await other.get("/policies/bounds")).status_code == 403
        assert (await other.post("/policies/programme/all", warn_after_seconds="1", act="save")).status_code >= 400
    key = (await world.key()).key
    here = f"/policies/key/{ids.show('key', key.id)}"
    await msp.post(here, standalone_seats="9", act="save")
    assert "9 a key set here" in text_of(await msp.get(here))
    assert (await distributor.get(here)).status_code == 200
    assert (await msp.get("/policies/nothing/x")).status_code == 404
