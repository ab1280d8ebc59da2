"""Every page of reports and accounts as a person sees it, for each who may enter; axe finds nothing."""

import pytest

from services import ids
from services.partners import PartnerKind
from tests.console.conftest import Opened
from tests.support.browser import NARROW, WIDE
from tests.support.month_end import dispute, excused, month_end, someone, void, with_identity
from tests.support.world import World


async def pages_of_each(world: World) -> dict[PartnerKind, list[str]]:
    """The addresses that each kind of partner may open."""
    await with_identity(world)
    at = await month_end(world)
    case, asked, excuses = await dispute(world, at), await void(world, at.hotel), await excused(world, at.hotel)
    site, msp = ids.show("site", at.hotel.site_id), ids.show("msp", world.msp.id)
    silent = f"{at.report}/lines/{ids.show('site', at.studio.site_id)}"
    statement = f"/statements/{ids.show('statement', at.statement.id)}"
    month = f"/reports/this-month/{msp}"
    so_far = f"{month}/lines/{site}"
    shared = ["/reports", at.report, at.line, "/disputes", case]
    above = [
        *shared, month, f"{at.line}/adjust", excuses, "/statements", statement, f"{statement}/msps/{msp}",
        "/prices?q=adria",
    ]  # fmt: skip
    return {
        PartnerKind.MSP: [
            *shared, "/reports/this-month", so_far, f"{so_far}/void", "/voids", asked, f"{silent}/dispute", silent,
        ],
        PartnerKind.DISTRIBUTOR: [
            *above, "/voids?only=open", asked, f"{at.line}/late-usage", "/prices/new", f"/prices/new?msp={msp}",
        ],
        PartnerKind.VENDOR: above,
    }  # fmt: skip


@pytest.mark.parametrize(("language", "width"), [("it", WIDE), ("en", NARROW)])
async def test_axe_finds_nothing_on_any_page_of_accounts(
    world: World, open_window: Opened, language: str, width: int
) -> None:
    faults: list[str] = []
    for kind, pages in (await pages_of_each(world)).items():
        window = await open_window(await someone(world, kind), language=language, width=width, dark=width == NARROW)
        for path in pages:
            answer = await window.page.goto(path)
            if answer is None or answer.status != 200:
                faults.append(f"{kind} {path}: {answer and answer.status}")
            faults += [f"{kind} {path}: {fault}" for fault in await window.faults()]
    assert not faults, "\n".join(faults)
