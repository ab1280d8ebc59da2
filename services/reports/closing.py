"""Closing a month, in steps that are safe to run twice and by two workers: close, write, render, issue.

What is due is read from the database alone: a period that has ended, its grace with it, and is not closed. Each step
is one transaction of the caller's; a crash between two leaves rows that say what is to be done next.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy import exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.db import take_turn
from services.ids import new_id
from services.partners import Distributor, Msp
from services.reports.corrections import find_corrections
from services.reports.document import cover_of
from services.reports.letters import tell_issued
from services.reports.lines import take_lines
from services.reports.tables import ClosedPeriod, Report, ReportFile
from services.usage import Period, Span, period_at, zone_data_version

_PLACE = """
update reports set place = n.place
from (
    select id, (select coalesce(max(place), 0) from reports) + row_number() over (order by id) as place
    from reports where issued_at is not null and place is null
) n
where reports.id = n.id
"""


@dataclass(frozen=True, slots=True)
class Due:
    """A period whose figures are to be taken, and the cut-off of what counts."""

    distributor_id: UUID
    period: Period
    cut_off_at: datetime


@dataclass(frozen=True, slots=True)
class Unissued:
    """A report that is written and waits to be rendered and issued."""

    report_id: UUID
    document: bytes


async def next_close_at(db: AsyncSession) -> datetime | None:
    """Give when the next period of any distributor is to be closed; may lie in the past."""
    return min((due.cut_off_at for due in await next_closes(db)), default=None)


async def next_closes(db: AsyncSession) -> list[Due]:
    """Give each distributor's next period to be closed; may lie in the past."""
    return [await _next_of(db, distributor, ended) for distributor, ended in await _distributors(db)]


async def due(db: AsyncSession, now: datetime) -> list[UUID]:
    """Give the distributors that have a period to close now, however long ago it ended."""
    return [one.distributor_id for one in await next_closes(db) if one.cut_off_at <= now]


async def close(db: AsyncSession, distributor_id: UUID, now: datetime) -> Due | None:
    """Close the distributor's next period if it is due: its figures, and a report to write for each MSP with keys.

    The distributor's row is locked, so of two workers the second finds nothing due. The reports of the period before
    are to be written first, for the corrections are made of what they charge; held ones do not count.
    """
    distributor = await db.get_one(Distributor, distributor_id, with_for_update=True)
    ended = await db.scalar(select(func.max(ClosedPeriod.ends_at)).where(ClosedPeriod.distributor_id == distributor_id))
    one = await _next_of(db, distributor, ended)
    if one.cut_off_at > now or await _unwritten(db, distributor_id):
        return None
    period = one.period
    db.add(
        ClosedPeriod(
            distributor_id=distributor_id,
            starts_at=period.starts_at,
            ends_at=period.ends_at,
            month=period.month,
            zone=period.zone,
            zone_data=zone_data_version(),
            cut_off_at=one.cut_off_at,
        )
    )
    await db.flush()
    await _announce(db, one, now)
    return one


async def unfinished(db: AsyncSession) -> list[UUID]:
    """Give the distributors that have reports to write; those that are held wait for an operator."""
    waiting = select(Report.distributor_id).where(Report.document.is_(None), Report.held.is_(None))
    return list(await db.scalars(waiting.distinct()))


async def next_unissued(db: AsyncSession, *, without: Collection[UUID] = ()) -> Unissued | None:
    """Give a report that is written and not issued; the caller renders it outside any transaction."""
    row = (
        await db.execute(
            select(Report.id, Report.document)
            .where(Report.issued_at.is_(None), Report.document.is_not(None), Report.id.not_in(without))
            .order_by(Report.distributor_id, Report.starts_at, Report.number)
            .limit(1)
        )
    ).first()
    return Unissued(row.id, row.document or b"") if row is not None else None


async def issue(db: AsyncSession, report_id: UUID, forms: dict[str, bytes]) -> bool:
    """Issue a report with its forms, and post its letters; False if another worker did.

    It is dated at the cut-off, whenever it is done.
    """
    report = await db.get_one(Report, report_id, with_for_update=True, populate_existing=True)
    if report.issued_at is not None:
        return False
    period = await db.get_one(ClosedPeriod, (report.distributor_id, report.starts_at))
    report.issued_at = period.cut_off_at
    for form, content in sorted(forms.items()):
        db.add(ReportFile(report_id=report_id, form=form, content=content, sha256=sha256(content).digest()))
    await tell_issued(db, report, period, json.loads(report.document or b"{}"))
    await db.flush()
    await _place_issued(db)
    return True


async def cover_next(db: AsyncSession) -> bool:
    """Cover a written report that has none: one by the version before covers, while a deployment rolls. False: none."""
    report = await db.scalar(
        select(Report).where(Report.document.is_not(None), Report.cover.is_(None)).limit(1).with_for_update()
    )
    if report is None:
        return False
    report.cover = dict(cover_of(json.loads(report.document or b"")))
    await db.flush()
    return True


async def _place_issued(db: AsyncSession) -> None:
    """Give what was issued its place in the order of issue; one transaction at a time, so that none appears behind.

    A report is dated at its cut-off however late it is issued, and its id is of the close: by either one that was held
    would appear behind a reader that has passed it.
    """
    await take_turn(db, "issue")
    await db.execute(text(_PLACE))


async def _distributors(db: AsyncSession) -> list[tuple[Distributor, datetime | None]]:
    last = select(func.max(ClosedPeriod.ends_at)).where(ClosedPeriod.distributor_id == Distributor.id)
    rows = await db.execute(select(Distributor, last.scalar_subquery()).order_by(Distributor.id))
    return [(distributor, ended) for distributor, ended in rows]


async def _next_of(db: AsyncSession, distributor: Distributor, ended: datetime | None) -> Due:
    """Give the period that follows the last closed one; the first holds the distributor's beginning."""
    period = period_at(await partners.zones_of(db, distributor.id), ended or distributor.created_at)
    if ended is not None:
        # Newer zone data may have moved the bound since.
        period = replace(period, starts_at=ended)
    policy = await partners.policy_of(db, distributor_id=distributor.id)
    return Due(distributor.id, period, period.ends_at + policy.close_grace)


async def _unwritten(db: AsyncSession, distributor_id: UUID) -> bool:
    waiting = exists().where(Report.distributor_id == distributor_id, Report.document.is_(None), Report.held.is_(None))
    return bool(await db.scalar(select(waiting)))


async def _announce(db: AsyncSession, one: Due, now: datetime) -> None:
    """Take the lines of all MSPs, and announce a report for each that has a key or a correction."""
    period = one.period
    msps = {msp.id: msp for msp in await partners.msps_of(db, one.distributor_id, period.starts_at, period.ends_at)}
    span = Span(period.starts_at, period.ends_at, one.cut_off_at, one.distributor_id)
    await take_lines(db, one.distributor_id, list(msps), span)
    corrections = await find_corrections(db, one.distributor_id, period.starts_at, one.cut_off_at)
    reported = await partners.msps_with_sites(db, msps, period.starts_at, period.ends_at)
    reported |= {charge.msp_id for charge in corrections}
    rows = (await db.scalars(select(Msp).where(Msp.id.in_(reported)).order_by(Msp.name, Msp.id))).all()
    called = await partners.called_at(db, rows, period.ends_at)
    reports = {msp.id: _announced(one, msp.id, called[msp.id].name, now) for msp in rows}
    db.add_all(reports.values())
    await db.flush()
    for charge in corrections:
        charge.report_id = reports[charge.msp_id].id
    db.add_all(corrections)
    await db.flush()


def _announced(one: Due, msp_id: UUID, msp_name: str, now: datetime) -> Report:
    return Report(
        id=new_id(now),
        distributor_id=one.distributor_id,
        starts_at=one.period.starts_at,
        msp_id=msp_id,
        msp_name=msp_name,
    )
