"""Every page as a person sees it: Italian, wide and light; English, narrow and dark. axe finds nothing."""

import pytest

from services.partners import PartnerKind, User
from tests.console.conftest import Opened
from tests.support.browser import NARROW, WIDE
from tests.support.people import person
from tests.support.world import World

PAGES = ("/", "/sites")
BEFORE_THE_DOOR = (
    "/sign-in",
    "/password/forgotten",
    "/password/new?token=x",
    "/invitations/accept?token=x",
    "/registrations/confirm?token=x",
)


async def staffed(world: World) -> User:
    await world.running((3, 25, 1), "Hotel Adria")
    await world.key("Studio Bassi")
    return await person(world, PartnerKind.MSP, world.msp.id)


@pytest.mark.parametrize(("language", "width"), [("it", WIDE), ("en", NARROW)])
async def test_axe_finds_nothing_on_any_page(world: World, open_window: Opened, language: str, width: int) -> None:
    faults: list[str] = []
    for user, paths in ((await staffed(world), PAGES), (None, BEFORE_THE_DOOR)):
        window = await open_window(user, language=language, width=width, dark=language == "en")
        for path in paths:
            await window.open(path)
            faults += [f"{path}: {fault}" for fault in await window.faults()]
    assert not faults, "\n".join(faults)
