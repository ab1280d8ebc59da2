"""Retention: what still needs the ledger's old months. While anything does, they are not archived."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.partners import Distributor
from services.reports.closing import next_closes
from services.reports.corrections import LATE_USAGE
from services.reports.tables import ClosedPeriod, Report

CORRECTED_FOR = 2 * LATE_USAGE
"""How long after its end a period is counted again for corrections; disputes are decided before that."""


async def needing(db: AsyncSession, before_at: datetime, now: datetime) -> list[str]:
    """Say what needs the ledger from before an instant: periods not closed, reports not issued, corrections open."""
    names = {one.id: one.name for one in await db.scalars(select(Distributor))}
    found = []
    corrected_at = now
    for due in await next_closes(db):
        corrected_at = min(corrected_at, due.cut_off_at)
        if due.period.starts_at < before_at:
            found.append(f"{due.period.month} of {names[due.distributor_id]} is not closed")
    unissued = await db.execute(
        select(ClosedPeriod.month, ClosedPeriod.distributor_id, func.count())
        .join(
            Report,
            (Report.distributor_id == ClosedPeriod.distributor_id) & (Report.starts_at == ClosedPeriod.starts_at),
        )
        .where(ClosedPeriod.starts_at < before_at, Report.issued_at.is_(None))
        .group_by(ClosedPeriod.month, ClosedPeriod.distributor_id)
        .order_by(ClosedPeriod.month)
    )
    found += [f"{count} reports of {month} of {names[who]} are not issued" for month, who, count in unissued]
    corrected = select(ClosedPeriod).where(
        ClosedPeriod.starts_at < before_at, ClosedPeriod.ends_at + CORRECTED_FOR > corrected_at
    )
    for closed in await db.scalars(corrected.order_by(ClosedPeriod.starts_at)):
        until = closed.ends_at + CORRECTED_FOR
        found.append(f"{closed.month} of {names[closed.distributor_id]} may be corrected until {until:%Y-%m-%d}")
    return found
