"""Keys and sites of an MSP, for its programs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now, TheService
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import PRINTABLE, Instant, KeyIdText, Message, Name, Said, SiteIdText
from license_api.v1.pages import After, Limit, cursor, link_next, named
from license_api.v1.wire import AgentCounts
from services import ids, keys, partners, sites
from services.errors import Absent, BodyTooLarge, ChangedMeanwhile, Invalid
from services.keys import Key, KeyEvent, KeyNameTaken, KeyState
from services.partners import (
    FreshSignInNeeded,
    IdempotencyKeyReused,
    MspNotApproved,
    MspSuspended,
    PartnerKind,
    Right,
    WrongPartner,
)
from services.sites import Liveness, SiteView

router = APIRouter(tags=["keys"], route_class=OnceRoute)
site_router = APIRouter(tags=["sites"])


_State = Annotated[KeyState | None, Query(description="Only keys in this state.")]
_Liveness = Annotated[Liveness | None, Query(description="Only those whose site is doing so.")]
_Text = Annotated[
    str | None, Query(pattern=PRINTABLE, max_length=200, description="Only those whose name or reference holds this.")
]


class NewKey(Message):
    """One key for one Site Manager, by the customer's name."""

    name: Name
    reference: Name | None = None


class KeyRecord(Said):
    """What is on record of a key; its ETag is of this, which no heartbeat changes."""

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


class SilenceDates(Said):
    """When silence would have its effects, if nothing is heard from the site any more."""

    last_contact_at: Instant
    warn_at: Instant
    final_at: Instant
    disable_at: Instant


class KeyShown(KeyRecord):
    """A metered licence key. `code` is given once, when it is made; `silence` is null until its site was heard."""

    silence: SilenceDates | None


class KeyIssued(KeyShown):
    """A new key, with the code to type into the Site Manager."""

    code: str


class KeyChange(Message):
    """What of a key to change; what is left out stays."""

    name: Name | None = None
    reference: Name | None = None


class KeyCode(Said):
    """A key's code."""

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
    dependencies=[Once],
    responses=described(
        BodyTooLarge,
        IdempotencyKeyReused,
        Invalid,
        KeyNameTaken,
        MspNotApproved,
        MspSuspended,
        WrongPartner,
        *CALLER_REFUSALS,
    ),
)
async def create_key(body: NewKey, caller: Caller, db: Db, now: Now, made: TheService) -> KeyIssued:
    """The answer holds the code: hand it to whoever sets up the Site Manager."""
    caller.require(Right.KEYS_WRITE)
    issued = await keys.create(
        db,
        made.desk.vault,
        msp_id=caller.msp_id,
        name=body.name,
        reference=body.reference,
        actor=caller.actor,
        now=now,
    )
    shown = ids.show("key", issued.key.id)
    await partners.note(db, caller, "key.created", shown, after={"name": body.name}, now=now)
    return KeyIssued(**record_fields(issued.key), silence=None, code=issued.code)


@router.get(
    "/v1/keys",
    operation_id="listKeys",
    summary="The MSP's keys",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_keys(
    caller: Caller,
    db: Db,
    now: Now,
    request: Request,
    response: Response,
    state: _State = None,
    liveness: _Liveness = None,
    text: _Text = None,
    limit: Limit = 50,
    after: After = None,
) -> KeyPage:
    """In the order in which they were made."""
    caller.require(Right.KEYS_READ)
    page = cursor("key", after)
    if liveness is None:
        rows = await keys.visible_keys(db, caller, after=page, limit=limit, state=state, text=text)
    else:
        rows = await sites.keys_of_liveness(db, caller, now, liveness, after=page, limit=limit, state=state, text=text)
    link_next(request, response, rows, limit, lambda key: ids.show("key", key.id))
    return KeyPage(items=await keys_shown(db, rows, now))


@router.get(
    "/v1/keys/{key_id}",
    operation_id="getKey",
    summary="One key",
    responses=described(Absent, Invalid, *CALLER_REFUSALS),
)
async def get_key(key_id: str, caller: Caller, db: Db, now: Now, response: Response) -> KeyShown:
    """As it stands now, with an ETag for changes."""
    caller.require(Right.KEYS_READ)
    key = await keys.visible_key(db, caller, named("key", key_id))
    tag(response, KeyRecord(**record_fields(key)))
    return await key_shown(db, key, now)


@router.patch(
    "/v1/keys/{key_id}",
    operation_id="changeKey",
    summary="Change a key's name or reference",
    responses=described(Absent, ChangedMeanwhile, Invalid, KeyNameTaken, *CALLER_REFUSALS),
)
async def change_key(
    key_id: str, body: KeyChange, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> KeyShown:
    """Its history keeps the name that it had."""
    caller.require(Right.KEYS_WRITE)
    key = await keys.visible_key(db, caller, named("key", key_id), lock=True)
    match(if_match, KeyRecord(**record_fields(key)))
    before = {"name": key.name, "reference": key.reference}
    reference = body.reference if "reference" in body.model_fields_set else key.reference
    await keys.rename(db, key, name=body.name or key.name, reference=reference, now=now)
    after = {"name": key.name, "reference": key.reference}
    shown = ids.show("key", key.id)
    await partners.note(db, caller, "key.changed", shown, before=before, after=after, msp_id=key.msp_id, now=now)
    tag(response, KeyRecord(**record_fields(key)))
    return await key_shown(db, key, now)


@router.post(
    "/v1/keys/{key_id}/code",
    operation_id="showKeyCode",
    summary="Show a key's code again",
    responses=described(Absent, FreshSignInNeeded, WrongPartner, *CALLER_REFUSALS),
)
async def show_key_code(key_id: str, caller: Caller, db: Db, now: Now, made: TheService) -> KeyCode:
    """To an admin of the MSP, who finds it in the audit log. A POST, since it leaves a trace."""
    caller.require(Right.KEYS_ADMIN, grave=True)
    caller.one_of(PartnerKind.MSP)
    key = await keys.visible_key(db, caller, named("key", key_id))
    await partners.note(db, caller, "key.code_shown", ids.show("key", key.id), now=now)
    return KeyCode(code=keys.code_of(made.desk.vault, key))


@router.get(
    "/v1/keys/{key_id}/timeline",
    operation_id="getKeyTimeline",
    summary="What happened to a key",
    responses=described(Absent, Invalid, *CALLER_REFUSALS),
)
async def get_timeline(key_id: str, caller: Caller, db: Db) -> Timeline:
    """Each change of state: when, from, to, why, by whom."""
    caller.require(Right.KEYS_READ)
    key = await keys.visible_key(db, caller, named("key", key_id))
    return Timeline(items=[_event(event) for event in await keys.timeline(db, key)])


@site_router.get(
    "/v1/sites",
    operation_id="listSites",
    summary="The MSP's sites and how they are doing",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_sites(
    caller: Caller,
    db: Db,
    now: Now,
    request: Request,
    response: Response,
    state: _State = None,
    liveness: _Liveness = None,
    text: _Text = None,
    limit: Limit = 50,
    after: After = None,
) -> SitePage:
    """In the order in which their keys were made."""
    caller.require(Right.SITES_READ)
    page = cursor("site", after)
    rows = await sites.sites_of(db, caller, now, after=page, limit=limit, state=state, text=text, liveness=liveness)
    link_next(request, response, rows, limit, lambda site: ids.show("site", site.site_id))
    return SitePage(items=[_site(site) for site in rows])


@site_router.get(
    "/v1/sites/{site_id}",
    operation_id="getSite",
    summary="One site and how it is doing",
    responses=described(Absent, Invalid, *CALLER_REFUSALS),
)
async def get_site(site_id: str, caller: Caller, db: Db, now: Now) -> SiteShown:
    """Liveness is derived as it is read."""
    caller.require(Right.SITES_READ)
    return _site(await sites.site_of(db, caller, named("site", site_id), now))


async def key_shown(db: Db, key: Key, now: datetime) -> KeyShown:
    """Give a key as it is shown."""
    return (await keys_shown(db, [key], now))[0]


async def keys_shown(db: Db, rows: Sequence[Key], now: datetime) -> list[KeyShown]:
    """Give keys as they are shown, with the dated ladder of each."""
    dates = await sites.dates_of(db, rows, now)
    return [KeyShown(**record_fields(key), silence=_silence(dates.get(key.site_id))) for key in rows]


def _silence(dated: tuple[datetime, Any] | None) -> SilenceDates | None:
    return None if dated is None else SilenceDates(last_contact_at=dated[0], **dated[1]._asdict())


def record_fields(key: Key) -> dict[str, Any]:
    """Give the fields of `KeyRecord`."""
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
