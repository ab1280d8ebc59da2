"""The roll: the MSPs that a partner sees, as a page lists them, with the distributor of now and the sites of now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.partners.principal import Principal
from services.partners.scope import visible_msp
from services.partners.tables import Distributor, Msp, MspTenure, SiteTenure


class Standing(StrEnum):
    """How an MSP stands with the programme."""

    APPROVED = "approved"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One line of the roll; `leaves_at` if it moves to another distributor then."""

    msp: Msp
    distributor: str
    distributor_id: UUID
    leaves_at: datetime | None
    sites: int

    @property
    def standing(self) -> Standing:
        """How it stands."""
        if self.msp.closed_at is not None:
            return Standing.CLOSED
        return Standing.SUSPENDED if self.msp.suspended_at is not None else Standing.APPROVED


# An alias, so that the scope's own look at the tenures does not correlate to this one.
_Under = aliased(MspTenure)
_STANDS = {
    Standing.APPROVED: and_(Msp.closed_at.is_(None), Msp.suspended_at.is_(None)),
    Standing.SUSPENDED: and_(Msp.closed_at.is_(None), Msp.suspended_at.is_not(None)),
    Standing.CLOSED: Msp.closed_at.is_not(None),
}


async def roll(
    db: AsyncSession,
    caller: Principal,
    now: datetime,
    *,
    after: UUID | None,
    limit: int,
    text: str | None = None,
    standing: Standing | None = None,
    distributor_id: UUID | None = None,
    msp_id: UUID | None = None,
) -> Sequence[Enrolled]:
    """Give a page of the roll, by name; two queries however long it is."""
    query = (
        select(Msp, Distributor.name, _Under.distributor_id, _Under.until_at)
        .join(_Under, and_(_Under.msp_id == Msp.id, _holds(_Under, now)))
        .join(Distributor, Distributor.id == _Under.distributor_id)
        .where(visible_msp(caller, Msp.id), *_wanted(text, standing, distributor_id, msp_id))
        .order_by(Msp.name, Msp.id)
        .limit(limit)
    )
    if after is not None:
        place = select(Msp.name).where(Msp.id == after).scalar_subquery()
        query = query.where(or_(Msp.name > place, and_(Msp.name == place, Msp.id > after)))
    found = (await db.execute(query)).all()
    counts = await _sites(db, [row[0].id for row in found], now)
    return [Enrolled(*row, sites=counts.get(row[0].id, 0)) for row in found]


def _wanted(
    text: str | None, standing: Standing | None, distributor_id: UUID | None, msp_id: UUID | None
) -> list[ColumnElement[bool]]:
    wanted = []
    if text:
        wanted.append(Msp.name.icontains(text, autoescape=True))
    if standing is not None:
        wanted.append(_STANDS[standing])
    if distributor_id is not None:
        wanted.append(_Under.distributor_id == distributor_id)
    if msp_id is not None:
        wanted.append(Msp.id == msp_id)
    return wanted


async def _sites(db: AsyncSession, msp_ids: Sequence[UUID], now: datetime) -> dict[UUID, int]:
    query = (
        select(SiteTenure.msp_id, func.count())
        .where(SiteTenure.msp_id.in_(msp_ids), _holds(SiteTenure, now))
        .group_by(SiteTenure.msp_id)
    )
    return {row[0]: row[1] for row in await db.execute(query)}


def _holds(tenure: type[MspTenure] | type[SiteTenure], now: datetime) -> ColumnElement[bool]:
    return and_(tenure.from_at <= now, or_(tenure.until_at.is_(None), tenure.until_at > now))
