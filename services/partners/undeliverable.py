"""An address that takes no letters is told to whoever can mend it: the MSP by an event, its distributor by a letter."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.delivery import Letter
from services.errors import Absent
from services.ids import show
from services.partners.register import distributor_of
from services.partners.tables import Distributor, Msp

_KIND = "address_undeliverable"


async def tell_undeliverable(db: AsyncSession, letter: Letter, now: datetime) -> None:
    """Tell of a letter that was given up. A letter of this very kind is not told of: that would never end."""
    msp = await db.get(Msp, letter.partner_id) if letter.partner_id else None
    if msp is None or letter.kind == _KIND:
        return
    shown = {"msp": show("msp", msp.id), "letter": show("letter", letter.id)}
    delivery.emit(db, partner_id=msp.id, kind="letter.undeliverable", subject=shown, now=now)
    try:
        distributor = await db.get_one(Distributor, await distributor_of(db, msp.id, now))
    except Absent:
        return
    delivery.emit(db, partner_id=distributor.id, kind="letter.undeliverable", subject=shown, now=now)
    if distributor.email:
        await delivery.post(
            db,
            occasion=f"undeliverable {letter.recipient} {now:%Y-%m-%d}",
            kind=_KIND,
            recipient=distributor.email,
            language=delivery.language(distributor.language),
            values={"msp": msp.name, "address": letter.recipient, "failure": letter.failure or ""},
            now=now,
            partner_id=distributor.id,
        )
