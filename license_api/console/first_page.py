"""The first page: what needs the visitor, the worst first; the fleet in figures; and what happened since yesterday."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.happenings import HAPPENINGS, Happening
from license_api.console.language import N_
from license_api.console.needs import fleet_of, needs_of
from license_api.console.route import PageRoute
from license_api.console.subjects import About, abouts
from license_api.console.visit import Signed, SignedIn
from license_api.v1.pages import named
from services import delivery, ids, keys, sites
from services.delivery import Event
from services.errors import Absent
from services.partners import Right

router = APIRouter(route_class=PageRoute)
_LATELY = timedelta(hours=24)
_EVENTS_MAX = 30


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened, and to what."""

    event: Event
    shown: Happening
    about: About | None


@router.get("/")
async def show_first_page(visit: SignedIn) -> Response:
    """What needs the visitor."""
    visit.require(Right.SITES_READ)
    return visit.page(
        "first_page/first_page.html",
        needs=await needs_of(visit),
        fleet=await fleet_of(visit),
        lately=await _lately(visit),
    )


@router.post("/sites/{site_id}/refused-activations/{refusal_id}/allow")
async def allow(visit: SignedIn, site_id: str, refusal_id: str) -> Response:
    """Release what stands in the way, and let that installation in: with one click."""
    site, refusal = await _own(visit, site_id, refusal_id)
    db, actor = visit.db, visit.principal.actor
    refused = await visit.attempt(sites.admission.allow(db, site, refusal, actor=actor, now=visit.now))
    if refused is None:
        return await show_first_page(visit)
    await visit.note("activation.allowed", ids.show("key", refused.key_id), hostname=refused.hostname)
    return visit.go("/", N_("The key is free for that machine now: it activates with its next try, within minutes."))


@router.post("/sites/{site_id}/refused-activations/{refusal_id}/dismiss")
async def dismiss(visit: SignedIn, site_id: str, refusal_id: str) -> Response:
    """Take a refusal off the list."""
    site, refusal = await _own(visit, site_id, refusal_id)
    await sites.admission.dismiss(visit.db, site, refusal)
    await visit.note("activation.dismissed", site_id, refusal=refusal_id)
    return visit.go("/", N_("It is off the list. If that machine tries again it will be back."))


async def _own(visit: Signed, site_id: str, refusal_id: str) -> tuple[UUID, UUID]:
    """Give a refusal of a site that is the visitor's own now; raises `Absent`."""
    visit.require(Right.KEYS_WRITE)
    key = await keys.key_of_site(visit.db, visit.principal, named("site", site_id))
    if key.msp_id != visit.principal.msp_id:
        raise Absent
    return key.site_id, named("refusal", refusal_id)


async def _lately(visit: Signed) -> Sequence[Happened]:
    """Give what happened within the last day, newest first."""
    since, own = visit.now - _LATELY, visit.principal.partner_id
    events = await delivery.latest_events(visit.db, own, since=since, limit=_EVENTS_MAX)
    events = [event for event in events if event.kind in HAPPENINGS]
    told = zip(events, await abouts(visit, events), strict=True)
    return [Happened(event, HAPPENINGS[event.kind], about) for event, about in told]
