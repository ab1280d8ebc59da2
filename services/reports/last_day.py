"""The last day of the month, 09:00 local: the provisional report goes to the MSP, with what is missing and what is due.

Who was told is a row of letters: the same occasion twice is one letter, so the job may look as often as it likes.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, partners, sites
from services.delivery import Letter
from services.keys import Key
from services.partners import Distributor, Msp
from services.reports.charging import Counted
from services.reports.counting import count_lines
from services.reports.lines import read_lines
from services.reports.wording import language_of, local_time, month_name, whole
from services.usage import Period, Span, period_at, zone_info

_NINE = time(9)
_NAMES_MAX = 50
_UNSEEN = timedelta(days=30)


def notice_at(period: Period) -> datetime:
    """Give 09:00, by the zone's wall clock, of the period's last day."""
    rules = zone_info(period.zone)
    last = (period.ends_at - timedelta(microseconds=1)).astimezone(rules).date()
    return datetime.combine(last, _NINE, tzinfo=rules)


async def distributors_on_last_day(db: AsyncSession, now: datetime) -> list[UUID]:
    """Give the distributors whose month has come to 09:00 of its last day."""
    rows = await db.scalars(select(Distributor).order_by(Distributor.id))
    periods = {one: period_at(zones, now) for one, zones in (await partners.zones_of_each(db, rows)).items()}
    return [one for one, period in periods.items() if notice_at(period) <= now and not period.short]


async def tell_next(db: AsyncSession, distributor_id: UUID, now: datetime) -> bool:
    """Tell the next MSP of a distributor that was not told; False when all were. One transaction an MSP."""
    distributor = await db.get_one(Distributor, distributor_id)
    period = period_at(await partners.zones_of(db, distributor_id), now)
    waiting = [msp for msp in await partners.msps_of(db, distributor_id, now, period.ends_at) if _address(msp)]
    for msp in waiting:
        told = exists().where(Letter.occasion == _occasion(msp, period), Letter.recipient == _address(msp))
        has_key = exists().where(Key.msp_id == msp.id)
        if await db.scalar(select(has_key & ~told)):
            await _tell(db, distributor, msp, period, now)
            return True
    return False


async def _tell(db: AsyncSession, distributor: Distributor, msp: Msp, period: Period, now: datetime) -> None:
    language = language_of(msp.language)
    span = Span(period.starts_at, now, now, distributor.id)
    rows = await read_lines(db, distributor.id, msp.id, span)
    counted = await count_lines(db, msp.id, distributor.id, period, span, rows)
    charged = [sum(one.charged[number] for one in counted) for number in range(3)]
    day = timedelta(days=1)
    silent = [one.row.name for one in counted if not one.recount.known or one.recount.known[-1][1] < now - day]
    never = await db.scalars(
        select(Key.name).where(Key.msp_id == msp.id, Key.activated_at.is_(None)).order_by(Key.name)
    )
    await delivery.post(
        db,
        occasion=_occasion(msp, period),
        kind="report_last_day",
        recipient=_address(msp) or "",
        language=language,
        values={
            "msp": msp.name,
            "month": month_name(period.month, language),
            "closes": local_time(period.ends_at.isoformat(), period.zone, language),
            "server": whole(charged[0], language),
            "workstation": whole(charged[1], language),
            "server_plus": whole(charged[2], language),
            "charged": whole(sum(charged), language),
            "silent": silent[:_NAMES_MAX],
            "silent_count": len(silent),
            "never_connected": list(never)[:_NAMES_MAX],
            "idle": _idle(counted),
            **await _unseen(db, counted, now),
        },
        now=now,
        partner_id=msp.id,
    )


async def _unseen(db: AsyncSession, counted: Sequence[Counted], now: datetime) -> dict[str, Any]:
    """Name the sites with machines that were not seen for a month: what could be saved next month, the most first."""
    names = {one.row.site_id: one.row.name for one in counted}
    found = await sites.inventory.unseen_agents(db, names.keys(), now - _UNSEEN)
    most = sorted(found.items(), key=lambda one: (-one[1], names[one[0]]))
    listed = [{"site": names[site_id], "count": count} for site_id, count in most[:_NAMES_MAX]]
    return {"unseen": listed, "unseen_count": sum(found.values())}


def _idle(counted: Sequence[Counted]) -> int:
    """Count the agents that were not active at their peak: what could be saved next month."""
    idle = 0
    for one in counted:
        for name in ("server", "workstation", "server_plus"):
            peak = one.recount.peaks.get(name)
            if peak is not None and peak.active is not None:
                idle += max(0, peak.value - peak.active)
    return idle


def _address(msp: Msp) -> str | None:
    return msp.billing_email or msp.technical_email


def _occasion(msp: Msp, period: Period) -> str:
    return f"report_last_day:{msp.id}:{period.starts_at.isoformat()}"
