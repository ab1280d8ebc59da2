"""What the breaker holds: sites that the sweep would disable, too many at once. The Partner Team lets go by MSP."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.asking import Ask, ask, do
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.pages import named
from services import ids, partners, sites
from services.partners import Msp, PartnerKind, Right

router = APIRouter(prefix="/held", route_class=PageRoute)


@router.get("")
async def list_held(visit: SignedIn) -> Response:
    """By MSP, most first."""
    _vendor(visit, Right.SITES_READ)
    rows = await sites.breaker.held(visit.db)
    return visit.page("held/list.html", rows=rows, load=await sites.breaker.load(visit.db, visit.now))


@router.get("/{msp_id}/release")
async def ask_release(msp_id: str, visit: SignedIn) -> Response:
    """Say what is disabled then."""
    _vendor(visit, Right.KEYS_ADMIN)
    return ask(visit, _release(await _msp(visit, msp_id)))


@router.post("/{msp_id}/release")
async def release(msp_id: str, visit: SignedIn) -> Response:
    """At the sweep's next turn."""
    _vendor(visit, Right.KEYS_ADMIN)
    msp = await _msp(visit, msp_id)
    said = N_("Let go: the next sweep disables them, unless they are heard before.")
    return await do(visit, _release(msp), Right.KEYS_ADMIN, _let_go(visit, msp.id), said)


def _vendor(visit: Signed, right: Right) -> None:
    visit.require(right)
    visit.principal.one_of(PartnerKind.VENDOR)


async def _msp(visit: Signed, msp_id: str) -> Msp:
    return await partners.one_msp(visit.db, visit.principal, named("msp", msp_id))


async def _let_go(visit: Signed, msp_id: UUID) -> None:
    count = await sites.breaker.release(visit.db, msp_id, visit.now)
    shown, after = ids.show("msp", msp_id), {"sites": count}
    await partners.note(visit.db, visit.principal, "sweep.released", shown, after=after, msp_id=msp_id, now=visit.now)


def _release(msp: Msp) -> Ask:
    return Ask(
        title=N_("Let the sweep go on"),
        label=N_("Let it go on"),
        back="/held",
        about=msp.name,
        consequences=(
            N_("The sites of this MSP that are silent past their day are disabled: no new agents, no new backups."),
            N_("Restores never stop, and a site that is heard again is enabled at once."),
        ),
    )
