"""Flags: what partners should know of a site beside its figures, which no flag changes.

A clone is the MSP's to look after, so it takes that flag down itself; what is implausible is for those who invoice by
it. A flag that was taken down goes up again when the same is seen anew. One that stays up is no flag of later months in
which nothing was seen any more.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql.ranges import MultiRange, Range
from sqlalchemy.ext.asyncio import AsyncSession

from services import ids, partners
from services.errors import Absent
from services.keys import Key
from services.partners import PartnerKind, Principal
from services.sites.findings import Finding, in_english
from services.sites.tables import SiteFlag
from services.usage import Line

Flag = Literal["clone_suspected", "implausible"]
CLONE: Flag = "clone_suspected"
IMPLAUSIBLE: Flag = "implausible"
_A_STRETCH, _NO_DIFFERENCE = timedelta(days=1), timedelta(hours=1)


class Flagged(NamedTuple):
    """A site with a flag up, and whose it is."""

    site_id: UUID
    name: str
    msp_id: UUID
    from_at: datetime


async def flagged(db: AsyncSession, principal: Principal, flag: Flag, *, limit: int) -> list[Flagged]:
    """Give the sites that the principal sees with a flag up, the latest first."""
    up = (SiteFlag.flag == flag, SiteFlag.until_at.is_(None), partners.visible_to(principal, SiteFlag.site_id))
    query = select(SiteFlag.site_id, Key.name, Key.msp_id, SiteFlag.from_at)
    query = query.join(Key, Key.site_id == SiteFlag.site_id).where(*up).order_by(SiteFlag.from_at.desc()).limit(limit)
    return [Flagged(*row) for row in await db.execute(query)]


async def raise_flag(db: AsyncSession, site_id: UUID, flag: Flag, finding: Finding, now: datetime) -> bool:
    """Raise a flag; False if it is up already, whose finding is then the new one. The caller holds the site's lines."""
    row, detail = await _up(db, site_id, flag), in_english(finding)
    if row is not None:
        row.detail, row.finding, row.seen = detail, finding, _seen_again(row.seen, now)
        return False
    seen = _seen_again((), now)
    found = {"detail": detail, "finding": finding, "seen": seen}
    db.add(SiteFlag(site_id=site_id, flag=flag, from_at=now, until_at=None, **found))
    await db.flush()
    return True


def _seen_again(before: Sequence[Range[datetime]], now: datetime) -> Sequence[Range[datetime]]:
    """Add an instant to the stretches in which something was seen: to the last one, if that ended within a day.

    Within an hour it makes no difference, and costs no row.
    """
    last = before[-1] if before else None
    if last is None or last.lower is None or last.upper is None or now - last.upper > _A_STRETCH:
        return MultiRange([*before, Range(now, now, bounds="[]")])
    if now - last.upper < _NO_DIFFERENCE:
        return before
    return MultiRange([*before[:-1], Range(last.lower, now, bounds="[]")])


async def take_down(
    db: AsyncSession, caller: Principal, key: Key, flag: Flag, *, reason: str, now: datetime
) -> SiteFlag:
    """Take a flag down, with a reason. Twice is once. Raises `Absent`, and `WrongPartner` for whom it is not.

    The caller holds the site's lines.
    """
    if flag == IMPLAUSIBLE:
        caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    latest = select(SiteFlag).where(SiteFlag.site_id == key.site_id, SiteFlag.flag == flag)
    row = await db.scalar(latest.order_by(SiteFlag.from_at.desc()).limit(1))
    if row is None:
        raise Absent
    if row.until_at is None:
        row.until_at = now
        # Whoever of two machines is still there is looked at again.
        await db.execute(update(Line).where(Line.site_id == key.site_id).values(waiting=True))
        after = {"flag": flag, "reason": reason}
        shown = ids.show("site", key.site_id)
        await partners.note(db, caller, "site.flag_taken_down", shown, after=after, msp_id=key.msp_id, now=now)
        await db.flush()
    return row


async def down_since(db: AsyncSession, site_id: UUID, flag: Flag) -> datetime | None:
    """Give when a flag was last taken down; None if it never was."""
    down = select(func.max(SiteFlag.until_at)).where(SiteFlag.site_id == site_id, SiteFlag.flag == flag)
    return await db.scalar(down)


async def flags_of(db: AsyncSession, site_id: UUID) -> Sequence[SiteFlag]:
    """Give all flags of a site that the caller may see, newest first."""
    rows = select(SiteFlag).where(SiteFlag.site_id == site_id)
    return (await db.scalars(rows.order_by(SiteFlag.from_at.desc(), SiteFlag.flag))).all()


async def flags_in(db: AsyncSession, site_id: UUID, *, start: datetime, end: datetime, by: datetime) -> list[SiteFlag]:
    """Give the flags that were up in `[start, end)`, as raised by an instant."""
    rows = await db.scalars(
        select(SiteFlag)
        .where(
            SiteFlag.site_id == site_id,
            SiteFlag.from_at < end,
            SiteFlag.from_at <= by,
            or_(SiteFlag.until_at.is_(None), SiteFlag.until_at > start),
        )
        .order_by(SiteFlag.from_at, SiteFlag.flag)
    )
    return list(rows)


async def _up(db: AsyncSession, site_id: UUID, flag: Flag) -> SiteFlag | None:
    return await db.scalar(
        select(SiteFlag).where(SiteFlag.site_id == site_id, SiteFlag.flag == flag, SiteFlag.until_at.is_(None))
    )
