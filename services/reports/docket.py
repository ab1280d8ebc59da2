"""The docket: what was asked and what was decided, as each partner of the chain sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent
from services.keys import Key
from services.partners import PartnerKind, Principal
from services.reports.claims import ANSWER_WITHIN, DECIDE_WITHIN, decisions
from services.reports.tables import Dispute, DisputeDecision, Exclusion, Report, ReportLine, VoidDecision, VoidRequest

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class AskedVoid:
    """A void that was asked for, and what the distributor said."""

    request: VoidRequest
    decision: VoidDecision | None


@dataclass(frozen=True, slots=True)
class OpenedDispute:
    """A dispute, and what was said to it."""

    dispute: Dispute
    answers: Sequence[DisputeDecision]


async def voids(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> list[AskedVoid]:
    """Give a page of the voids that were asked for, oldest first."""
    own = partners.visible_chain(caller, VoidRequest.msp_id, VoidRequest.distributor_id)
    query = select(VoidRequest).where(own).order_by(VoidRequest.id).limit(limit)
    rows = (await db.scalars(query if after is None else query.where(VoidRequest.id > after))).all()
    return [AskedVoid(row, await db.get(VoidDecision, (row.site_id, row.id))) for row in rows]


async def one_void(db: AsyncSession, caller: Principal, void_id: UUID) -> AskedVoid:
    """Give one; raises `Absent` also for a stranger's."""
    own = partners.visible_chain(caller, VoidRequest.msp_id, VoidRequest.distributor_id)
    row = await db.scalar(select(VoidRequest).where(VoidRequest.id == void_id, own))
    if row is None:
        raise Absent
    return AskedVoid(row, await db.get(VoidDecision, (row.site_id, row.id)))


async def disputes(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> list[OpenedDispute]:
    """Give a page of the disputes, oldest first."""
    query = _disputes(caller).order_by(Dispute.id).limit(limit)
    rows = (await db.scalars(query if after is None else query.where(Dispute.id > after))).all()
    return [OpenedDispute(row, await decisions(db, row)) for row in rows]


async def waiting_disputes(db: AsyncSession, caller: Principal, now: datetime, *, limit: int) -> Sequence[Dispute]:
    """Give the disputes that wait for the caller: for the distributor's answer, then for the vendor's word.

    Undecided in time the reported figure stands, so what is over waits for nobody.
    """
    answered = exists().where(DisputeDecision.site_id == Dispute.site_id, DisputeDecision.dispute_id == Dispute.id)
    if caller.kind is PartnerKind.DISTRIBUTOR:
        waits = and_(~answered, Dispute.opened_at > now - ANSWER_WITHIN)
    elif caller.kind is PartnerKind.VENDOR:
        settled = answered.where(or_(DisputeDecision.upheld, DisputeDecision.by == "vendor"))
        due = or_(answered, Dispute.opened_at <= now - ANSWER_WITHIN)
        waits = and_(due, ~settled, Dispute.opened_at > now - ANSWER_WITHIN - DECIDE_WITHIN)
    else:
        return []
    return (await db.scalars(_disputes(caller).where(waits).order_by(Dispute.id).limit(limit))).all()


async def one_dispute(db: AsyncSession, caller: Principal, dispute_id: UUID) -> OpenedDispute:
    """Give one; raises `Absent` also for a stranger's."""
    row = await db.scalar(_disputes(caller).where(Dispute.id == dispute_id))
    if row is None:
        raise Absent
    return OpenedDispute(row, await decisions(db, row))


async def excuses_of(db: AsyncSession, caller: Principal, site_id: UUID) -> Sequence[Exclusion]:
    """Give what is excused or voided of a site in the caller's own interval, and what was withdrawn; oldest first."""
    await site_seen(db, caller, site_id)
    own = partners.seen_by(caller, Exclusion.site_id, Exclusion.from_at)
    rows = await db.scalars(select(Exclusion).where(Exclusion.site_id == site_id, own).order_by(Exclusion.id))
    return rows.all()


async def site_seen(
    db: AsyncSession, caller: Principal, site_id: UUID, *, start: datetime | None = None, end: datetime | None = None
) -> None:
    """Raise `Absent` unless the site is the caller's: now, or in all of `[start, end)`."""
    own = [partners.visible_to(caller, Key.site_id)]
    if start is not None and end is not None:
        own = [partners.seen_by(caller, Key.site_id, at) for at in (start, end - _INSTANT)]
    if await db.scalar(select(Key.site_id).where(Key.site_id == site_id, *own).limit(1)) is None:
        raise Absent


async def line_of(db: AsyncSession, caller: Principal, report_id: UUID, site_id: UUID) -> ReportLine:
    """Give a line of an issued report; raises `Absent` also for a stranger's."""
    own = partners.visible_chain(caller, Report.msp_id, Report.distributor_id)
    period = (ReportLine.distributor_id == Report.distributor_id) & (ReportLine.starts_at == Report.starts_at)
    line = await db.scalar(
        select(ReportLine)
        .join(Report, period & (ReportLine.msp_id == Report.msp_id))
        .where(Report.id == report_id, Report.issued_at.is_not(None), ReportLine.site_id == site_id, own)
    )
    if line is None:
        raise Absent
    return line


def _disputes(caller: Principal) -> Select[Dispute]:
    return select(Dispute).where(partners.visible_chain(caller, Dispute.msp_id, Dispute.distributor_id))
