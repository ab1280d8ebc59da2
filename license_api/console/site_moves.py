"""Moves: sites on their way to another MSP, and those that are offered to this one."""

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.pages import named
from services import ids, partners, sites
from services.partners import Right

router = APIRouter(prefix="/moves", route_class=PageRoute)


@router.get("")
async def list_moves(visit: SignedIn) -> Response:
    """Those under way, from and to the MSP, oldest first."""
    visit.require(Right.KEYS_READ)
    msp_id = visit.principal.msp_id
    return visit.page("moves/list.html", moves=await moves(visit), msp_id=msp_id, own=ids.show("msp", msp_id))


@router.get("/{move_id}/accept")
async def show_offer(visit: SignedIn, move_id: str) -> Response:
    """What follows when a site is accepted."""
    visit.require(Right.KEYS_ADMIN)
    return visit.page("moves/accept.html", one=await _offered(visit, move_id))


@router.post("/{move_id}/accept")
async def accept(visit: SignedIn, move_id: str) -> Response:
    """Accept a site that is offered."""
    visit.require(Right.KEYS_ADMIN)
    one = await _offered(visit, move_id)
    if not await visit.confirmed(Right.KEYS_ADMIN):
        return visit.page("moves/accept.html", one=one)
    await partners.unguarded(visit.db)
    await sites.moves.accept(visit.db, one.move, actor=visit.principal.actor, now=visit.now)
    await visit.note("move.accepted", move_id)
    return visit.go("/moves", N_("It is accepted: the site is yours from the start of the next period on."))


async def moves(visit: Signed) -> list[sites.moves.Offered]:
    """Give the MSP's moves; of a site that is not its own yet it sees the name, and no more."""
    msp_id = visit.principal.msp_id
    await partners.unguarded(visit.db)
    found = await sites.moves.moves_of(visit.db, msp_id)
    await partners.guard(visit.db, visit.principal)
    return found


async def _offered(visit: Signed, move_id: str) -> sites.moves.Offered:
    msp_id = visit.principal.msp_id
    await partners.unguarded(visit.db)
    move = await sites.moves.move_offered_to(visit.db, msp_id, named("move", move_id))
    one = await sites.moves.offered(visit.db, move)
    await partners.guard(visit.db, visit.principal)
    return one
