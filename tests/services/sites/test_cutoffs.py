"""Liveness in SQL says of each site what `liveness` says of it, under whatever policies and outages."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services import keys, partners, sites
from services.partners import Principal
from services.sites import Liveness, Order
from services.sites.silence import Outage, heard_until, silence
from tests.support.world import World

NOW = datetime(2026, 3, 10, tzinfo=UTC)
HOURS = st.integers(0, 24 * 30).map(lambda hours: timedelta(hours=hours))
GAPS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=5)


def outages(gaps: list[tuple[int, int]]) -> list[Outage]:
    """Outages before now, in order and apart."""
    found, at = [], NOW
    for up, away in gaps:
        until = at - timedelta(hours=up)
        at = until - timedelta(hours=away)
        found.append(Outage(at, until))
    return found[::-1]


@given(heard=HOURS, allowed=HOURS, gaps=GAPS)
def test_a_cut_off_is_silence_read_the_other_way(
    heard: timedelta, allowed: timedelta, gaps: list[tuple[int, int]]
) -> None:
    own = outages(gaps)
    contact = NOW - heard
    assert (contact <= heard_until(NOW, allowed, own)) == (silence(contact, NOW, own) >= allowed)


async def test_each_site_is_found_by_its_own_liveness_and_the_fleet_counts_the_same(world: World) -> None:
    """Sites of different ages, one with a policy of its own, another MSP's with its MSP's; an outage in between."""
    other = await world.another_msp("Altra")
    await world.pulse()
    silent = await world.running((1, 0, 0), "long ago")
    await world.pass_time(days=12)
    world.clock.advance(days=1)  # our own outage
    await world.pulse()
    await world.running((2, 0, 0), "three days ago")
    await world.running((2, 0, 0), "of another", other)
    own = await world.running((4, 0, 0), "with its own warning")
    await world.pass_time(days=3)
    await world.running((8, 0, 0), "an hour ago")
    await world.pass_time(hours=1)
    await world.running((16, 0, 0), "now")
    await world.key("never")
    async with world.sessions.begin() as db:
        await keys.set_key_policy(db, await world.key_of(own), {"warn_after_seconds": 4 * 24 * 3600})
        await partners.set_policy(db, "msp", other.id, disable_after_seconds=2 * 24 * 3600)
        await partners.set_policy(db, "distributor", world.distributor.id, disable_after_seconds=15 * 24 * 3600)
    now = world.clock()
    seen: dict[str, Liveness] = {}
    async with world.sessions() as db:
        for msp in (world.msp, other):
            principal = Principal(msp.id, msp.id, at=now)
            every = await sites.sites_of(db, principal, now, after=None, limit=50)
            fleet = await sites.fleet_of(db, principal, now)
            for one in Liveness:
                found = await sites.sites_of(db, principal, now, after=None, limit=50, liveness=one)
                assert {site.name for site in found} == {site.name for site in every if site.liveness is one}
                heard = [site for site in every if site.liveness is one and site.state != "issued"]
                assert fleet.by_liveness[one] == len(heard)
            seen |= {site.name: site.liveness for site in every}
    assert silent.site_id
    assert seen == {
        "long ago": Liveness.OVERDUE,
        "three days ago": Liveness.SILENT,
        "of another": Liveness.OVERDUE,
        "with its own warning": Liveness.LATE,
        "an hour ago": Liveness.LATE,
        "now": Liveness.ONLINE,
        "never": Liveness.NEVER_CONNECTED,
    }


async def test_a_list_in_any_order_has_each_site_once_however_it_is_cut(world: World) -> None:
    for number, name in enumerate(["Bar", "albergo", "Caffè", "bottega", "Cantina"]):
        await world.running((number % 2, 0, 0), name)
        await world.pass_time(minutes=number)
    await world.key("Dolce")
    now, principal = world.clock(), Principal(world.msp.id, world.msp.id, at=world.clock())
    async with world.sessions() as db:
        for order in Order:
            for descending in (False, True):
                whole = await sites.sites_of(
                    db, principal, now, after=None, limit=9, order=order, descending=descending
                )
                paged, after = [], None
                while True:
                    page = await sites.sites_of(
                        db, principal, now, after=after, limit=2, order=order, descending=descending
                    )
                    if not page:
                        break
                    paged += page
                    after = page[-1].site_id
                assert [one.site_id for one in paged] == [one.site_id for one in whole]
                assert len(whole) == 6
        by_name = await sites.sites_of(db, principal, now, after=None, limit=9, order=Order.NAME)
    assert [one.name for one in by_name] == ["albergo", "Bar", "bottega", "Caffè", "Cantina", "Dolce"]
