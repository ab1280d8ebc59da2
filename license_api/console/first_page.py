"""The first page. Until there is one of what needs the person, it is the list of sites."""

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn
from services.partners import Right

router = APIRouter(route_class=PageRoute)


@router.get("/")
async def show_first_page(visit: SignedIn) -> Response:
    """Go on to the sites."""
    visit.require(Right.SITES_READ)
    return visit.go("/sites")
