"""Corrections: what is true now of earlier periods, minus everything issued, corrected and adjusted so far.

They are found when the next period is closed, for sites of which something came late, was excused or was decided.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.ids import new_id
from services.reports.charging import ZERO, Counted
from services.reports.counting import count_lines
from services.reports.tables import Adjustment, Charge, ClosedPeriod, Exclusion, ReportLine
from services.reports.writing import period_of
from services.usage import ContactGap, Span, Three

LATE_USAGE = timedelta(days=35)
"""How long after a period's end usage of it is accepted; what comes later is evidence."""


async def find_corrections(
    db: AsyncSession, distributor_id: UUID, before: datetime, cut_off_at: datetime
) -> list[Charge]:
    """Give the corrections of a distributor's periods that began before an instant, without the report they go to."""
    found = await _adjustments(db, distributor_id, cut_off_at)
    closed = await db.scalars(
        select(ClosedPeriod)
        .where(
            ClosedPeriod.distributor_id == distributor_id,
            ClosedPeriod.starts_at < before,
            # One whole period more: an excuse, too, may be set as long as the last correction is open.
            ClosedPeriod.ends_at + LATE_USAGE > cut_off_at - LATE_USAGE,
        )
        .order_by(ClosedPeriod.starts_at)
    )
    for period in closed.all():
        found += await _of_period(db, period, cut_off_at)
    return found


async def charged_so_far(
    db: AsyncSession, site_ids: Sequence[UUID], distributor_id: UUID, starts_at: datetime, *, adjusted: bool
) -> dict[UUID, Three]:
    """Give the sums of what was charged for some sites and a period; `adjusted` takes the adjustments in."""
    sums = (func.sum(Charge.server), func.sum(Charge.workstation), func.sum(Charge.server_plus))
    query = (
        select(Charge.site_id, *sums)
        .where(Charge.site_id.in_(site_ids), Charge.distributor_id == distributor_id, Charge.starts_at == starts_at)
        .group_by(Charge.site_id)
    )
    if not adjusted:
        query = query.where(Charge.origin != "adjustment")
    return {site_id: (one, two, three) for site_id, one, two, three in await db.execute(query)}


async def _of_period(db: AsyncSession, closed: ClosedPeriod, cut_off_at: datetime) -> list[Charge]:
    span = Span(closed.starts_at, closed.ends_at, min(cut_off_at, closed.ends_at + LATE_USAGE), closed.distributor_id)
    rows: dict[UUID, list[ReportLine]] = defaultdict(list)
    for row in await _to_look_at(db, closed, cut_off_at):
        rows[row.msp_id].append(row)
    found = []
    for msp_id, lines in rows.items():
        counted = await count_lines(
            db,
            msp_id,
            closed.distributor_id,
            period_of(closed),
            span,
            lines,
            terms_at=closed.cut_off_at,
            decided_by=cut_off_at,
        )
        found += await _signed(db, closed, counted, cut_off_at)
    return found


async def _to_look_at(db: AsyncSession, closed: ClosedPeriod, cut_off_at: datetime) -> Sequence[ReportLine]:
    """Give the lines of written reports whose figures may not be what they were."""
    gap = exists().where(
        ContactGap.site_id == ReportLine.site_id,
        ContactGap.until_at > closed.cut_off_at,
        ContactGap.until_at <= cut_off_at,
    )
    excluded = exists().where(
        Exclusion.site_id == ReportLine.site_id,
        Exclusion.recorded_at >= closed.cut_off_at,
        Exclusion.recorded_at <= cut_off_at,
    )
    charged = exists().where(
        Charge.site_id == ReportLine.site_id,
        Charge.distributor_id == ReportLine.distributor_id,
        Charge.starts_at == ReportLine.starts_at,
        Charge.origin == "report",
    )
    rows = await db.scalars(
        select(ReportLine)
        .where(
            ReportLine.distributor_id == closed.distributor_id,
            ReportLine.starts_at == closed.starts_at,
            or_(gap, excluded),
            charged,
        )
        .order_by(ReportLine.msp_id, ReportLine.name, ReportLine.site_id)
    )
    return rows.all()


async def _signed(
    db: AsyncSession, closed: ClosedPeriod, counted: Sequence[Counted], cut_off_at: datetime
) -> list[Charge]:
    sites = [one.row.site_id for one in counted]
    so_far = await charged_so_far(db, sites, closed.distributor_id, closed.starts_at, adjusted=False)
    estimated = set(
        await db.scalars(
            select(Charge.site_id).where(
                Charge.site_id.in_(sites),
                Charge.distributor_id == closed.distributor_id,
                Charge.starts_at == closed.starts_at,
                Charge.reason == "estimate",
            )
        )
    )
    found = []
    for one in counted:
        delta = minus(one.charged, so_far.get(one.row.site_id, ZERO))
        if delta != ZERO:
            found.append(_charge(closed, one, delta, cut_off_at, estimated=one.row.site_id in estimated))
    return found


def minus(one: Three, other: Three) -> Three:
    """Subtract type by type."""
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def _charge(closed: ClosedPeriod, one: Counted, delta: Three, now: datetime, *, estimated: bool) -> Charge:
    origin, reason, actor = "estimate_replaced" if estimated else "late_usage", None, None
    excuses = [out for out in one.excluded if out.kind == "excuse"]
    if excuses and min(delta) < 0:
        origin, reason, actor = "excused", excuses[-1].reason, excuses[-1].actor
    return Charge(
        site_id=one.row.site_id,
        id=new_id(now),
        distributor_id=closed.distributor_id,
        msp_id=one.row.msp_id,
        starts_at=closed.starts_at,
        origin=origin,
        server=delta[0],
        workstation=delta[1],
        server_plus=delta[2],
        reason=reason,
        actor=actor,
    )


async def _adjustments(db: AsyncSession, distributor_id: UUID, cut_off_at: datetime) -> list[Charge]:
    """Give the decided adjustments that no report holds yet."""
    held = exists().where(Charge.site_id == Adjustment.site_id, Charge.adjustment_id == Adjustment.id)
    rows = await db.scalars(
        select(Adjustment)
        .where(Adjustment.distributor_id == distributor_id, Adjustment.decided_at <= cut_off_at, ~held)
        .order_by(Adjustment.decided_at, Adjustment.id)
    )
    return [
        Charge(
            site_id=row.site_id,
            id=new_id(cut_off_at),
            distributor_id=row.distributor_id,
            msp_id=row.msp_id,
            starts_at=row.starts_at,
            origin="adjustment",
            server=row.server,
            workstation=row.workstation,
            server_plus=row.server_plus,
            reason=row.reason,
            actor=row.actor,
            adjustment_id=row.id,
        )
        for row in rows
    ]
