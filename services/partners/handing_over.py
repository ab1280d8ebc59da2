"""MSPs that pass to another distributor at the end of a period: one by one, or all together when theirs closes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.errors import Absent, Kind, Refusal
from services.ids import show
from services.partners.audit import note
from services.partners.directory import one_distributor, one_msp
from services.partners.policy import spread_from
from services.partners.principal import VENDOR_ID, PartnerKind, Principal
from services.partners.register import DistributorClosed, open_distributor
from services.partners.tables import Distributor, Msp, MspTenure


class AlreadyMoving(Refusal):
    """The MSP moves already, or has that distributor."""

    kind = Kind.CONFLICT
    code = "already_moving"


async def move_msp(
    db: AsyncSession, caller: Principal, msp_id: UUID, *, distributor_id: UUID, at: datetime, now: datetime
) -> None:
    """Move an MSP to another distributor at an instant to come: its present period's end.

    Raises `AlreadyMoving`, `DistributorClosed`.
    """
    caller.one_of(PartnerKind.VENDOR)
    msp = await one_msp(db, caller, msp_id, lock=True)
    await one_distributor(db, caller, distributor_id)
    receiver = await open_distributor(db, distributor_id)
    last = await db.scalar(select(MspTenure).where(MspTenure.msp_id == msp_id, MspTenure.until_at.is_(None)))
    if last is None or last.from_at > now or last.distributor_id == distributor_id:
        raise AlreadyMoving
    await _hand_over(db, caller, msp, last, receiver, at, now)


async def close_distributor(
    db: AsyncSession, caller: Principal, distributor_id: UUID, *, to_id: UUID, reason: str, at: datetime, now: datetime
) -> Distributor:
    """Close a distributor at `at`, its present period's end: its MSPs pass to another, and its countries are free.

    What it issued stays readable, and its last month is closed and stated as any other. Twice is once. Raises
    `DistributorClosed` for a receiver that closes too, or is the same.
    """
    caller.one_of(PartnerKind.VENDOR)
    wanted = select(Distributor).where(Distributor.id.in_([distributor_id, to_id])).order_by(Distributor.id)
    found = {row.id: row for row in await db.scalars(wanted.with_for_update())}
    closing, receiver = found.get(distributor_id), found.get(to_id)
    if closing is None or receiver is None:
        raise Absent
    if closing.closed_at is not None:
        return closing
    if receiver.closed_at is not None or receiver is closing:
        raise DistributorClosed(pointer="/to")
    closing.closed_at, closing.territory = at, []
    shown = show("distributor", closing.id)
    after = {"reason": reason, "to": show("distributor", to_id), "at": at.isoformat()}
    await note(db, caller, "distributor.closed", shown, after=after, distributor_id=closing.id, now=now)
    for tenure, msp in await _msps_to_come(db, closing.id):
        await _hand_over(db, caller, msp, tenure, receiver, at, now)
    for partner_id in (VENDOR_ID, closing.id, receiver.id):
        delivery.emit(db, partner_id=partner_id, kind="distributor.closed", subject={"distributor": shown}, now=now)
    if closing.email:
        values = {"distributor": closing.name, "to": receiver.name, "at": at.isoformat(), "reason": reason}
        await _write(db, "distributor_closed", closing.id, closing.email, closing.language, values, now)
    await db.flush()
    return closing


async def _msps_to_come(db: AsyncSession, distributor_id: UUID) -> list[tuple[MspTenure, Msp]]:
    """Give the last tenures of the MSPs that are the distributor's, or will be, and lock them."""
    rows = await db.execute(
        select(MspTenure, Msp)
        .join(Msp, Msp.id == MspTenure.msp_id)
        .where(MspTenure.distributor_id == distributor_id, MspTenure.until_at.is_(None))
        .order_by(Msp.id)
        .with_for_update(of=Msp)
    )
    return [(tenure, msp) for tenure, msp in rows]


async def _hand_over(
    db: AsyncSession, caller: Principal, msp: Msp, last: MspTenure, receiver: Distributor, at: datetime, now: datetime
) -> None:
    """Let an MSP's last tenure end at an instant, and one under the receiver begin; one still to come changes hands."""
    old_id, msp_id, distributor_id = last.distributor_id, msp.id, receiver.id
    if last.from_at > now:
        last.distributor_id, at = distributor_id, last.from_at
    else:
        last.until_at = at
        db.add(MspTenure(msp_id=msp_id, distributor_id=distributor_id, from_at=at, until_at=None))
    await spread_from(db, "msp", msp_id, at)  # the new distributor's policy holds from then on
    shown = show("msp", msp_id)
    after = {"distributor": show("distributor", distributor_id), "at": at.isoformat()}
    await note(db, caller, "msp.moved", shown, after=after, msp_id=msp_id, distributor_id=old_id, now=now)
    for partner_id in (msp_id, old_id, distributor_id):
        delivery.emit(db, partner_id=partner_id, kind="msp.moved", subject={"msp": shown}, now=now)
    await _tell(db, msp, await db.get_one(Distributor, old_id), receiver, at, now)
    await db.flush()


async def _tell(
    db: AsyncSession, msp: Msp, giver: Distributor, receiver: Distributor, at: datetime, now: datetime
) -> None:
    """Write to the MSP, and to both distributors: each of these one letter, however many MSPs pass at once."""
    values = {"msp": msp.name, "distributor": giver.name, "to": receiver.name, "at": at.isoformat()}
    address = msp.billing_email or msp.technical_email
    if address and msp.closed_at is None:
        await _write(db, "msp_moved", msp.id, address, msp.language, values, now)
    for one in sorted((giver, receiver), key=lambda row: row.email or ""):
        if one.email:
            await delivery.gather(
                db,
                kind="msps_moved",
                recipient=one.email,
                language=delivery.language(one.language),
                item=values,
                now=now,
                partner_id=one.id,
            )


async def _write(
    db: AsyncSession, kind: str, partner_id: UUID, address: str, language: str, values: dict[str, str], now: datetime
) -> None:
    await delivery.post(
        db,
        occasion=f"{kind} {partner_id} {now.isoformat()}",
        kind=kind,
        recipient=address,
        language=delivery.language(language),
        values=values,
        now=now,
        partner_id=partner_id,
    )
