"""How the backups stand, as sites tell it in their heartbeats: the worst first."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from license_api.deps import CALLER_REFUSALS, Caller, Db
from license_api.problems import described
from license_api.v1.fields import Instant, KeyIdText, Said, SiteIdText
from license_api.v1.pages import Limit, link_next, named
from license_api.v1.wire import Backups
from services import ids, keys, sites
from services.errors import Absent, Invalid
from services.partners import Right
from services.sites import Place, Trouble

router = APIRouter(tags=["administration"])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TroubleShown(Said):
    """A site some of whose backups want looking at, and since when. It is what the site told last, `told_at`."""

    site_id: SiteIdText
    key_id: KeyIdText
    name: str
    reference: str | None
    backups: Backups
    told_at: Instant
    failed_since_at: Instant | None
    overdue_since_at: Instant | None


class Troubles(Said):
    """A page of sites."""

    items: list[TroubleShown]


class SummaryShown(Said):
    """What one installation told last of its backups."""

    installation_id: UUID
    backups: Backups
    told_at: Instant
    failed_since_at: Instant | None
    overdue_since_at: Instant | None


class Summaries(Said):
    """The installations of a site that have told."""

    items: list[SummaryShown]


@router.get(
    "/v1/backups/troubles",
    operation_id="listBackupTroubles",
    summary="Which backups failed, are overdue or warned, the worst first",
    responses=described(*CALLER_REFUSALS),
)
async def list_troubles(
    caller: Caller,
    db: Db,
    request: Request,
    response: Response,
    limit: Limit = 50,
    after: Annotated[str | None, Query(max_length=100, description="As the Link header has it.")] = None,
) -> Troubles:
    """Failed before overdue before warned, the longest first; sites whose backups are all in order are not listed."""
    caller.require(Right.SITES_READ)
    rows = await sites.backups.troubles_of(db, caller, after=_read_place(after), limit=limit)
    link_next(request, response, rows, limit, lambda one: _show_place(one.place))
    return Troubles(items=[_trouble(one) for one in rows])


@router.get(
    "/v1/sites/{site_id}/backups",
    operation_id="getSiteBackups",
    summary="How a site's backups stand",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_backups(site_id: str, caller: Caller, db: Db) -> Summaries:
    """By installation: the Site Manager, and standalones on its key."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    return Summaries(
        items=[
            SummaryShown(
                installation_id=row.installation_id,
                backups=Backups(ok=row.ok, warning=row.warning, failed=row.failed, overdue=row.overdue),
                told_at=row.told_at,
                failed_since_at=row.failed_since_at,
                overdue_since_at=row.overdue_since_at,
            )
            for row in await sites.backups.backups_of(db, caller, key.site_id)
        ]
    )


def _trouble(one: Trouble) -> TroubleShown:
    return TroubleShown(
        site_id=ids.show("site", one.place.site_id),
        key_id=ids.show("key", one.key_id),
        name=one.name,
        reference=one.reference,
        backups=Backups(**one.backups._asdict()),
        told_at=one.told_at,
        failed_since_at=one.failed_since_at,
        overdue_since_at=one.overdue_since_at,
    )


def _show_place(place: Place) -> str:
    micros = (place.since_at - _EPOCH) // timedelta(microseconds=1)
    return f"{place.worst}.{micros}.{ids.show('site', place.site_id)}"


def _read_place(after: str | None) -> Place | None:
    if after is None:
        return None
    worst, _, rest = after.partition(".")
    micros, _, site = rest.partition(".")
    site_id = ids.read("site", site)
    if worst not in ("0", "1", "2") or not (micros.isascii() and micros.isdigit()) or len(micros) > 16 or not site_id:
        raise Invalid(pointer="/query/after")
    return Place(int(worst), _EPOCH + timedelta(microseconds=int(micros)), site_id)
