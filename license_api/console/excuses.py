"""Excuses: stretches of a site that are shown and not charged, like a trial or the MSP's own laboratory."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console import once
from license_api.console.disputes import Answer
from license_api.console.flags import people
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.console.voids import stretch_of
from license_api.v1.pages import named
from services import ids, keys, partners, reports
from services.errors import Absent
from services.partners import PartnerKind, Right

router = APIRouter(prefix="/excuses/{site_id}", route_class=PageRoute)
_ABOVE = (PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)


@router.get("")
async def show_excuses(site_id: str, visit: SignedIn) -> Response:
    """What of a site is not charged, and the form for more."""
    visit.require(Right.REPORTS_READ)
    return await _page(visit, site_id)


@router.post("")
async def excuse(site_id: str, visit: SignedIn) -> Response:
    """Excuse a stretch; what was charged for it becomes a correction."""
    visit.require(Right.REPORTS_WRITE)
    visit.principal.one_of(*_ABOVE)
    asked = stretch_of(visit, named("site", site_id))
    said = N_("The stretch is excused: what was charged for it becomes a correction.")
    if asked is not None:
        await once.attempt(visit, _excuse(visit, asked))
    if visit.form.right:
        return visit.go(f"/excuses/{site_id}", said)
    return await _page(visit, site_id)


@router.get("/{excuse_id}")
async def show_withdrawal(site_id: str, excuse_id: str, visit: SignedIn) -> Response:
    """The form that takes an excuse back, and what follows from it."""
    visit.require(Right.REPORTS_WRITE)
    return await _withdrawal_page(visit, site_id, excuse_id)


@router.post("/{excuse_id}")
async def withdraw(site_id: str, excuse_id: str, visit: SignedIn) -> Response:
    """Take an excuse back."""
    visit.require(Right.REPORTS_WRITE)
    given = visit.form.read(Answer)
    if given is not None:
        row = await _one(visit, site_id, excuse_id)
        await visit.attempt(_withdraw(visit, row.site_id, row.id, given.reason))
    if visit.form.right:
        return visit.go(
            f"/excuses/{site_id}", N_("The excuse is taken back: what was not charged becomes a correction.")
        )
    return await _withdrawal_page(visit, site_id, excuse_id)


async def _excuse(visit: Signed, asked: reports.Stretch) -> None:
    await reports.site_seen(visit.db, visit.principal, asked.site_id, start=asked.from_at, end=asked.until_at)
    await reports.excuse(visit.db, asked, actor=visit.principal.actor, now=visit.now)
    after = {"from_at": asked.from_at.isoformat(), "until_at": asked.until_at.isoformat(), "reason": asked.reason}
    shown = ids.show("site", asked.site_id)
    await partners.note(visit.db, visit.principal, "site.excused", shown, after=after, now=visit.now)


async def _withdraw(visit: Signed, site_id: UUID, excuse_id: UUID, reason: str) -> None:
    actor, shown = visit.principal.actor, ids.show("site", site_id)
    await reports.withdraw_excuse(visit.db, site_id, excuse_id, reason=reason, actor=actor, now=visit.now)
    await partners.note(
        visit.db, visit.principal, "site.excuse_withdrawn", shown, after={"reason": reason}, now=visit.now
    )


async def _one(visit: Signed, site_id: str, excuse_id: str) -> reports.Exclusion:
    visit.principal.one_of(*_ABOVE)
    wanted = named("excuse", excuse_id)
    rows = await reports.excuses_of(visit.db, visit.principal, named("site", site_id))
    row = next((row for row in rows if row.id == wanted and row.kind == "excuse"), None)
    if row is None:
        raise Absent
    return row


async def _page(visit: Signed, site_id: str) -> Response:
    rows = await reports.excuses_of(visit.db, visit.principal, named("site", site_id))
    key = await keys.key_of_site(visit.db, visit.principal, named("site", site_id))
    withdrawn = {row.withdraws_id for row in rows if row.withdraws_id is not None}
    may = visit.principal.kind in _ABOVE and visit.may(Right.REPORTS_WRITE)
    return visit.page(
        "excuses/list.html", rows=rows, withdrawn=withdrawn, key=key, site_id=site_id, may=may,
        who=await people(visit, [row.actor for row in rows]),
        once=once.name(),
    )  # fmt: skip


async def _withdrawal_page(visit: Signed, site_id: str, excuse_id: str) -> Response:
    row = await _one(visit, site_id, excuse_id)
    return visit.page("excuses/withdraw.html", row=row, site_id=site_id, excuse_id=excuse_id)
