"""The first page: what needs the person, worst first, and below it the fleet in figures."""

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn
from services.partners import Right

router = APIRouter(route_class=PageRoute)


@router.get("/")
async def show_first_page(visit: SignedIn) -> Response:
    """What needs you."""
    visit.require(Right.SITES_READ)
    return visit.page("first_page/first_page.html")
