"""Every page of reports and accounts as a person sees it, for each who may enter; axe finds nothing."""

import pytest

from services import ids
from services.partners import PartnerKind
from tests.console.conftest import Opened
from tests.support.browser import NARROW, WIDE
from tests.support.month_end import dispute, excused, month_end, someone, void, with_identity
from tests.support.world import World


async def pages_of_each(world: World) -> dict[PartnerKind, dict[str, str]]:
    """The addresses that each kind of partner may open, by a name for the picture."""
    await with_identity(world)
    at = await month_end(world)
    case, asked, excuses = await dispute(world, at), await void(world, at.hotel), await excused(world, at.hotel)
    site, msp = ids.show("site", at.hotel.site_id), ids.show("msp", world.msp.id)
    studio = f"{at.report}/lines/{ids.show('site', at.studio.site_id)}"
    statement = f"/statements/{ids.show('statement', at.statement.id)}"
    month = f"/reports/this-month/{msp}/lines/{site}"
    shared = {"reports": "/reports", "report": at.report, "line": at.line, "disputes": "/disputes", "dispute": case}
    above = {
        **shared, "month-of-msp": f"/reports/this-month/{msp}", "adjust": f"{at.line}/adjust", "excuses": excuses,
        "statements": "/statements", "statement": statement, "statement-msp": f"{statement}/msps/{msp}",
        "prices": "/prices?q=adria",
    }  # fmt: skip
    return {
        PartnerKind.MSP: {
            **shared, "this-month": "/reports/this-month", "line-so-far": month, "ask-void": f"{month}/void",
            "voids": "/voids", "void": asked, "claim": f"{studio}/dispute", "silent-line": studio,
        },
        PartnerKind.DISTRIBUTOR: {
            **above, "voids": "/voids?only=open", "void": asked, "late-usage": f"{at.line}/late-usage",
            "new-prices": "/prices/new", "prices-of-msp": f"/prices/new?msp={msp}",
        },
        PartnerKind.VENDOR: above,
    }  # fmt: skip


@pytest.mark.parametrize(("language", "width"), [("it", WIDE), ("en", NARROW)])
async def test_axe_finds_nothing_on_any_page_of_accounts(
    world: World, open_window: Opened, language: str, width: int
) -> None:
    faults: list[str] = []
    for kind, pages in (await pages_of_each(world)).items():
        window = await open_window(await someone(world, kind), language=language, width=width, dark=width == NARROW)
        for name, path in pages.items():
            answer = await window.page.goto(path)
            if answer is None or answer.status != 200:
                faults.append(f"{kind} {path}: {answer and answer.status}")
            faults += [f"{kind} {path}: {fault}" for fault in await window.faults()]
            await window.picture(f"{kind}-{name}")
    assert not faults, "\n".join(faults)
