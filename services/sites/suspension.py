"""The suspension of a whole MSP, by those above it: its distributor of now, or the vendor."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services import partners
from services.ids import show
from services.partners import Msp, PartnerKind, Principal
from services.sites import orders


async def suspend_msp(db: AsyncSession, caller: Principal, msp_id: UUID, *, reason: str, now: datetime) -> Msp:
    """Suspend an MSP with all its keys, and those it gets later. Twice is once; raises `Absent`, `WrongPartner`."""
    msp = await _below(db, caller, msp_id)
    if msp.suspended_at is None:
        await orders.suspend_msp(db, msp_id, reason=reason, actor=caller.actor, now=now)
        after = {"reason": reason}
        await partners.note(db, caller, "msp.suspended", show("msp", msp_id), after=after, msp_id=msp_id, now=now)
    return msp


async def resume_msp(db: AsyncSession, caller: Principal, msp_id: UUID, *, now: datetime) -> Msp:
    """Take an MSP's suspension back. Twice is once; raises `Absent`, `WrongPartner`."""
    msp = await _below(db, caller, msp_id)
    if msp.suspended_at is not None:
        await orders.resume_msp(db, msp_id, actor=caller.actor, now=now)
        await partners.note(db, caller, "msp.resumed", show("msp", msp_id), msp_id=msp_id, now=now)
    return msp


async def _below(db: AsyncSession, caller: Principal, msp_id: UUID) -> Msp:
    caller.one_of(PartnerKind.DISTRIBUTOR, PartnerKind.VENDOR)
    return await partners.one_msp(db, caller, msp_id, lock=True)
