"""What a partner was called and which language it read: a report is about its period, so it has those of its end."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.ids import new_id
from services.partners.tables import Distributor, Msp, PartnerLabel


class Called(NamedTuple):
    """A partner's name and language at an instant."""

    name: str
    language: str


def keep(db: AsyncSession, partner: Msp | Distributor, now: datetime) -> None:
    """Keep what a partner is called, before it is called otherwise from now on."""
    label = PartnerLabel(
        id=new_id(now), partner_id=partner.id, until_at=now, name=partner.name, language=partner.language
    )
    db.add(label)


async def called_at(db: AsyncSession, partners: Collection[Msp | Distributor], at: datetime) -> dict[UUID, Called]:
    """Give what each of some partners was called up to an instant."""
    kept = await db.scalars(
        select(PartnerLabel)
        .where(PartnerLabel.partner_id.in_([one.id for one in partners]), PartnerLabel.until_at >= at)
        .order_by(PartnerLabel.until_at.desc(), PartnerLabel.id.desc())
    )
    found = {one.id: Called(one.name, one.language) for one in partners}
    return found | {label.partner_id: Called(label.name, label.language) for label in kept}
