"""What distributor and vendor decide of a figure: voids, disputes, excuses, adjustments, usage that came too late."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import (
    COUNT_MAX,
    Flag,
    Instant,
    InstantText,
    Message,
    MspIdText,
    Name,
    ReportIdText,
    Said,
    SiteIdText,
)
from license_api.v1.pages import After, Limit, cursor, link_next, named
from license_api.v1.wire import AgentCounts
from services import ids, partners, reports
from services.errors import Absent, Invalid
from services.partners import IdempotencyKeyReused, PartnerKind, Right, WrongPartner

router = APIRouter(tags=["reports"], route_class=OnceRoute)
_Signed = Annotated[int, Field(strict=True, ge=-COUNT_MAX, le=COUNT_MAX)]
_CREATES = (Absent, IdempotencyKeyReused, WrongPartner, *CALLER_REFUSALS)


class Decision(Message):
    """Whether it is granted, and why."""

    granted: Flag
    reason: Name


class Reason(Message):
    """Why."""

    reason: Name


class DecisionShown(Said):
    """Who decided what, and why."""

    by: str
    granted: bool
    reason: str
    decided_at: Instant


class AskedVoidShown(Said):
    """A void that an MSP asked for."""

    id: str
    site_id: SiteIdText
    msp_id: MspIdText
    from_at: Instant
    until_at: Instant
    reason: str
    asked_at: Instant
    decision: DecisionShown | None


class VoidPage(Said):
    """A page of voids."""

    items: list[AskedVoidShown]


class OpenedDisputeShown(Said):
    """A dispute of a report's line."""

    id: str
    report_id: ReportIdText
    site_id: SiteIdText
    msp_id: MspIdText
    claimed: AgentCounts
    reason: str
    standing: str
    opened_at: Instant
    answer_by: Instant
    decide_by: Instant
    answers: list[DecisionShown]


class DisputePage(Said):
    """A page of disputes."""

    items: list[OpenedDisputeShown]


class NewExcuse(Message):
    """A stretch of a site that is not to be charged: a trial, an own laboratory."""

    from_at: InstantText
    until_at: InstantText
    reason: Name


class ExclusionShown(Said):
    """What is shown and not charged: a granted `void`, an `excuse`, or the `withdrawal` of one."""

    id: str
    kind: str
    from_at: Instant
    until_at: Instant
    reason: str
    actor: str
    recorded_at: Instant
    withdraws: str | None


class Exclusions(Said):
    """What is excluded from what a site is charged, oldest first."""

    items: list[ExclusionShown]


class NewAdjustment(Message):
    """A signed change to what a line was charged, and why."""

    server: _Signed
    workstation: _Signed
    server_plus: _Signed
    reason: Name


class Quantities(Said):
    """A signed line that the next report of the MSP holds."""

    report_id: ReportIdText
    site_id: SiteIdText
    server: int
    workstation: int
    server_plus: int


@router.get(
    "/v1/voids", operation_id="listVoids", summary="Voids asked for", responses=described(Invalid, *CALLER_REFUSALS)
)
async def list_voids(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> VoidPage:
    """An MSP sees its own, a distributor those of its MSPs, the vendor all. Oldest first."""
    caller.require(Right.REPORTS_READ)
    rows = await reports.voids(db, caller, after=cursor("void", after), limit=limit)
    link_next(request, response, rows, limit, lambda one: ids.show("void", one.request.id))
    return VoidPage(items=[_void(one) for one in rows])


@router.post(
    "/v1/voids/{void_id}/decision",
    operation_id="decideVoid",
    summary="Grant or refuse a void (distributor)",
    status_code=201,
    dependencies=[Once],
    responses=described(reports.ClaimDecided, reports.PeriodClosed, *_CREATES),
)
async def decide_void(void_id: str, body: Decision, caller: Caller, db: Db, now: Now) -> AskedVoidShown:
    """Before the close only. Granted, the report shows both figures."""
    caller.require(Right.REPORTS_WRITE)
    distributor_id = caller.one_of(PartnerKind.DISTRIBUTOR)
    wanted = named("void", void_id)
    await reports.decide_void(
        db, distributor_id, wanted, granted=body.granted, reason=body.reason, actor=caller.actor, now=now
    )
    one = await reports.one_void(db, caller, wanted)
    after = body.model_dump()
    await partners.note(db, caller, "void.decided", void_id, after=after, msp_id=one.request.msp_id, now=now)
    return _void(one)


@router.get(
    "/v1/disputes", operation_id="listDisputes", summary="Disputes", responses=described(Invalid, *CALLER_REFUSALS)
)
async def list_disputes(
    caller: Caller, db: Db, now: Now, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> DisputePage:
    """An MSP sees its own, a distributor those of its MSPs, the vendor all. Oldest first."""
    caller.require(Right.REPORTS_READ)
    rows = await reports.disputes(db, caller, after=cursor("dispute", after), limit=limit)
    link_next(request, response, rows, limit, lambda one: ids.show("dispute", one.dispute.id))
    return DisputePage(items=[_dispute(one, now) for one in rows])


@router.post(
    "/v1/disputes/{dispute_id}/decision",
    operation_id="decideDispute",
    summary="Answer a dispute (distributor), or decide it (vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(reports.ClaimDecided, reports.DisputeTooLate, reports.NotYetForVendor, *_CREATES),
)
async def decide_dispute(dispute_id: str, body: Decision, caller: Caller, db: Db, now: Now) -> OpenedDisputeShown:
    """Granted, the line becomes what the MSP claimed: a signed line of its next report. Undecided, it stands."""
    caller.require(Right.REPORTS_WRITE)
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    one = await reports.one_dispute(db, caller, named("dispute", dispute_id))
    by: reports.By = "vendor" if caller.kind is PartnerKind.VENDOR else "distributor"
    await reports.decide_dispute(
        db, one.dispute, by, upheld=body.granted, reason=body.reason, actor=caller.actor, now=now
    )
    after = body.model_dump()
    await partners.note(db, caller, "dispute.decided", dispute_id, after=after, msp_id=one.dispute.msp_id, now=now)
    return _dispute(await reports.one_dispute(db, caller, one.dispute.id), now)


@router.get(
    "/v1/sites/{site_id}/exclusions",
    operation_id="listExclusions",
    summary="What is shown and not charged of a site",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def list_exclusions(site_id: str, caller: Caller, db: Db) -> Exclusions:
    """Excuses and granted voids, and what was withdrawn."""
    caller.require(Right.REPORTS_READ)
    rows = await reports.excuses_of(db, caller, named("site", site_id))
    return Exclusions(items=[_exclusion(row) for row in rows])


@router.post(
    "/v1/sites/{site_id}/excuses",
    operation_id="excuseSite",
    summary="Excuse a stretch of a site (distributor, vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(reports.PeriodSettled, *_CREATES),
)
async def post_excuse(site_id: str, body: NewExcuse, caller: Caller, db: Db, now: Now) -> ExclusionShown:
    """It is shown and not charged; what was charged for it already becomes a correction."""
    caller.require(Right.REPORTS_WRITE)
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    start, end = datetime.fromisoformat(body.from_at), datetime.fromisoformat(body.until_at)
    wanted = named("site", site_id)
    await reports.site_seen(db, caller, wanted, start=start, end=end)
    asked = reports.Stretch(wanted, start, end, body.reason)
    row = await reports.excuse(db, asked, actor=caller.actor, now=now)
    await partners.note(db, caller, "site.excused", site_id, after=body.model_dump(), now=now)
    return _exclusion(row)


@router.post(
    "/v1/sites/{site_id}/excuses/{excuse_id}/withdrawal",
    operation_id="withdrawExcuse",
    summary="Take an excuse back (distributor, vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(reports.ClaimDecided, reports.PeriodSettled, *_CREATES),
)
async def withdraw_excuse(
    site_id: str, excuse_id: str, body: Reason, caller: Caller, db: Db, now: Now
) -> ExclusionShown:
    """What was not charged for it becomes a correction."""
    caller.require(Right.REPORTS_WRITE)
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    wanted = named("excuse", excuse_id)
    seen = await reports.excuses_of(db, caller, named("site", site_id))
    if not any(row.id == wanted for row in seen):
        raise Absent
    row = await reports.withdraw_excuse(
        db, named("site", site_id), wanted, reason=body.reason, actor=caller.actor, now=now
    )
    await partners.note(db, caller, "site.excuse_withdrawn", site_id, after=body.model_dump(), now=now)
    return _exclusion(row)


@router.post(
    "/v1/reports/{report_id}/lines/{site_id}/adjustments",
    operation_id="adjustLine",
    summary="Adjust what a line was charged (distributor, vendor)",
    status_code=201,
    dependencies=[Once],
    responses=described(*_CREATES),
)
async def post_adjustment(
    report_id: str, site_id: str, body: NewAdjustment, caller: Caller, db: Db, now: Now
) -> Quantities:
    """A signed line of the MSP's next report, with reason and actor. No more is taken back than was charged."""
    caller.require(Right.REPORTS_WRITE)
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    line = await reports.line_of(db, caller, named("report", report_id), named("site", site_id))
    given = (body.server, body.workstation, body.server_plus)
    place = (line.distributor_id, line.site_id, line.starts_at)
    await reports.adjust(db, *place, given, reason=body.reason, actor=caller.actor, now=now)
    await partners.note(db, caller, "line.adjusted", report_id, after=body.model_dump(), msp_id=line.msp_id, now=now)
    return _quantities(report_id, site_id, given)


@router.post(
    "/v1/reports/{report_id}/lines/{site_id}/late-usage",
    operation_id="approveLateUsage",
    summary="Charge usage that came more than 35 days late (distributor)",
    status_code=201,
    dependencies=[Once],
    responses=described(reports.LateUsageOpen, *_CREATES),
)
async def post_late_usage(report_id: str, site_id: str, body: Reason, caller: Caller, db: Db, now: Now) -> Quantities:
    """Until it is approved it is evidence only. Gives what is charged with it: zeros, if nothing is."""
    caller.require(Right.REPORTS_WRITE)
    caller.one_of(PartnerKind.DISTRIBUTOR)
    line = await reports.line_of(db, caller, named("report", report_id), named("site", site_id))
    place = (line.distributor_id, line.site_id, line.starts_at)
    given = await reports.approve_late(db, *place, reason=body.reason, actor=caller.actor, now=now)
    await partners.note(db, caller, "line.late_usage", report_id, after=body.model_dump(), msp_id=line.msp_id, now=now)
    return _quantities(report_id, site_id, given)


def _void(one: reports.AskedVoid) -> AskedVoidShown:
    row, said = one.request, one.decision
    return AskedVoidShown(
        id=ids.show("void", row.id),
        site_id=ids.show("site", row.site_id),
        msp_id=ids.show("msp", row.msp_id),
        from_at=row.from_at,
        until_at=row.until_at,
        reason=row.reason,
        asked_at=row.asked_at,
        decision=DecisionShown(by="distributor", granted=said.granted, reason=said.reason, decided_at=said.decided_at)
        if said
        else None,
    )


def _dispute(one: reports.OpenedDispute, now: datetime) -> OpenedDisputeShown:
    row = one.dispute
    answer_by = row.opened_at + reports.ANSWER_WITHIN
    return OpenedDisputeShown(
        id=ids.show("dispute", row.id),
        report_id=ids.show("report", row.report_id),
        site_id=ids.show("site", row.site_id),
        msp_id=ids.show("msp", row.msp_id),
        claimed=AgentCounts(server=row.server, workstation=row.workstation, server_plus=row.server_plus),
        reason=row.reason,
        standing=reports.standing(row, one.answers, now),
        opened_at=row.opened_at,
        answer_by=answer_by,
        decide_by=answer_by + reports.DECIDE_WITHIN,
        answers=[
            DecisionShown(by=said.by, granted=said.upheld, reason=said.reason, decided_at=said.decided_at)
            for said in one.answers
        ],
    )


def _exclusion(row: reports.Exclusion) -> ExclusionShown:
    return ExclusionShown(
        id=ids.show("excuse", row.id),
        kind=row.kind,
        from_at=row.from_at,
        until_at=row.until_at,
        reason=row.reason,
        actor=row.actor,
        recorded_at=row.recorded_at,
        withdraws=ids.show("excuse", row.withdraws_id) if row.withdraws_id else None,
    )


def _quantities(report_id: str, site_id: str, given: tuple[int, int, int]) -> Quantities:
    server, workstation, server_plus = given
    return Quantities(
        report_id=report_id, site_id=site_id, server=server, workstation=workstation, server_plus=server_plus
    )
