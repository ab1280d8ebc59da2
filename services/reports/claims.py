"""What partners ask of a figure and what is decided: voids, excuses, disputes, adjustments. Rows, never changed.

No figure changes by itself: a void or an excuse takes a stretch out of what is charged, a decided dispute becomes an
adjustment, and an adjustment becomes a signed line of the next report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, partners
from services.errors import Absent, Invalid, Kind, Refusal
from services.ids import new_id
from services.keys import Key
from services.partners import VENDOR_ID, Principal
from services.reports.charging import ZERO
from services.reports.corrections import LATE_USAGE, charged_so_far, minus
from services.reports.counting import count_lines
from services.reports.document import TYPES
from services.reports.tables import (
    Adjustment,
    ClosedPeriod,
    Dispute,
    DisputeDecision,
    Exclusion,
    Report,
    ReportLine,
    VoidDecision,
    VoidRequest,
)
from services.reports.writing import period_of
from services.usage import Span, Three, period_at

DISPUTE_WITHIN = timedelta(days=10)
ANSWER_WITHIN = timedelta(days=10)
DECIDE_WITHIN = timedelta(days=20)
_REASON_MAX = 500

By = Literal["distributor", "vendor"]
Standing = Literal["open", "refused", "upheld", "stands"]


class PeriodClosed(Refusal):
    """This period is closed; dispute the line of its report instead."""

    kind = Kind.CONFLICT
    code = "period_closed"


class DisputeTooLate(Refusal):
    """The time for this is over; the reported figure stands."""

    kind = Kind.CONFLICT
    code = "dispute_too_late"


class AlreadyDisputed(Refusal):
    """This line is disputed already."""

    kind = Kind.CONFLICT
    code = "already_disputed"


class ClaimDecided(Refusal):
    """This was decided already."""

    kind = Kind.CONFLICT
    code = "claim_decided"


class NotYetForVendor(Refusal):
    """The distributor still has time to answer; the vendor decides after that."""

    kind = Kind.CONFLICT
    code = "not_yet_for_vendor"


class PeriodSettled(Refusal):
    """This period is settled: nothing is excused later than 35 days after its end. Decide an adjustment instead."""

    kind = Kind.CONFLICT
    code = "period_settled"


class LateUsageOpen(Refusal):
    """What comes within 35 days of the period's end is corrected by itself; approve what comes later."""

    kind = Kind.CONFLICT
    code = "late_usage_open"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a site that somebody wants out of what is charged, with the reason."""

    site_id: UUID
    from_at: datetime
    until_at: datetime
    reason: str


async def ask_void(db: AsyncSession, principal: Principal, asked: Stretch, now: datetime) -> VoidRequest:
    """Ask that a stretch reported by mistake is not charged; raises `PeriodClosed`, `Invalid`, `Absent`."""
    _check(asked)
    await _visible(db, principal, asked.site_id)
    distributor_id = await partners.distributor_of(db, principal.msp_id, now)
    await _check_open(db, distributor_id, asked.from_at)
    row = VoidRequest(
        site_id=asked.site_id,
        id=new_id(now),
        distributor_id=distributor_id,
        msp_id=principal.msp_id,
        from_at=asked.from_at,
        until_at=asked.until_at,
        reason=asked.reason,
        actor=principal.actor,
        asked_at=now,
    )
    db.add(row)
    _tell(db, "void.asked", ids.show("void", row.id), row, [distributor_id], now)
    await db.flush()
    return row


async def decide_void(
    db: AsyncSession,
    distributor_id: UUID,
    request_id: UUID,
    *,
    granted: bool,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Grant or refuse a void, before the close only; raises `PeriodClosed`, `ClaimDecided`, `Absent`."""
    row = await db.scalar(
        select(VoidRequest)
        .where(VoidRequest.id == request_id, VoidRequest.distributor_id == distributor_id)
        .with_for_update()
    )
    if row is None:
        raise Absent
    await _check_open(db, distributor_id, row.from_at)
    if await db.get(VoidDecision, (row.site_id, row.id)) is not None:
        raise ClaimDecided
    decided = {"reason": reason, "actor": actor}
    db.add(VoidDecision(site_id=row.site_id, request_id=row.id, granted=granted, decided_at=now, **decided))
    if granted:
        stretch = Stretch(row.site_id, row.from_at, row.until_at, row.reason)
        db.add(_exclusion("void", stretch, actor, now))
    _tell(db, "void.decided", ids.show("void", row.id), row, [row.msp_id], now)
    await db.flush()


async def excuse(db: AsyncSession, asked: Stretch, *, actor: str, now: datetime) -> Exclusion:
    """Excuse a stretch of a site (a trial, an own laboratory); what was charged for it becomes a correction.

    Raises `PeriodSettled`, `Invalid`.
    """
    _check(asked)
    await _check_unsettled(db, asked, now)
    row = _exclusion("excuse", asked, actor, now)
    db.add(row)
    await db.flush()
    return row


async def withdraw_excuse(
    db: AsyncSession, site_id: UUID, excuse_id: UUID, *, reason: str, actor: str, now: datetime
) -> Exclusion:
    """Take an excuse back; raises `ClaimDecided` if it was, `PeriodSettled`, `Absent`."""
    row = await db.get(Exclusion, (site_id, excuse_id))
    if row is None or row.kind != "excuse":
        raise Absent
    if await db.scalar(select(Exclusion.id).where(Exclusion.site_id == site_id, Exclusion.withdraws_id == excuse_id)):
        raise ClaimDecided
    stretch = Stretch(site_id, row.from_at, row.until_at, reason)
    await _check_unsettled(db, stretch, now)
    withdrawal = _exclusion("withdrawal", stretch, actor, now)
    withdrawal.withdraws_id = excuse_id
    db.add(withdrawal)
    await db.flush()
    return withdrawal


async def adjust(
    db: AsyncSession,
    distributor_id: UUID,
    site_id: UUID,
    starts_at: datetime,
    quantities: Three,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Decide a signed change to what a site was charged for a closed period; the next report holds it as a line.

    Raises `Invalid` for one that changes nothing or takes back more than was charged, `Absent`.
    """
    line = await _line(db, site_id, distributor_id, starts_at)
    if quantities == ZERO:
        raise Invalid("This changes nothing.")
    so_far = await _so_far(db, line)
    for number, name in enumerate(TYPES):
        if so_far[number] + quantities[number] < 0:
            raise Invalid(f"No more than {so_far[number]} can be taken back.", pointer=f"/{name}")
    db.add(_adjustment(line, quantities, reason, actor, now))
    await db.flush()


async def approve_late(
    db: AsyncSession,
    distributor_id: UUID,
    site_id: UUID,
    starts_at: datetime,
    *,
    reason: str,
    actor: str,
    now: datetime,
) -> Three:
    """Charge what came after the 35 days and was not approved before; gives the adjustment.

    Raises `LateUsageOpen`, `Absent`.
    """
    line = await _line(db, site_id, distributor_id, starts_at)
    closed = await db.get_one(ClosedPeriod, (distributor_id, starts_at))
    accepted_until = closed.ends_at + LATE_USAGE
    if now < accepted_until:
        raise LateUsageOpen
    approved = select(func.max(Adjustment.late_through_at)).where(*_adjustments_of(line))
    known = await _charged_as_of(db, line, closed, await db.scalar(approved) or accepted_until, now)
    delta = minus(await _charged_as_of(db, line, closed, now, now), known)
    if delta != ZERO:
        row = _adjustment(line, delta, reason, actor, now)
        row.late_through_at = now
        db.add(row)
        await db.flush()
    return delta


async def dispute(
    db: AsyncSession,
    principal: Principal,
    report_id: UUID,
    site_id: UUID,
    claimed: Three,
    *,
    reason: str,
    now: datetime,
) -> Dispute:
    """Dispute one line of an issued report, saying what is held to be right; raises `DisputeTooLate`, `Absent`."""
    # The report is the lock: its lines are append-only for whoever is let in here.
    report = await db.get(Report, report_id, with_for_update=True)
    if report is None or report.msp_id != principal.msp_id or report.issued_at is None:
        raise Absent
    line = await db.get(ReportLine, (site_id, report.distributor_id, report.starts_at))
    if line is None or line.msp_id != principal.msp_id:
        raise Absent
    if now >= report.issued_at + DISPUTE_WITHIN:
        raise DisputeTooLate
    if await db.scalar(select(Dispute.id).where(Dispute.site_id == site_id, Dispute.report_id == report_id)):
        raise AlreadyDisputed
    row = Dispute(
        site_id=site_id,
        id=new_id(now),
        report_id=report_id,
        distributor_id=report.distributor_id,
        msp_id=report.msp_id,
        starts_at=report.starts_at,
        server=claimed[0],
        workstation=claimed[1],
        server_plus=claimed[2],
        reason=reason,
        actor=principal.actor,
        opened_at=now,
    )
    db.add(row)
    _tell(db, "dispute.opened", ids.show("dispute", row.id), row, [row.distributor_id, VENDOR_ID], now)
    await db.flush()
    return row


async def decide_dispute(
    db: AsyncSession, row: Dispute, by: By, *, upheld: bool, reason: str, actor: str, now: datetime
) -> None:
    """Answer as the distributor, or decide as the vendor; upheld, it becomes an adjustment to what was claimed.

    Raises `DisputeTooLate`, `ClaimDecided`, `NotYetForVendor`.
    """
    await db.get_one(Report, row.report_id, with_for_update=True)
    line = await db.get_one(ReportLine, (row.site_id, row.distributor_id, row.starts_at))
    answers = await decisions(db, row)
    _check_turn(row, answers, by, now)
    db.add(
        DisputeDecision(
            site_id=row.site_id, dispute_id=row.id, by=by, upheld=upheld, reason=reason, actor=actor, decided_at=now
        )
    )
    if upheld:
        delta = minus((row.server, row.workstation, row.server_plus), await _so_far(db, line))
        if delta != ZERO:
            db.add(_adjustment(line, delta, reason, actor, now))
    told = [row.msp_id, VENDOR_ID if by == "distributor" else row.distributor_id]
    _tell(db, "dispute.decided", ids.show("dispute", row.id), row, told, now)
    await db.flush()


def standing(row: Dispute, answers: Sequence[DisputeDecision], now: datetime) -> Standing:
    """Tell how a dispute stands: undecided in time, the reported figure stands."""
    if any(one.upheld for one in answers):
        return "upheld"
    if any(one.by == "vendor" for one in answers) or now >= row.opened_at + ANSWER_WITHIN + DECIDE_WITHIN:
        return "stands"
    return "refused" if answers else "open"


async def decisions(db: AsyncSession, row: Dispute) -> Sequence[DisputeDecision]:
    """Give what was said to a dispute, in order."""
    found = await db.scalars(
        select(DisputeDecision)
        .where(DisputeDecision.site_id == row.site_id, DisputeDecision.dispute_id == row.id)
        .order_by(DisputeDecision.decided_at)
    )
    return found.all()


def _tell(
    db: AsyncSession,
    kind: delivery.EventKind,
    shown: str,
    row: VoidRequest | Dispute,
    partner_ids: Sequence[UUID],
    now: datetime,
) -> None:
    subject = {kind.partition(".")[0]: shown, "site": ids.show("site", row.site_id)}
    for partner_id in partner_ids:
        delivery.emit(db, partner_id=partner_id, kind=kind, subject=subject, now=now)


def _check_turn(row: Dispute, answers: Sequence[DisputeDecision], by: By, now: datetime) -> None:
    if any(one.by in (by, "vendor") or one.upheld for one in answers):
        raise ClaimDecided
    answer_by = row.opened_at + ANSWER_WITHIN
    if by == "distributor" and now >= answer_by:
        raise DisputeTooLate
    if by == "vendor" and not answers and now < answer_by:
        raise NotYetForVendor
    if by == "vendor" and now >= answer_by + DECIDE_WITHIN:
        raise DisputeTooLate


def _check(asked: Stretch) -> None:
    if asked.until_at <= asked.from_at:
        raise Invalid("The stretch must end after it begins.", pointer="/until")
    if not asked.reason.strip() or len(asked.reason) > _REASON_MAX:
        raise Invalid(f"A reason of 1 to {_REASON_MAX} characters is needed.", pointer="/reason")


async def _visible(db: AsyncSession, principal: Principal, site_id: UUID) -> None:
    seen = select(Key.site_id).where(Key.site_id == site_id, partners.visible_to(principal, Key.site_id))
    if await db.scalar(seen.limit(1)) is None:
        raise Absent


async def _check_open(db: AsyncSession, distributor_id: UUID, at: datetime) -> None:
    closed = exists().where(ClosedPeriod.distributor_id == distributor_id, ClosedPeriod.ends_at > at)
    if await db.scalar(select(closed)):
        raise PeriodClosed


async def _check_unsettled(db: AsyncSession, asked: Stretch, now: datetime) -> None:
    """Refuse a stretch in which a period begins that no correction reaches any more."""
    msp_id = await db.scalar(select(Key.msp_id).where(Key.site_id == asked.site_id).limit(1))
    if msp_id is None:
        raise Absent
    zones = await partners.zones_of(db, await partners.distributor_of(db, msp_id, now))
    if period_at(zones, asked.from_at).ends_at + LATE_USAGE <= now:
        raise PeriodSettled


async def _line(db: AsyncSession, site_id: UUID, distributor_id: UUID, starts_at: datetime) -> ReportLine:
    """Give a line of a closed period, locked by its report: what is decided of one is decided in turn."""
    line = await db.get(ReportLine, (site_id, distributor_id, starts_at))
    if line is None:
        raise Absent
    own = (Report.distributor_id == distributor_id, Report.starts_at == starts_at, Report.msp_id == line.msp_id)
    await db.execute(select(Report.id).where(*own).with_for_update())
    return line


async def _charged_as_of(
    db: AsyncSession, line: ReportLine, closed: ClosedPeriod, cut_off_at: datetime, now: datetime
) -> Three:
    """Give what a line would be charged by what had come until an instant, as excused until now."""
    span = Span(closed.starts_at, closed.ends_at, cut_off_at, closed.distributor_id)
    [counted] = await count_lines(
        db, line.msp_id, line.distributor_id, period_of(closed), span, [line],
        terms_at=closed.cut_off_at, decided_by=now,
    )  # fmt: skip
    return counted.charged


def _adjustments_of(line: ReportLine) -> tuple[ColumnElement[bool], ...]:
    return (
        Adjustment.site_id == line.site_id,
        Adjustment.distributor_id == line.distributor_id,
        Adjustment.starts_at == line.starts_at,
    )


async def _so_far(db: AsyncSession, line: ReportLine) -> Three:
    """Give what was charged, with the adjustments that are decided and not yet in a report."""
    key = ([line.site_id], line.distributor_id, line.starts_at)
    so_far = (await charged_so_far(db, *key, adjusted=False)).get(line.site_id, ZERO)
    for row in await db.scalars(select(Adjustment).where(*_adjustments_of(line))):
        so_far = minus(so_far, (-row.server, -row.workstation, -row.server_plus))
    return so_far


def _exclusion(kind: str, asked: Stretch, actor: str, now: datetime) -> Exclusion:
    return Exclusion(
        site_id=asked.site_id,
        id=new_id(now),
        kind=kind,
        from_at=asked.from_at,
        until_at=asked.until_at,
        reason=asked.reason,
        actor=actor,
        recorded_at=now,
    )


def _adjustment(line: ReportLine, quantities: Three, reason: str, actor: str, now: datetime) -> Adjustment:
    return Adjustment(
        site_id=line.site_id,
        id=new_id(now),
        distributor_id=line.distributor_id,
        msp_id=line.msp_id,
        starts_at=line.starts_at,
        server=quantities[0],
        workstation=quantities[1],
        server_plus=quantities[2],
        reason=reason,
        actor=actor,
        decided_at=now,
        late_through_at=None,
    )
