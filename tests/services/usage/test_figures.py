"""Figures of a month, from what machines reported: peaks, where they were reached, and what is not known."""

from datetime import UTC, datetime, timedelta

from services.usage import Span, count_again, stop_counting
from tests.support.clock import START
from tests.support.machine import Machine, change, lost
from tests.support.world import World

APRIL = datetime(2026, 3, 31, 22, 0, tzinfo=UTC)
"""The first instant of April in Rome."""
MAY = datetime(2026, 4, 30, 22, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


async def april(world: World, machine: Machine) -> dict[str, tuple[int, datetime]]:
    return await world.peaks(machine, Span(APRIL, MAY, MAY + 6 * HOUR))


async def march(world: World, machine: Machine) -> dict[str, tuple[int, datetime]]:
    return await world.peaks(machine, Span(APRIL - timedelta(days=31), APRIL, MAY + 6 * HOUR))


async def test_a_peak_between_two_heartbeats_is_found_with_its_first_instant(world: World) -> None:
    machine = await world.running((1, 140, 0))
    world.clock.advance(minutes=15)
    up, down = START + timedelta(minutes=5), START + timedelta(minutes=6)
    await world.beat(machine, (1, 140, 0), [change(2, up, (1, 141, 0)), change(3, down, (1, 140, 0))])
    assert await world.peaks(machine) == {
        "server": (1, START),
        "workstation": (141, up),
        "server_plus": (0, START),
        "total": (142, up),
    }


async def test_the_value_carried_in_counts_at_the_first_instant_of_the_month(world: World) -> None:
    machine = await world.running((9, 0, 0))
    world.clock.now = APRIL + HOUR
    await world.beat(machine, (2, 0, 0))
    assert (await april(world, machine))["server"] == (9, APRIL)


async def test_a_change_exactly_at_the_first_instant_belongs_to_the_new_month(world: World) -> None:
    machine = await world.running((1, 0, 0))
    world.clock.now = APRIL + HOUR
    await world.beat(machine, (5, 0, 0), [change(2, APRIL, (5, 0, 0))])
    assert (await march(world, machine))["server"] == (1, START)
    assert (await april(world, machine))["server"] == (5, APRIL)


async def test_a_change_to_less_exactly_at_the_first_instant_leaves_the_old_count_in_the_old_month(
    world: World,
) -> None:
    machine = await world.running((5, 0, 0))
    world.clock.now = APRIL + HOUR
    await world.beat(machine, (1, 0, 0), [change(2, APRIL, (1, 0, 0))])
    assert (await april(world, machine))["server"] == (1, APRIL)


async def test_what_counts_again_exactly_at_the_month_s_end_counts_in_the_new_month_only(world: World) -> None:
    machine = await world.running((1, 0, 0))
    async with world.sessions.begin() as db:
        await stop_counting(db, machine.site_id, machine.installation_id, START + HOUR, "released")
        await count_again(db, machine.site_id, machine.installation_id, APRIL)
    world.clock.now = APRIL + HOUR
    await world.beat(machine, (50, 0, 0), [change(2, START + 2 * HOUR, (50, 0, 0))])
    assert (await march(world, machine))["server"] == (1, START)
    assert (await april(world, machine))["server"] == (50, APRIL)


async def test_at_one_instant_the_highest_number_holds(world: World) -> None:
    machine = await world.running((1, 0, 0))
    at = world.clock.advance(hours=1)
    await world.beat(machine, (3, 0, 0), [change(2, at, (99, 0, 0)), change(3, at, (3, 0, 0))])
    assert (await world.peaks(machine))["server"] == (3, at)


async def test_the_last_count_known_is_part_of_the_month_although_it_lasted_no_time(world: World) -> None:
    machine = await world.running((1, 0, 0))
    await world.beat(machine, (8, 0, 0), sent_at=world.clock.advance(hours=1))
    assert (await world.peaks(machine))["server"] == (8, world.clock())


async def test_the_peak_of_the_total_is_not_the_sum_of_the_peaks(world: World) -> None:
    machine = await world.running((10, 0, 0))
    at = world.clock.advance(hours=1)
    await world.beat(machine, (0, 9, 0))
    peaks = await world.peaks(machine)
    assert (peaks["server"], peaks["workstation"], peaks["total"]) == ((10, START), (9, at), (10, START))


async def test_two_lines_are_never_added(world: World) -> None:
    machine = await world.running((10, 0, 0))
    image = machine.image()
    world.clock.advance(hours=1)
    await world.beat(machine, (10, 0, 0))
    world.clock.advance(hours=1)
    await world.beat(image, (12, 0, 0), resume=True)
    resumed = world.clock()
    world.clock.advance(hours=1)
    await world.beat(machine, (11, 0, 0))
    await world.beat(image, (12, 0, 0))
    assert (await world.peaks(machine))["server"] == (12, resumed)


async def test_an_old_image_cannot_erase_agents(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    peak_at = world.clock.advance(hours=1)
    await world.beat(machine, (20, 0, 0))
    world.clock.advance(hours=1)
    await world.beat(image, (1, 0, 0), resume=True)
    assert (await world.peaks(machine))["server"] == (20, peak_at)


async def test_what_a_resumed_line_says_about_earlier_is_evidence_only(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    world.clock.advance(hours=2)
    await world.beat(machine, (1, 0, 0))
    early = START + HOUR
    changes = [change(2, early, (50, 0, 0)), change(3, early + HOUR / 2, (2, 0, 0))]
    world.clock.advance(hours=1)
    await world.beat(image, (2, 0, 0), changes, resume=True)
    assert (await world.peaks(machine))["server"][0] == 2


async def test_lost_entries_and_silence_are_gaps_and_gaps_are_listed(world: World) -> None:
    machine = await world.running((1, 0, 0))
    since, until = START + HOUR, START + 2 * HOUR
    world.clock.advance(hours=10)
    await world.beat(machine, (3, 0, 0), [change(3, until, (3, 0, 0))], lost=[lost(2, since, until)])
    world.clock.advance(hours=10)
    line = await world.line_now()
    assert line["gaps"] == [
        ["2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z"],
        ["2026-03-10T19:00:00Z", "2026-03-11T05:00:00Z"],
    ]
    assert line["coverage_percent"] == "45.00"
    assert line["server"]["peak"] == 3


async def test_a_site_silent_from_mid_month_has_the_peak_of_what_is_known(world: World) -> None:
    machine = await world.running((4, 0, 0))
    world.clock.now = APRIL + timedelta(days=10)
    await world.beat(machine, (7, 0, 0))
    world.clock.now = MAY - SECOND
    assert (await april(world, machine))["server"] == (7, APRIL + timedelta(days=10))
    line = await world.line_now()
    assert line["gaps"] == [["2026-04-10T22:00:00Z", "2026-04-30T21:59:59Z"]]
    assert line["flags"] == []


async def test_a_site_that_only_activated_has_no_data_and_no_zero(world: World) -> None:
    await world.activated()
    world.clock.advance(hours=1)
    line = await world.line_now()
    assert (line["server"], line["total"]) == (None, None)
    assert (line["coverage_percent"], line["flags"]) == ("0.00", ["new", "no_data"])


async def test_a_known_zero_is_a_line_with_0(world: World) -> None:
    machine = await world.activated()
    await world.beat(machine, (0, 0, 0))
    world.clock.advance(hours=1)
    await world.beat(machine, (0, 0, 0))
    line = await world.line_now()
    assert (line["server"]["peak"], line["total"]["peak"], line["coverage_percent"]) == (0, 0, "100.00")


async def test_the_active_count_at_the_peak_is_shown_beside_it(world: World) -> None:
    machine = await world.activated()
    active = {"server": 2, "workstation": 0, "server_plus": 0}
    await world.beat(machine, (3, 0, 0), [change(1, START, (3, 0, 0), active=active)])
    world.clock.advance(hours=1)
    peak = (await world.line_now())["server"]
    assert (peak["peak"], peak["peak_at"], peak["active"]) == (3, "2026-03-10T09:00:00Z", 2)


async def test_a_new_site_counts_from_its_activation(world: World) -> None:
    machine = await world.running((1, 0, 0))
    assert (await world.peaks(machine))["server"] == (1, START)
    world.clock.advance(days=1)
    await world.beat(machine, (1, 0, 0))
    assert (await world.line_now())["coverage_percent"] == "100.00"


async def test_each_msp_s_sites_are_its_own(world: World) -> None:
    other = await world.another_msp("Baltica")
    ours, theirs = await world.running((1, 0, 0)), await world.running((2, 0, 0), "theirs", other)
    assert [one.site_id for one in await world.figures()] == [ours.site_id]
    assert [one.site_id for one in await world.figures([other])] == [theirs.site_id]


async def test_what_was_received_after_the_cut_off_does_not_count(world: World) -> None:
    machine = await world.running((1, 0, 0))
    world.clock.advance(days=2)
    await world.beat(machine, (30, 0, 0), [change(2, START + HOUR, (30, 0, 0))])
    span = world.month()
    early = Span(span.starts_at, span.ends_at, START + HOUR)
    assert (await world.peaks(machine, early))["server"] == (1, START)
    assert (await world.peaks(machine))["server"] == (30, START + HOUR)
