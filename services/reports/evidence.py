"""Why a line says what it says: the changes around each peak, as they were sent, with their receipts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import sites
from services.partners import Principal
from services.reports.charging import Counted
from services.reports.counting import count_lines
from services.reports.docket import line_of
from services.reports.tables import ClosedPeriod
from services.reports.writing import period_of, span_of
from services.sites.tables import Installation
from services.usage import Maker, Span, UsageEntry

_AROUND = 2
"""How many entries before and after the one that made a peak are shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger: `sent` is the canonical JSON as the site sent it, over which the receipts run."""

    installation_id: UUID
    line: int
    n: int
    at: datetime
    received_at: datetime
    clock_suspect: bool
    sent: str
    receipt: bytes
    made_the_peak: bool


@dataclass(frozen=True, slots=True)
class PeakEvidence:
    """One peak of a line, and the entries around the changes that made it."""

    type: str
    peak: int
    peak_at: datetime
    active: int | None
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class RaisedFlag:
    """A flag of the line that somebody raised, since when it is up, and what was found."""

    flag: str
    since: datetime
    detail: str
    finding: sites.findings.Finding | None


@dataclass(frozen=True, slots=True)
class LineEvidence:
    """The evidence of a line: of its peaks, and of the flags that a finding raised."""

    peaks: Sequence[PeakEvidence]
    flags: Sequence[RaisedFlag]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine whose reports made a line: `manages` is a Site Manager, else a standalone."""

    hostname: str
    manages: bool


async def evidence_of(db: AsyncSession, principal: Principal, report_id: UUID, site_id: UUID) -> LineEvidence:
    """Give the evidence of one line of an issued report; raises `Absent` also for a stranger's."""
    row = await line_of(db, principal, report_id, site_id)
    closed = await db.get_one(ClosedPeriod, (row.distributor_id, row.starts_at))
    [counted] = await count_lines(db, row.msp_id, row.distributor_id, period_of(closed), span_of(closed), [row])
    return await evidence_in(db, counted, span_of(closed))


async def evidence_in(db: AsyncSession, counted: Counted, span: Span) -> LineEvidence:
    """Give the evidence of a line that was counted in a span, from what had been received by its cut-off."""
    row, by = counted.row, span.cut_off_at
    found = await sites.flags_in(db, row.site_id, start=span.starts_at, end=span.ends_at, by=by)
    raised = [RaisedFlag(one.flag, one.from_at, one.detail, one.finding) for one in found if one.flag in row.flags]
    return LineEvidence(await _peaks(db, counted, by), raised)


async def _peaks(db: AsyncSession, counted: Counted, cut_off_at: datetime) -> list[PeakEvidence]:
    peaks = counted.recount.peaks
    makers = {maker for peak in peaks.values() for maker in peak.made_by}
    entries = await _around(db, counted.row.site_id, makers, cut_off_at)
    return [
        PeakEvidence(
            name, peak.value, peak.at, peak.active,
            [_entry(row, maker) for maker in peak.made_by for row in entries if _is_near(row, maker)],
        )
        for name, peak in peaks.items()
    ]  # fmt: skip


async def machines_of(db: AsyncSession, site_id: UUID) -> dict[str, Machine]:
    """Give the machines that ever activated on a site's keys, by installation id."""
    columns = (Installation.installation_id, Installation.hostname, Installation.product)
    rows = await db.execute(select(*columns).where(Installation.site_id == site_id))
    return {str(found): Machine(hostname, product == "site_manager") for found, hostname, product in rows}


async def _around(
    db: AsyncSession, site_id: UUID, makers: Collection[Maker], cut_off_at: datetime
) -> Sequence[UsageEntry]:
    near = [
        and_(
            UsageEntry.installation_id == maker.installation_id,
            UsageEntry.line == maker.line,
            UsageEntry.n.between(maker.n - _AROUND, maker.n + _AROUND),
        )
        for maker in makers
    ]
    query = select(UsageEntry).where(
        UsageEntry.site_id == site_id, UsageEntry.received_at <= cut_off_at, or_(false(), *near)
    )
    return (await db.scalars(query.order_by(UsageEntry.n))).all()


def _is_near(row: UsageEntry, maker: Maker) -> bool:
    same = (row.installation_id, row.line) == (maker.installation_id, maker.line)
    return same and abs(row.n - maker.n) <= _AROUND


def _entry(row: Any, maker: Maker) -> Entry:
    return Entry(
        installation_id=row.installation_id,
        line=row.line,
        n=row.n,
        at=row.at,
        received_at=row.received_at,
        clock_suspect=row.clock_suspect,
        sent=row.entry.decode(),
        receipt=row.receipt,
        made_the_peak=row.n == maker.n,
    )
