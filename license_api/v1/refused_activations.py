"""Installations that were refused on a key: the MSP sees who came, and lets it in with one request."""

from collections.abc import Sequence
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import Instant, KeyIdText, RefusalIdText, Said, SiteIdText
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, keys, partners, sites
from services.errors import Absent
from services.partners import IdempotencyKeyReused, PolicyOutOfBounds, Right, WrongPartner
from services.sites import Namesake, Refused

router = APIRouter(tags=["administration"], route_class=OnceRoute)


class NamesakeShown(Said):
    """Another site of the MSP whose Site Manager runs on a machine of the same hostname."""

    site_id: SiteIdText
    key_id: KeyIdText
    name: str


class RefusedShown(Said):
    """Who came and was refused; the same one again is the same refusal, with one more attempt."""

    id: RefusalIdText
    site_id: SiteIdText
    key_id: KeyIdText
    site: str
    code: str = Field(examples=["key_already_bound", "credential_mismatch", "seats_exhausted"])
    product: str
    installation_id: UUID
    hostname: str
    version: str
    address: str | None
    attempts: int
    first_at: Instant
    last_at: Instant
    holder: str | None = Field(description="The hostname of the Site Manager that holds the key.")
    namesakes: list[NamesakeShown]


class RefusedPage(Said):
    """A page of refusals, newest first."""

    items: list[RefusedShown]


class Hints(Said):
    """What the console suggests about a site."""

    namesakes: list[NamesakeShown] = Field(
        description="Known machines of the same hostname: was this one meant to be released there, not added here?"
    )


class Allowed(Said):
    """The key is held for that installation until `held_until_at`, or until it activates."""

    id: RefusalIdText
    held_until_at: Instant


@router.get(
    "/v1/refused-activations",
    operation_id="listRefusedActivations",
    summary="Installations that were refused on the MSP's keys",
    responses=described(*CALLER_REFUSALS),
)
async def list_refused(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> RefusedPage:
    """Those that are open, newest first. One leaves the list when it is allowed, dismissed, or has activated."""
    caller.require(Right.KEYS_READ)
    rows = await sites.refusals.refused_of(db, caller, after=cursor("refusal", after), limit=limit)
    link_next(request, response, rows, limit, lambda one: ids.show("refusal", one.row.id))
    same = await sites.namesakes(db, [_machine(one) for one in rows])
    return RefusedPage(items=[_shown(one, same[_machine(one)]) for one in rows])


@router.post(
    "/v1/sites/{site_id}/refused-activations/{refusal_id}/allow",
    operation_id="allowActivation",
    summary="Release what stands in the way, and let that installation in",
    dependencies=[Once],
    responses=described(Absent, IdempotencyKeyReused, PolicyOutOfBounds, WrongPartner, *CALLER_REFUSALS),
)
async def allow_activation(site_id: str, refusal_id: str, caller: Caller, db: Db, now: Now) -> Allowed:
    """The binding is released and the key held for this installation; a standalone gets one more seat.

    The old Site Manager goes on, and counts, until the new one has activated.
    """
    site = await _own(db, caller, site_id)
    refused = await sites.admission.allow(db, site, named("refusal", refusal_id), actor=caller.actor, now=now)
    shown = ids.show("refusal", refused.id)
    after = {"refusal": shown, "hostname": refused.hostname}
    await partners.note(db, caller, "activation.allowed", ids.show("key", refused.key_id), after=after, now=now)
    return Allowed(id=shown, held_until_at=(refused.allowed_at or now) + sites.refusals.HELD)


@router.delete(
    "/v1/sites/{site_id}/refused-activations/{refusal_id}",
    operation_id="dismissActivation",
    summary="Take a refusal off the list",
    status_code=204,
    responses=described(Absent, WrongPartner, *CALLER_REFUSALS),
)
async def dismiss_activation(site_id: str, refusal_id: str, caller: Caller, db: Db, now: Now) -> None:
    """One that tries again is on the list again."""
    site = await _own(db, caller, site_id)
    await sites.admission.dismiss(db, site, named("refusal", refusal_id))
    await partners.note(db, caller, "activation.dismissed", site_id, after={"refusal": refusal_id}, now=now)


@router.get(
    "/v1/sites/{site_id}/hints",
    operation_id="getSiteHints",
    summary="What is worth asking about a site",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_hints(site_id: str, caller: Caller, db: Db, now: Now) -> Hints:
    """A key on a machine that another site has already is often new hardware: the old key wanted a release."""
    caller.require(Right.SITES_READ)
    site = await sites.site_of(db, caller, named("site", site_id), now)
    if site.hostname is None:
        return Hints(namesakes=[])
    msp_id = (await keys.key_of_site(db, caller, site.site_id)).msp_id
    machine = (msp_id, site.hostname, site.site_id)
    return Hints(namesakes=_namesakes((await sites.namesakes(db, [machine]))[machine]))


async def _own(db: Db, caller: Caller, site_id: str) -> UUID:
    caller.require(Right.KEYS_WRITE)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    if key.msp_id != caller.msp_id:
        raise Absent
    return key.site_id


def _machine(one: Refused) -> tuple[UUID, str, UUID]:
    return one.msp_id, one.row.hostname, one.row.site_id


def _namesakes(found: Sequence[Namesake]) -> list[NamesakeShown]:
    return [
        NamesakeShown(site_id=ids.show("site", one.site_id), key_id=ids.show("key", one.key_id), name=one.name)
        for one in found
    ]


def _shown(one: Refused, same: Sequence[Namesake]) -> RefusedShown:
    row = one.row
    return RefusedShown(
        id=ids.show("refusal", row.id),
        site_id=ids.show("site", row.site_id),
        key_id=ids.show("key", row.key_id),
        site=one.name,
        code=row.code,
        product=row.product,
        installation_id=row.installation_id,
        hostname=row.hostname,
        version=row.version,
        address=row.address,
        attempts=row.attempts,
        first_at=row.first_at,
        last_at=row.last_at,
        holder=one.holder,
        namesakes=_namesakes(same),
    )
