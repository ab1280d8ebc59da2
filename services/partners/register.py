"""The register of partners: distributors, MSPs, and who was with whom, when."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.db import take_turn
from services.errors import Absent, Kind, Refusal
from services.ids import new_id
from services.partners.tables import Distributor, Msp, MspTenure, SiteTenure


class MspNotApproved(Refusal):
    """The Partner Team has not approved this MSP."""

    kind = Kind.FORBIDDEN
    code = "msp_not_approved"


class NameTaken(Refusal):
    """Another partner has this name."""

    kind = Kind.CONFLICT
    code = "name_taken"


class MspSuspended(Refusal):
    """This MSP is suspended and makes no keys; its sites report and restore as before."""

    kind = Kind.FORBIDDEN
    code = "msp_suspended"


class DistributorClosed(Refusal):
    """This distributor is closed, or closes at the end of its month; name another."""

    kind = Kind.CONFLICT
    code = "distributor_closed"


async def add_distributor(db: AsyncSession, *, name: str, zone: str, now: datetime) -> Distributor:
    """Appoint a distributor; its first period is the calendar month of `now` in its zone. Raises `NameTaken`."""
    await free_name(db, Distributor, name)
    distributor = Distributor(id=new_id(now), name=name, zone=zone, created_at=now)
    db.add(distributor)
    await db.flush()
    return distributor


async def add_msp(db: AsyncSession, *, name: str, distributor_id: UUID, now: datetime) -> Msp:
    """Add an approved MSP under a distributor; raises `NameTaken`, `DistributorClosed`."""
    await open_distributor(db, distributor_id)
    await free_name(db, Msp, name)
    msp = Msp(id=new_id(now), name=name, created_at=now, approved_at=now)
    db.add(msp)
    await db.flush()
    db.add(MspTenure(msp_id=msp.id, distributor_id=distributor_id, from_at=now, until_at=None))
    await db.flush()
    return msp


async def open_distributor(db: AsyncSession, distributor_id: UUID) -> Distributor:
    """Give a distributor that takes MSPs, and keep it from closing meanwhile; raises `DistributorClosed`."""
    wanted = select(Distributor).where(Distributor.id == distributor_id).with_for_update(read=True)
    found = await db.scalar(wanted.execution_options(populate_existing=True))
    if found is None:
        raise Absent
    if found.closed_at is not None:
        raise DistributorClosed(pointer="/distributor_id")
    return found


async def approved_msp(db: AsyncSession, msp_id: UUID, *, held: bool = False) -> Msp:
    """Give the MSP, `held` as it is until the transaction ends; raises `MspNotApproved`, or `Absent` if there is none.

    Whoever has locked a key already must not hold it: who suspends an MSP locks it first, and then its keys.
    """
    msp = await db.get(Msp, msp_id, with_for_update={"read": True} if held else None, populate_existing=held)
    if msp is None:
        raise Absent
    if msp.approved_at is None:
        raise MspNotApproved
    if msp.closed_at is not None:
        raise MspNotApproved("This MSP has been closed.")
    return msp


async def distributor_of(db: AsyncSession, msp_id: UUID, at: datetime) -> UUID:
    """Give the distributor that the MSP was under at an instant."""
    tenure = MspTenure.distributor_id
    found = await db.scalar(
        select(tenure).where(
            MspTenure.msp_id == msp_id,
            MspTenure.from_at <= at,
            or_(MspTenure.until_at.is_(None), MspTenure.until_at > at),
        )
    )
    if found is None:
        raise Absent
    return found


async def msps_of(db: AsyncSession, distributor_id: UUID, start: datetime, end: datetime) -> list[Msp]:
    """Give the MSPs that were under the distributor at any time in `[start, end)`, by name."""
    under = select(MspTenure.msp_id).where(
        MspTenure.distributor_id == distributor_id,
        MspTenure.from_at < end,
        or_(MspTenure.until_at.is_(None), MspTenure.until_at > start),
    )
    return list(await db.scalars(select(Msp).where(Msp.id.in_(under)).order_by(Msp.name)))


async def msps_with_sites(db: AsyncSession, msp_ids: Collection[UUID], start: datetime, end: datetime) -> set[UUID]:
    """Give those of some MSPs that had a site at any time in `[start, end)`, by tenure, also without an activation."""
    held = select(SiteTenure.msp_id).where(
        SiteTenure.msp_id.in_(msp_ids),
        SiteTenure.from_at < end,
        or_(SiteTenure.until_at.is_(None), SiteTenure.until_at > start),
    )
    return set(await db.scalars(held.distinct()))


async def pass_site_tenure(db: AsyncSession, *, site_id: UUID, msp_id: UUID, at: datetime) -> None:
    """Give a site to another MSP from an instant on, which may lie ahead."""
    open_one = (SiteTenure.site_id == site_id, SiteTenure.until_at.is_(None))
    await db.execute(update(SiteTenure).where(*open_one).values(until_at=at))
    db.add(SiteTenure(site_id=site_id, msp_id=msp_id, from_at=at, until_at=None))
    await db.flush()


def begin_site_tenure(db: AsyncSession, *, site_id: UUID, msp_id: UUID, now: datetime) -> None:
    """Give a new site to an MSP."""
    db.add(SiteTenure(site_id=site_id, msp_id=msp_id, from_at=now, until_at=None))


async def free_name(db: AsyncSession, table: type[Distributor] | type[Msp], name: str) -> None:
    """Raise `NameTaken`; of two that want a name at one instant the second waits, and finds it taken."""
    await take_turn(db, f"{table.__tablename__} {name}")
    if await db.scalar(select(table.id).where(table.name == name)) is not None:
        raise NameTaken(pointer="/name")
