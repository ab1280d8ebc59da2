"""The directory: distributors and MSPs as partners see and change them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.db import take_turn
from services.errors import Absent, Invalid, Kind, Refusal
from services.ids import show
from services.partners import labels
from services.partners.audit import note
from services.partners.principal import VENDOR_ID, PartnerKind, Principal
from services.partners.register import DistributorClosed, free_name
from services.partners.scope import holds_msp, visible_msp
from services.partners.tables import Distributor, Msp, MspTenure

# Who may change what of an MSP; the vendor may change all.
_OF_MSP = frozenset(
    {"legal_name", "address", "tax_code", "sdi_code", "pec", "language", "technical_email", "billing_email"}
)
_MAY_CHANGE = {
    PartnerKind.MSP: _OF_MSP,
    PartnerKind.DISTRIBUTOR: _OF_MSP | {"customer_code"},
    PartnerKind.VENDOR: _OF_MSP | {"customer_code", "name", "country", "vat_number"},
}
_OF_DISTRIBUTOR = frozenset({"legal_name", "address", "vat_number", "email", "language"})


class TerritoryTaken(Refusal):
    """Another distributor has one of these countries."""

    kind = Kind.CONFLICT
    code = "territory_taken"


def may_change(kind: PartnerKind) -> frozenset[str]:
    """Give which of an MSP's data a kind of partner may change."""
    return _MAY_CHANGE[kind]


async def msps(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> Sequence[Msp]:
    """Give a page of the MSPs that the caller sees, oldest first."""
    query = select(Msp).where(visible_msp(caller, Msp.id)).order_by(Msp.id).limit(limit)
    return (await db.scalars(query if after is None else query.where(Msp.id > after))).all()


async def names_of_msps(db: AsyncSession, caller: Principal, msp_ids: Collection[UUID]) -> dict[UUID, str]:
    """Give the names of those of some MSPs that the caller sees."""
    query = select(Msp.id, Msp.name).where(Msp.id.in_(msp_ids), visible_msp(caller, Msp.id))
    return {row.id: row.name for row in await db.execute(query)}


async def one_msp(db: AsyncSession, caller: Principal, msp_id: UUID, *, lock: bool = False) -> Msp:
    """Give one MSP, locked if it is to be changed; raises `Absent` also for a stranger's.

    A distributor sees an MSP that it had, and changes it no more.
    """
    query = select(Msp).where(Msp.id == msp_id, (holds_msp if lock else visible_msp)(caller, Msp.id))
    msp = await db.scalar(query.with_for_update(key_share=True) if lock else query)
    if msp is None:
        raise Absent
    return msp


async def change_msp(db: AsyncSession, caller: Principal, msp: Msp, values: Mapping[str, Any], now: datetime) -> None:
    """Change some of an MSP's data; raises `NameTaken`, `Invalid` for what the caller may not change."""
    await _change(db, msp, values, _MAY_CHANGE[caller.kind], now)
    await note(db, caller, "msp.changed", show("msp", msp.id), after=values, msp_id=msp.id, now=now)
    await db.flush()


async def distributors(db: AsyncSession, caller: Principal, *, after: UUID | None, limit: int) -> Sequence[Distributor]:
    """Give a page of the distributors that the caller sees: all, itself, or its own."""
    query = _visible_distributors(caller).order_by(Distributor.id).limit(limit)
    return (await db.scalars(query if after is None else query.where(Distributor.id > after))).all()


async def one_distributor(
    db: AsyncSession, caller: Principal, distributor_id: UUID, *, lock: bool = False
) -> Distributor:
    """Give one distributor; raises `Absent` also for a stranger's."""
    query = _visible_distributors(caller).where(Distributor.id == distributor_id)
    found = await db.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise Absent
    return found


async def distributor_for(db: AsyncSession, country: str) -> UUID | None:
    """Give the distributor whose territory a country is."""
    return await db.scalar(select(Distributor.id).where(Distributor.territory.contains([country])))


async def change_distributor(
    db: AsyncSession, caller: Principal, distributor: Distributor, values: Mapping[str, Any], now: datetime
) -> None:
    """Change some of a distributor's data; name and territory are the vendor's.

    Raises `TerritoryTaken`, `NameTaken`, `DistributorClosed`, `Invalid`.
    """
    vendors = caller.kind is PartnerKind.VENDOR
    if "territory" in values and distributor.closed_at is not None:
        raise DistributorClosed(pointer="/territory")
    await _change(db, distributor, values, _OF_DISTRIBUTOR | ({"name", "territory"} if vendors else set()), now)
    await db.flush()
    await _no_overlap(db, distributor)
    shown = show("distributor", distributor.id)
    await note(db, caller, "distributor.changed", shown, after=values, distributor_id=distributor.id, now=now)


async def appointed(db: AsyncSession, caller: Principal, distributor: Distributor, now: datetime) -> None:
    """Note that a distributor was appointed; raises `TerritoryTaken`."""
    await _no_overlap(db, distributor)
    shown = show("distributor", distributor.id)
    after = {"name": distributor.name, "zone": distributor.zone, "territory": list(distributor.territory)}
    await note(db, caller, "distributor.appointed", shown, after=after, distributor_id=distributor.id, now=now)
    delivery.emit(db, partner_id=VENDOR_ID, kind="distributor.appointed", subject={"distributor": shown}, now=now)


async def _no_overlap(db: AsyncSession, distributor: Distributor) -> None:
    if not distributor.territory:
        return
    # Two appointments at once would not see each other's rows.
    await take_turn(db, "territories")
    other = await db.scalar(
        select(Distributor.id).where(
            Distributor.id != distributor.id, Distributor.territory.overlap(list(distributor.territory))
        )
    )
    if other is not None:
        raise TerritoryTaken(pointer="/territory")


async def _change(
    db: AsyncSession, row: Msp | Distributor, values: Mapping[str, Any], allowed: frozenset[str], now: datetime
) -> None:
    table = type(row)
    if any(values.get(name, getattr(row, name)) != getattr(row, name) for name in ("name", "language")):
        labels.keep(db, row, now)
    for name, value in values.items():
        if name not in allowed:
            raise Invalid("This is not yours to change.", pointer=f"/{name}")
        if value is None and not table.__table__.columns[name].nullable:
            raise Invalid("This cannot be taken away.", pointer=f"/{name}")
        if name == "name" and value != row.name:
            await free_name(db, table, value)
        setattr(row, name, value)


def _visible_distributors(caller: Principal) -> Select[Distributor]:
    query = select(Distributor)
    if caller.kind is PartnerKind.DISTRIBUTOR:
        return query.where(Distributor.id == caller.partner_id)
    if caller.kind is PartnerKind.MSP:
        at = caller.at
        open_now = (
            MspTenure.until_at.is_(None) if at is None else or_(MspTenure.until_at.is_(None), MspTenure.until_at > at)
        )
        own = select(MspTenure.distributor_id).where(MspTenure.msp_id == caller.partner_id, open_now)
        return query.where(Distributor.id.in_(own))
    return query
