"""The lines of one report, counted the second way and charged: for the written report and the provisional one alike."""

from asyncio import sleep
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent
from services.reports.billing_tables import BillingTerms
from services.reports.charging import Counted, Excluded, NoData, Receipts, charge
from services.reports.tables import Exclusion
from services.usage import SHORT_BELOW, Maker, Period, Span, day_starts, raw_sites, recount, whole_from

_AT_ONCE = 25
_RECEIPTS = """
select e.site_id, e.installation_id, e.line, e.n, e.receipt
from unnest(cast(:sites as uuid[]), cast(:installations as uuid[]), cast(:lines as smallint[]),
    cast(:numbers as bigint[])) as wanted (site_id, installation_id, line, n)
join usage_entries e using (site_id, installation_id, line, n)
"""


async def count_lines(
    db: AsyncSession,
    msp_id: UUID,
    distributor_id: UUID,
    period: Period,
    span: Span,
    rows: Sequence[Any],
    *,
    terms_at: datetime | None = None,
    decided_by: datetime | None = None,
) -> list[Counted]:
    """Count the rows of one MSP's report again from the raw ledger and decide what each is charged; in their order.

    The distributor's terms are those of `terms_at`, and what is excluded is as decided by `decided_by`; both default to
    the cut-off. Raises `Absent` where the ledger is archived.
    """
    archived_before = await whole_from(db)
    if archived_before is not None and span.starts_at < archived_before:
        raise Absent("The ledger of this month is archived.")
    by_site = {row.site_id: row for row in rows}
    excluded = await exclusions(db, list(by_site), span, decided_by or span.cut_off_at)
    no_data = (await terms(db, distributor_id, terms_at or span.cut_off_at))[0]
    days = day_starts(period)
    counted: dict[UUID, Counted] = {}
    async for site in raw_sites(db, msp_id, span, list(by_site)):
        if len(counted) % _AT_ONCE == 0:
            await sleep(0)  # whatever else the process has to do
        out = excluded.get(site.site_id, [])
        stretches = [(one.from_at, one.until_at) for one in out]
        # What is left between two zones' month ends when a site, or its MSP, comes over.
        piece = site.came and site.until_at - site.from_at < SHORT_BELOW
        found = recount(site.lines, site.from_at, site.until_at, days=days, excluded=stretches)
        row = by_site[site.site_id]
        counted[site.site_id] = charge(row, found, out, no_data=no_data, short=period.short or piece)
    return [counted[row.site_id] for row in rows]


async def receipts_of(db: AsyncSession, counted: Sequence[Counted]) -> Receipts:
    """Give the receipts of the changes that made the peaks."""
    wanted = {
        (one.row.site_id, maker) for one in counted for peak in one.recount.peaks.values() for maker in peak.made_by
    }
    columns: tuple[list[Any], ...] = ([], [], [], [])
    for site_id, maker in wanted:
        for column, value in zip(columns, (site_id, maker.installation_id, maker.line, maker.n), strict=True):
            column.append(value)
    names = ("sites", "installations", "lines", "numbers")
    rows = await db.execute(text(_RECEIPTS), dict(zip(names, columns, strict=True)))
    return {(row.site_id, Maker(row.installation_id, row.line, row.n)): row.receipt for row in rows}


async def exclusions(
    db: AsyncSession, site_ids: Sequence[UUID], span: Span, decided_by: datetime
) -> dict[UUID, list[Excluded]]:
    """Give what is shown and not charged of some sites in a period, as decided by an instant."""
    rows = await db.scalars(
        select(Exclusion)
        .where(
            Exclusion.site_id.in_(site_ids),
            Exclusion.recorded_at <= decided_by,
            Exclusion.from_at < span.ends_at,
            Exclusion.until_at > span.starts_at,
        )
        .order_by(Exclusion.site_id, Exclusion.from_at, Exclusion.id)
    )
    every = list(rows)
    withdrawn = {row.withdraws_id for row in every if row.withdraws_id is not None}
    found: dict[UUID, list[Excluded]] = defaultdict(list)
    for row in every:
        if row.kind != "withdrawal" and row.id not in withdrawn:
            found[row.site_id].append(Excluded(row.kind, row.from_at, row.until_at, row.reason, row.actor))
    return found


async def terms(db: AsyncSession, distributor_id: UUID, at: datetime) -> tuple[NoData, bool]:
    """Give a distributor's terms in force: the rule for no data, and whether its MSPs see amounts."""
    row = await db.scalar(
        select(BillingTerms)
        .where(BillingTerms.distributor_id == distributor_id, BillingTerms.recorded_at <= at)
        .order_by(BillingTerms.recorded_at.desc())
        .limit(1)
    )
    if row is None:
        return "nothing", False
    return "last_known" if row.no_data == "last_known" else "nothing", row.shows_amounts
