"""Sites: the list, with what one looks for in it."""

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.route import PageRoute
from license_api.console.visit import SignedIn
from license_api.v1.pages import cursor
from services import ids, sites
from services.keys import KeyState
from services.partners import Right
from services.sites import Liveness

router = APIRouter(route_class=PageRoute)
_ROWS = 50


@router.get("/sites")
async def list_sites(
    visit: SignedIn, q: str = "", liveness: str = "", state: str = "", after: str | None = None
) -> Response:
    """A page of sites."""
    visit.require(Right.SITES_READ)
    rows = await sites.sites_of(
        visit.db,
        visit.principal,
        visit.now,
        after=cursor("site", after or None),
        limit=_ROWS,
        state=KeyState(state) if state in set(KeyState) else None,
        text=q.replace("\x00", "")[:200] or None,
        liveness=Liveness(liveness) if liveness in set(Liveness) else None,
    )
    last = ids.show("site", rows[-1].site_id) if len(rows) == _ROWS else None
    values = {"livenesses": list(Liveness), "states": list(KeyState)}
    return visit.page(
        "sites/list.html", rows=rows, q=q, liveness=liveness, state_asked=state, after=after, last=last, **values
    )
