"""The outlook: the present month of an MSP as it stands, from one statement; only what is unusual is counted again.

The provisional report says the same, with every change that made it: that takes much longer for a large MSP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.db import in_order, in_sets
from services.errors import Absent
from services.keys import Key
from services.partners import Distributor, Msp, PartnerKind, Principal
from services.partners.tables import SiteTenure
from services.reports.charging import Counted, Excluded
from services.reports.counting import count_lines, exclusions
from services.reports.evidence import LineEvidence, evidence_in
from services.reports.lines import read_lines
from services.usage import Period, Span, Three, period_at


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A line as it would be if the month closed now; `row` has its peaks, its coverage and its gaps."""

    row: Any
    charged: Three
    flags: Sequence[str]
    excluded: Sequence[Excluded]


@dataclass(frozen=True, slots=True)
class PresentMonth:
    """Whose month it is, and what of it has passed."""

    msp: Msp
    distributor: Distributor
    period: Period
    span: Span


@dataclass(frozen=True, slots=True)
class Outlook:
    """The present month: its lines by name, and the keys on which nothing was ever activated."""

    month: PresentMonth
    lines: Sequence[Foreseen]
    never_connected: Sequence[tuple[UUID, str]]


async def present_month(db: AsyncSession, caller: Principal, msp_id: UUID, now: datetime) -> PresentMonth:
    """Give the present month of an MSP for itself, its distributor of now and the vendor; raises `Absent`."""
    msp = await partners.one_msp(db, caller, msp_id)
    distributor_id = await partners.distributor_of(db, msp.id, now)
    if caller.kind is PartnerKind.DISTRIBUTOR and caller.partner_id != distributor_id:
        raise Absent
    distributor = await db.get_one(Distributor, distributor_id)
    period = period_at(await partners.zones_of(db, distributor_id), now)
    span = Span(period.starts_at, min(period.ends_at, now), now, distributor_id)
    return PresentMonth(msp, distributor, period, span)


async def outlook(
    db: AsyncSession, caller: Principal, msp_id: UUID, now: datetime, site_ids: Sequence[UUID] | None = None
) -> Outlook:
    """Give what the present month would come to if it closed now, of all sites or of some; raises `Absent`."""
    month = await present_month(db, caller, msp_id, now)
    rows = await read_lines(db, month.distributor.id, msp_id, month.span, site_ids)
    unusual = await _unusual(db, month, rows)
    never = await db.execute(
        select(Key.site_id, Key.name)
        .where(Key.msp_id == msp_id, Key.activated_at.is_(None), Key.revoked_at.is_(None))
        .order_by(Key.name)
    )
    return Outlook(
        month, [_foreseen(row, unusual.get(row.site_id)) for row in rows], [(row[0], row[1]) for row in never]
    )


async def sites_by_name(
    db: AsyncSession, msp_id: UUID, now: datetime, *, text: str, skip: int, limit: int
) -> tuple[int, list[UUID]]:
    """Give how many sites of an MSP were ever activated and are so named, and a page of them by name."""
    held = exists().where(
        SiteTenure.site_id == Key.site_id,
        SiteTenure.msp_id == msp_id,
        SiteTenure.from_at <= now,
        SiteTenure.until_at.is_(None) | (SiteTenure.until_at > now),
    )
    query = select(Key.site_id).where(Key.msp_id == msp_id, Key.activated_at.is_not(None), held)
    if text:
        like = Key.name.icontains(text, autoescape=True) | Key.reference.icontains(text, autoescape=True)
        query = query.where(like)
    async with in_sets(db):
        count = await db.scalar(select(func.count()).select_from(query.subquery())) or 0
    async with in_order(db):
        rows = await db.scalars(query.order_by(func.lower(Key.name), Key.site_id).offset(skip).limit(limit))
    return count, list(rows)


async def line_so_far(
    db: AsyncSession, caller: Principal, msp_id: UUID, site_id: UUID, now: datetime
) -> tuple[PresentMonth, Counted, LineEvidence]:
    """Give one line of the present month, counted in full, with its evidence; raises `Absent`."""
    month = await present_month(db, caller, msp_id, now)
    rows = await read_lines(db, month.distributor.id, msp_id, month.span, [site_id])
    if not rows:
        raise Absent
    [counted] = await count_lines(db, msp_id, month.distributor.id, month.period, month.span, rows)
    return month, counted, await evidence_in(db, counted, month.span)


async def _unusual(db: AsyncSession, month: PresentMonth, rows: Sequence[Any]) -> dict[UUID, Counted]:
    """Count again what is not charged as it was measured: excluded stretches, sites without data, a short period."""
    excluded = await exclusions(db, [row.site_id for row in rows], month.span, month.span.cut_off_at)
    some = [row for row in rows if month.period.short or row.server is None or row.site_id in excluded]
    if not some:
        return {}
    counted = await count_lines(db, month.msp.id, month.distributor.id, month.period, month.span, some)
    return {one.row.site_id: one for one in counted}


def _foreseen(row: Any, counted: Counted | None) -> Foreseen:
    if counted is not None:
        return Foreseen(row, counted.charged, counted.flags, counted.excluded)
    return Foreseen(row, (row.server, row.workstation, row.server_plus), row.flags, ())
