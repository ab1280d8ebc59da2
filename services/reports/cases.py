"""Cases: disputes and voids with what they are about, newest first, as those who open and decide them go through them.

Every function asks as often for fifty cases as for one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.errors import Absent
from services.keys import Key
from services.partners import Msp, Principal
from services.reports.claims import ANSWER_WITHIN, DECIDE_WITHIN, Standing, standing
from services.reports.tables import (
    Charge,
    ClosedPeriod,
    Dispute,
    DisputeDecision,
    Report,
    ReportLine,
    VoidDecision,
    VoidRequest,
)
from services.usage import Three


@dataclass(frozen=True, slots=True)
class DisputeCase:
    """A dispute, the line that it is about, and its course."""

    row: Dispute
    answers: Sequence[DisputeDecision]
    standing: Standing
    site: str
    msp: str
    month: str
    number: str
    charged: Three

    @property
    def claimed(self) -> Three:
        """What the MSP holds to be right."""
        return self.row.server, self.row.workstation, self.row.server_plus

    @property
    def answer_by(self) -> datetime:
        """Until when the distributor may answer."""
        return self.row.opened_at + ANSWER_WITHIN

    @property
    def decide_by(self) -> datetime:
        """Until when the vendor may decide; then the reported figure stands."""
        return self.answer_by + DECIDE_WITHIN

    @property
    def pending(self) -> bool:
        """Whether it is not decided yet."""
        return self.standing in ("open", "refused")


@dataclass(frozen=True, slots=True)
class VoidCase:
    """A void that was asked for, and what the distributor said. `late`: its period was closed without a word."""

    row: VoidRequest
    decision: VoidDecision | None
    site: str
    msp: str
    late: bool

    @property
    def standing(self) -> str:
        """How it stands: asked, granted, refused, or too late."""
        if self.decision is not None:
            return "granted" if self.decision.granted else "refused"
        return "too_late" if self.late else "asked"


async def dispute_cases(
    db: AsyncSession,
    caller: Principal,
    now: datetime,
    *,
    after: UUID | None = None,
    limit: int,
    only_pending: bool = False,
    report_id: UUID | None = None,
    site_id: UUID | None = None,
) -> list[DisputeCase]:
    """Give a page of the caller's disputes, newest first: all, those to decide, or those of one report or line."""
    query = _disputes(caller).order_by(Dispute.id.desc()).limit(limit)
    if after is not None:
        query = query.where(Dispute.id < after)
    if report_id is not None:
        query = query.where(Dispute.report_id == report_id)
    if site_id is not None:
        query = query.where(Dispute.site_id == site_id)
    return await _cases(db, query.where(pending(now)) if only_pending else query, now)


async def dispute_case(db: AsyncSession, caller: Principal, dispute_id: UUID, now: datetime) -> DisputeCase:
    """Give one; raises `Absent` also for a stranger's."""
    found = await _cases(db, _disputes(caller).where(Dispute.id == dispute_id), now)
    if not found:
        raise Absent
    return found[0]


async def void_cases(
    db: AsyncSession,
    caller: Principal,
    *,
    after: UUID | None = None,
    limit: int,
    only_pending: bool = False,
    site_id: UUID | None = None,
) -> list[VoidCase]:
    """Give a page of the voids that were asked for, newest first: all, those to decide, or those of one site."""
    query = _voids(caller).order_by(VoidRequest.id.desc()).limit(limit)
    if after is not None:
        query = query.where(VoidRequest.id < after)
    if site_id is not None:
        query = query.where(VoidRequest.site_id == site_id)
    if only_pending:
        query = query.where(VoidDecision.site_id.is_(None), ~_closed())
    return [_void(*row) for row in await db.execute(query)]


async def void_case(db: AsyncSession, caller: Principal, void_id: UUID) -> VoidCase:
    """Give one; raises `Absent` also for a stranger's."""
    found = (await db.execute(_voids(caller).where(VoidRequest.id == void_id))).first()
    if found is None:
        raise Absent
    return _void(*found)


def _disputes(caller: Principal) -> Select[*tuple[Any, ...]]:
    own = partners.visible_chain(caller, Dispute.msp_id, Dispute.distributor_id)
    at_place = (
        (ReportLine.site_id == Dispute.site_id)
        & (ReportLine.distributor_id == Dispute.distributor_id)
        & (ReportLine.starts_at == Dispute.starts_at)
    )
    period = (ClosedPeriod.distributor_id == Dispute.distributor_id) & (ClosedPeriod.starts_at == Dispute.starts_at)
    charged = (
        (Charge.site_id == Dispute.site_id) & (Charge.report_id == Dispute.report_id) & (Charge.origin == "report")
    )
    return (
        select(
            Dispute,
            ReportLine.name,
            Report.msp_name,
            ClosedPeriod.month,
            Report.number,
            Charge.server,
            Charge.workstation,
            Charge.server_plus,
        )
        .join(Report, Report.id == Dispute.report_id)
        .join(ReportLine, at_place)
        .join(ClosedPeriod, period)
        .join(Charge, charged)
        .where(own)
    )


def pending(now: datetime) -> ColumnElement[bool]:
    """Give the condition for a dispute that is not decided yet."""
    decided = exists().where(
        DisputeDecision.site_id == Dispute.site_id,
        DisputeDecision.dispute_id == Dispute.id,
        DisputeDecision.upheld | (DisputeDecision.by == "vendor"),
    )
    return (Dispute.opened_at > now - ANSWER_WITHIN - DECIDE_WITHIN) & ~decided


async def _cases(db: AsyncSession, query: Select[*tuple[Any, ...]], now: datetime) -> list[DisputeCase]:
    rows = (await db.execute(query)).all()
    answers: dict[UUID, list[DisputeDecision]] = defaultdict(list)
    said = select(DisputeDecision).where(
        DisputeDecision.site_id.in_({row[0].site_id for row in rows}),
        DisputeDecision.dispute_id.in_([row[0].id for row in rows]),
    )
    for answer in await db.scalars(said.order_by(DisputeDecision.decided_at)):
        answers[answer.dispute_id].append(answer)
    return [
        DisputeCase(
            row, answers[row.id], standing(row, answers[row.id], now), site, msp, month, number or "",
            (server, workstation, server_plus),
        )
        for row, site, msp, month, number, server, workstation, server_plus in rows
    ]  # fmt: skip


def _voids(caller: Principal) -> Select[*tuple[Any, ...]]:
    own = partners.visible_chain(caller, VoidRequest.msp_id, VoidRequest.distributor_id)
    said = (VoidDecision.site_id == VoidRequest.site_id) & (VoidDecision.request_id == VoidRequest.id)
    name = select(Key.name).where(Key.site_id == VoidRequest.site_id).limit(1).scalar_subquery()
    return (
        select(VoidRequest, VoidDecision, name, Msp.name, _closed())
        .outerjoin(VoidDecision, said)
        .join(Msp, Msp.id == VoidRequest.msp_id)
        .where(own)
    )


def _closed() -> ColumnElement[bool]:
    return exists().where(
        ClosedPeriod.distributor_id == VoidRequest.distributor_id, ClosedPeriod.ends_at > VoidRequest.from_at
    )


def _void(row: VoidRequest, decision: VoidDecision | None, site: str | None, msp: str, closed: bool) -> VoidCase:
    return VoidCase(row, decision, site or "–", msp, closed and decision is None)
