"""An MSP leaves the programme: closed by the vendor, for good, with a letter to whom it concerns."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.ids import show
from services.partners.audit import note
from services.partners.directory import one_msp
from services.partners.principal import PartnerKind, Principal
from services.partners.register import distributor_of
from services.partners.tables import Distributor, Msp
from services.partners.users import Partner, people_of


async def close_msp(db: AsyncSession, caller: Principal, msp_id: UUID, *, reason: str, now: datetime) -> Msp:
    """Close an MSP: it makes no more keys and none activates; what there is stays readable. Twice is once."""
    caller.one_of(PartnerKind.VENDOR)
    msp = await one_msp(db, caller, msp_id, lock=True)
    if msp.closed_at is None:
        msp.closed_at = now
        shown = show("msp", msp.id)
        distributor = await db.get_one(Distributor, await distributor_of(db, msp.id, now))
        await note(db, caller, "msp.closed", shown, after={"reason": reason}, msp_id=msp.id, now=now)
        for partner_id in (msp.id, distributor.id):
            delivery.emit(db, partner_id=partner_id, kind="msp.closed", subject={"msp": shown}, now=now)
        await _write(db, msp, distributor, reason, now)
        await db.flush()
    return msp


async def _write(db: AsyncSession, msp: Msp, distributor: Distributor, reason: str, now: datetime) -> None:
    """Write to its people, its contacts and its distributor: one letter an address, in the language of the first."""
    people = [(user.email, user.language, msp.id) for user in await people_of(db, Partner(PartnerKind.MSP, msp.id))]
    contacts = [(address, msp.language, msp.id) for address in (msp.technical_email, msp.billing_email)]
    for address, language, partner_id in (
        *people,
        *contacts,
        (distributor.email, distributor.language, distributor.id),
    ):
        if address:
            await delivery.post(
                db,
                occasion=f"msp_closed {msp.id}",
                kind="msp_closed",
                recipient=address,
                language=delivery.language(language),
                values={"msp": msp.name, "at": now.isoformat(), "reason": reason},
                now=now,
                partner_id=partner_id,
            )
