"""What an MSP asks of its reports: the evidence of a line, a dispute, a void of a peak reported by mistake."""

from datetime import datetime

from fastapi import APIRouter

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.noted import noted
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import Count, Instant, InstantText, Message, Name, Said, Sha256Hex
from license_api.v1.pages import named
from license_api.v1.wire import AgentCounts
from services import ids, reports
from services.errors import Absent, BodyTooLarge
from services.partners import IdempotencyKeyReused, Right, WrongPartner

_ACTS = {"disputeLine": "line.disputed", "askVoid": "void.asked"}
router = APIRouter(tags=["reports"], route_class=OnceRoute, dependencies=[noted(_ACTS)])


class EntryShown(Said):
    """One entry of the ledger. `sent` is the canonical JSON that the receipts run over, as the site sent it."""

    installation_id: str
    line: int
    n: int
    at: Instant
    received_at: Instant
    clock_suspect: bool
    sent: str
    receipt: Sha256Hex
    made_the_peak: bool


class PeakEvidenceShown(Said):
    """One peak, and the entries around the changes that made it."""

    type: str
    peak: int
    peak_at: Instant
    active: int | None
    entries: list[EntryShown]


class RaisedFlagShown(Said):
    """A flag of the line that a finding raised. No figure changes by it."""

    flag: str
    since: Instant
    detail: str


class Evidence(Said):
    """The evidence of a report's line."""

    items: list[PeakEvidenceShown]
    flags: list[RaisedFlagShown]


class NewDispute(Message):
    """A line that is held to be wrong: the quantities that would be right, and why."""

    server: Count
    workstation: Count
    server_plus: Count
    reason: Name


class DisputeShown(Said):
    """A dispute. The distributor answers, else the vendor decides; undecided by `decide_by`, the line stands."""

    id: str
    opened_at: Instant
    answer_by: Instant
    decide_by: Instant
    claimed: AgentCounts
    reason: str
    standing: str


class NewVoid(Message):
    """A stretch that was reported by mistake; asked for before the period is closed."""

    from_at: InstantText
    until_at: InstantText
    reason: Name


class VoidShown(Said):
    """A void that was asked for; the distributor decides."""

    id: str
    asked_at: Instant


@router.get(
    "/v1/reports/{report_id}/lines/{site_id}/evidence",
    operation_id="getLineEvidence",
    summary="Why a line says what it says",
    responses=described(Absent, WrongPartner, *CALLER_REFUSALS),
)
async def get_evidence(report_id: str, site_id: str, caller: Caller, db: Db) -> Evidence:
    """For each peak the change that made it, with those around it and their receipts."""
    caller.require(Right.REPORTS_READ)
    found = await reports.evidence_of(db, caller, named("report", report_id), named("site", site_id))
    flags = [RaisedFlagShown(flag=one.flag, since=one.since, detail=one.detail) for one in found.flags]
    return Evidence(items=[_peak(one) for one in found.peaks], flags=flags)


@router.post(
    "/v1/reports/{report_id}/lines/{site_id}/dispute",
    operation_id="disputeLine",
    summary="Dispute a line of an issued report",
    status_code=201,
    dependencies=[Once],
    responses=described(
        IdempotencyKeyReused,
        Absent,
        BodyTooLarge,
        WrongPartner,
        reports.AlreadyDisputed,
        reports.DisputeTooLate,
        *CALLER_REFUSALS,
    ),
)
async def post_dispute(
    report_id: str, site_id: str, body: NewDispute, caller: Caller, db: Db, now: Now
) -> DisputeShown:
    """Within ten days of issue. That line alone stands apart on the statement until it is decided."""
    caller.require(Right.REPORTS_WRITE)
    claimed = (body.server, body.workstation, body.server_plus)
    row = await reports.dispute(
        db, caller, named("report", report_id), named("site", site_id), claimed, reason=body.reason, now=now
    )
    answer_by = row.opened_at + reports.ANSWER_WITHIN
    return DisputeShown(
        id=ids.show("dispute", row.id),
        opened_at=row.opened_at,
        answer_by=answer_by,
        decide_by=answer_by + reports.DECIDE_WITHIN,
        claimed=AgentCounts(server=row.server, workstation=row.workstation, server_plus=row.server_plus),
        reason=row.reason,
        standing=reports.standing(row, [], now),
    )


@router.post(
    "/v1/sites/{site_id}/voids",
    operation_id="askVoid",
    summary="Ask that a peak reported by mistake is not charged",
    status_code=201,
    dependencies=[Once],
    responses=described(
        IdempotencyKeyReused, Absent, BodyTooLarge, WrongPartner, reports.PeriodClosed, *CALLER_REFUSALS
    ),
)
async def post_void(site_id: str, body: NewVoid, caller: Caller, db: Db, now: Now) -> VoidShown:
    """Before the close only. The distributor grants or refuses it; granted, the report shows both figures."""
    caller.require(Right.REPORTS_WRITE)
    stretch = reports.Stretch(
        site_id=named("site", site_id),
        from_at=datetime.fromisoformat(body.from_at),
        until_at=datetime.fromisoformat(body.until_at),
        reason=body.reason,
    )
    row = await reports.ask_void(db, caller, stretch, now)
    return VoidShown(id=ids.show("void", row.id), asked_at=row.asked_at)


def _peak(one: reports.PeakEvidence) -> PeakEvidenceShown:
    return PeakEvidenceShown(
        type=one.type,
        peak=one.peak,
        peak_at=one.peak_at,
        active=one.active,
        entries=[
            EntryShown(
                installation_id=str(entry.installation_id),
                line=entry.line,
                n=entry.n,
                at=entry.at,
                received_at=entry.received_at,
                clock_suspect=entry.clock_suspect,
                sent=entry.sent,
                receipt=entry.receipt.hex(),
                made_the_peak=entry.made_the_peak,
            )
            for entry in one.entries
        ],
    )
