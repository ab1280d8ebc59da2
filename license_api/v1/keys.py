"""Keys and sites of an MSP, for its programs."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from license_api.deps import Caller, Db, Now, TheService
from license_api.problems import described
from license_api.v1.fields import Instant, KeyIdText, Message, Name, Said, SiteIdText
from license_api.v1.pages import After, Limit, cursor, link_next, named
from license_api.v1.wire import AgentCounts
from services import ids, keys, sites
from services.errors import Absent, BodyTooLarge, Invalid, Unauthenticated
from services.keys import Key, KeyEvent, KeyNameTaken, KeyState
from services.partners import MspNotApproved, MspSuspended
from services.sites import Liveness, SiteView

router = APIRouter(tags=["keys"])
site_router = APIRouter(tags=["sites"])


class NewKey(Message):
    """One key for one Site Manager, by the customer's name."""

    name: Name
    reference: Name | None = None


class KeyShown(Said):
    """A metered licence key. `code` is given once, when it is made."""

    id: KeyIdText
    site_id: SiteIdText
    name: str
    reference: str | None
    state: KeyState
    reason: str | None
    key: str
    created_at: Instant
    activated_at: Instant | None
    disabled_at: Instant | None
    snoozed_until_at: Instant | None


class KeyIssued(KeyShown):
    """A new key, with the code to type into the Site Manager."""

    code: str


class KeyPage(Said):
    """A page of keys."""

    items: list[KeyShown]


class TimelineEntry(Said):
    """One change of a key's state."""

    at: Instant
    recorded_at: Instant
    event: str
    from_state: KeyState | None
    to_state: KeyState
    reason: str | None
    actor: str


class Timeline(Said):
    """What happened to a key, oldest first."""

    items: list[TimelineEntry]


class SiteShown(Said):
    """A site as it stands now; the dates are those at which silence would have its effects."""

    id: SiteIdText
    key_id: KeyIdText
    name: str
    reference: str | None
    state: KeyState
    liveness: Liveness
    last_contact_at: Instant | None
    hostname: str | None
    version: str | None
    deployed: AgentCounts | None
    known_until_at: Instant | None
    warn_at: Instant | None
    final_at: Instant | None
    disable_at: Instant | None
    snoozed_until_at: Instant | None
    held: bool = Field(description="Not disabled although silent too long: so many are that it may be our own fault.")
    flags: list[str]


class SitePage(Said):
    """A page of sites."""

    items: list[SiteShown]


@router.post(
    "/v1/keys",
    operation_id="createKey",
    summary="Make a key for a customer's Site Manager",
    status_code=201,
    responses=described(BodyTooLarge, Invalid, KeyNameTaken, MspNotApproved, MspSuspended, Unauthenticated),
)
async def createkey_fields(body: NewKey, caller: Caller, db: Db, now: Now, made: TheService) -> KeyIssued:
    """The answer holds the code: hand it to whoever sets up the Site Manager."""
    issued = await keys.create(
        db,
        made.desk.vault,
        msp_id=caller.msp_id,
        name=body.name,
        reference=body.reference,
        actor=caller.actor,
        now=now,
    )
    return KeyIssued(**key_fields(issued.key), code=issued.code)


@router.get(
    "/v1/keys",
    operation_id="listKeys",
    summary="The MSP's keys",
    responses=described(Invalid, Unauthenticated),
)
async def list_keys(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> KeyPage:
    """In the order in which they were made."""
    rows = await keys.visible_keys(db, caller, after=cursor("key", after), limit=limit)
    link_next(request, response, rows, limit, lambda key: ids.show("key", key.id))
    return KeyPage(items=[KeyShown(**key_fields(key)) for key in rows])


@router.get(
    "/v1/keys/{key_id}",
    operation_id="getKey",
    summary="One key",
    responses=described(Absent, Invalid, Unauthenticated),
)
async def getkey_fields(key_id: str, caller: Caller, db: Db) -> KeyShown:
    """As it stands now."""
    return KeyShown(**key_fields(await keys.visible_key(db, caller, named("key", key_id))))


@router.get(
    "/v1/keys/{key_id}/timeline",
    operation_id="getKeyTimeline",
    summary="What happened to a key",
    responses=described(Absent, Invalid, Unauthenticated),
)
async def get_timeline(key_id: str, caller: Caller, db: Db) -> Timeline:
    """Each change of state: when, from, to, why, by whom."""
    key = await keys.visible_key(db, caller, named("key", key_id))
    return Timeline(items=[_event(event) for event in await keys.timeline(db, key)])


@site_router.get(
    "/v1/sites",
    operation_id="listSites",
    summary="The MSP's sites and how they are doing",
    responses=described(Invalid, Unauthenticated),
)
async def list_sites(
    caller: Caller, db: Db, now: Now, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> SitePage:
    """In the order in which their keys were made."""
    rows = await sites.sites_of(db, caller, now, after=cursor("site", after), limit=limit)
    link_next(request, response, rows, limit, lambda site: ids.show("site", site.site_id))
    return SitePage(items=[_site(site) for site in rows])


@site_router.get(
    "/v1/sites/{site_id}",
    operation_id="getSite",
    summary="One site and how it is doing",
    responses=described(Absent, Invalid, Unauthenticated),
)
async def get_site(site_id: str, caller: Caller, db: Db, now: Now) -> SiteShown:
    """Liveness is derived as it is read."""
    return _site(await sites.site_of(db, caller, named("site", site_id), now))


def key_fields(key: Key) -> dict[str, Any]:
    """Give the fields of `KeyShown`."""
    return {
        "id": ids.show("key", key.id),
        "site_id": ids.show("site", key.site_id),
        "name": key.name,
        "reference": key.reference,
        "state": key.state,
        "reason": key.told_reason,
        "key": key.code_masked,
        "created_at": key.created_at,
        "activated_at": key.activated_at,
        "disabled_at": key.disabled_at,
        "snoozed_until_at": key.snoozed_until_at,
    }


def _event(event: KeyEvent) -> TimelineEntry:
    return TimelineEntry(
        at=event.at,
        recorded_at=event.recorded_at,
        event=event.event,
        from_state=KeyState(event.from_state) if event.from_state else None,
        to_state=KeyState(event.to_state),
        reason=event.reason,
        actor=event.actor,
    )


def _site(site: SiteView) -> SiteShown:
    return SiteShown(
        id=ids.show("site", site.site_id),
        key_id=ids.show("key", site.key_id),
        name=site.name,
        reference=site.reference,
        state=site.state,
        liveness=site.liveness,
        last_contact_at=site.last_contact_at,
        hostname=site.hostname,
        version=site.version,
        deployed=AgentCounts(**site.deployed._asdict()) if site.deployed else None,
        known_until_at=site.known_until_at,
        warn_at=site.warn_at,
        final_at=site.final_at,
        disable_at=site.disable_at,
        snoozed_until_at=site.snoozed_until_at,
        held=site.held,
        flags=list(site.flags),
    )
