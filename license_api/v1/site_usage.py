"""A site's usage: each change as it was reported, and each day's peaks."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.problems import described
from license_api.v1.fields import Instant, InstantText, Said
from license_api.v1.pages import named
from services import keys, partners, usage
from services.errors import Absent, Invalid
from services.partners import Right

router = APIRouter(tags=["sites"])
_CHANGES_MAX = 1000
_DAYS_MAX = 31


class ChangeShown(Said):
    """From `at` on, so many agents were deployed."""

    at: Instant
    installation_id: str
    line: int
    n: int
    server: int | None
    workstation: int | None
    server_plus: int | None
    clock_suspect: bool


class Changes(Said):
    """The changes of a site, oldest first; if `more`, ask again from the last one's instant."""

    items: list[ChangeShown]
    more: bool


class PeakShown(Said):
    """The highest number of a type, and the first instant at which it was reached."""

    peak: int
    at: Instant


class Day(Said):
    """One day in the distributor's zone; a type without a peak is not known."""

    day: date
    peaks: dict[str, PeakShown]


class Days(Said):
    """A site's days."""

    zone: str
    items: list[Day]


@router.get(
    "/v1/sites/{site_id}/changes",
    operation_id="listSiteChanges",
    summary="A site's usage, change by change",
    responses=described(Absent, Invalid, *CALLER_REFUSALS),
)
async def list_changes(
    site_id: str,
    caller: Caller,
    db: Db,
    now: Now,
    start: Annotated[InstantText | None, Query(alias="from", description="Default: 31 days ago.")] = None,
    until: Annotated[InstantText | None, Query(description="Default: now.")] = None,
) -> Changes:
    """In `[from, until)`; a thousand at most."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    end = datetime.fromisoformat(until) if until else now
    begin = datetime.fromisoformat(start) if start else end - timedelta(days=_DAYS_MAX)
    rows = await usage.changes_of(
        db, caller, key.site_id, start=begin.astimezone(UTC), end=end.astimezone(UTC), limit=_CHANGES_MAX + 1
    )
    shown = [_change(row) for row in rows[:_CHANGES_MAX]]
    return Changes(items=shown, more=len(rows) > _CHANGES_MAX)


@router.get(
    "/v1/sites/{site_id}/days",
    operation_id="listSiteDays",
    summary="A site's usage, day by day",
    responses=described(Absent, Invalid, *CALLER_REFUSALS),
)
async def list_days(
    site_id: str,
    caller: Caller,
    db: Db,
    now: Now,
    first: Annotated[date, Query(description="The first day.", examples=["2026-11-01"])],
    last: Annotated[date, Query(description="The last day, at most 31 days on.", examples=["2026-11-30"])],
) -> Days:
    """The days are those of the distributor's zone, as the months are."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    if not 0 <= (last - first).days < _DAYS_MAX:
        raise Invalid("Ask for 1 to 31 days.", pointer="/query/last")
    zone = partners.zone_at(await partners.zones_of(db, await partners.distributor_of(db, key.msp_id, now)), now)
    days = await usage.days_of(db, key.site_id, key.msp_id, zone=zone, first=first, last=last, now=now)
    return Days(zone=zone, items=[_day(day) for day in days])


def _change(row: usage.UsageEntry) -> ChangeShown:
    names = (name for name in ChangeShown.model_fields if name != "installation_id")
    return ChangeShown(installation_id=str(row.installation_id), **{name: getattr(row, name) for name in names})


def _day(day: usage.DayPeaks) -> Day:
    peaks = {name: PeakShown(peak=peak, at=at) for name, (peak, at) in day.peaks.items()}
    return Day(day=day.day, peaks=peaks)
