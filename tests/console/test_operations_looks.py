"""The rooms of daily work, full of things: axe finds nothing, and nothing is wider than the window."""

import pytest

from services.ids import show
from services.partners import PartnerKind
from tests.console.conftest import Opened
from tests.console.test_first_page import FAILED, morning
from tests.support.browser import NARROW, WIDE
from tests.support.machine import Machine, change
from tests.support.people import person
from tests.support.world import World


async def full(world: World) -> list[str]:
    """A fleet with something of each kind the matter; gives its pages."""
    await morning(world)
    machine = await world.activated("Trattoria da Gino e Figli, sede di Castelfranco Emilia")
    await world.beat(machine, (3, 20, 1), backups=FAILED)
    for three in ((5, 25, 1), (4, 22, 0)):
        await world.pass_time(hours=6)
        await world.beat(machine, three, [change(machine.through + 1, world.clock(), three)])
    key = await world.key_of(machine)
    await world.activate(Machine(machine.license_key, hostname="till-1"), product="server_plus")
    site, here = f"/sites/{show('site', machine.site_id)}", f"/keys/{show('key', key.id)}"
    acts = [f"{here}/acts/{act}" for act in ("revoke", "rename", "move")]
    return ["/", "/sites", site, f"{site}/agents", "/keys", "/keys/new", here, *acts, "/moves"]


@pytest.mark.parametrize(("language", "width"), [("it", WIDE), ("en", NARROW)])
async def test_axe_finds_nothing_in_the_rooms_of_daily_work(
    world: World, open_window: Opened, language: str, width: int
) -> None:
    pages = await full(world)
    user = await person(world, PartnerKind.MSP, world.msp.id)
    window = await open_window(user, language=language, width=width, dark=language == "en")
    faults = []
    for path in pages:
        await window.open(path)
        faults += [f"{path}: {fault}" for fault in await window.faults()]
    assert not faults, "\n".join(faults)
