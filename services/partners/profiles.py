"""Who a person is, as its pages show it: its name, its partner's, and the zone in which it reads times."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.partners.people_tables import User
from services.partners.principal import PartnerKind, Principal, Role
from services.partners.tables import Distributor, Msp, MspTenure, ZoneChange

_VENDOR_ZONE = "UTC"


@dataclass(frozen=True, slots=True)
class Profile:
    """A person in short. The zone is its own choice, else its distributor's, else UTC."""

    email: str
    name: str
    role: Role
    language: str
    partner: str
    zone: str
    second_factor: bool


async def profile_of(db: AsyncSession, principal: Principal) -> Profile:
    """Give the person that a principal is."""
    partner, zone = literal(""), literal(_VENDOR_ZONE)
    query = select(User)
    if principal.kind is PartnerKind.DISTRIBUTOR:
        partner, zone = Distributor.name, _zone(principal)  # type: ignore[assignment]
        query = query.join(Distributor, Distributor.id == User.partner_id)
    elif principal.kind is PartnerKind.MSP:
        partner, zone = Msp.name, func.coalesce(_zone(principal), _VENDOR_ZONE)  # type: ignore[assignment]
        present = or_(MspTenure.until_at.is_(None), MspTenure.until_at > principal.at) & (
            MspTenure.from_at <= principal.at
        )
        query = query.join(Msp, Msp.id == User.partner_id)
        query = query.outerjoin(MspTenure, (MspTenure.msp_id == Msp.id) & present)
        query = query.outerjoin(Distributor, Distributor.id == MspTenure.distributor_id)
    found = query.where(User.id == principal.person()).with_only_columns(
        User, partner, zone, maintain_column_froms=True
    )
    user, its_partner, its_zone = (await db.execute(found)).one()
    return Profile(
        email=user.email,
        name=user.name,
        role=Role(user.role),
        language=user.language,
        partner=its_partner,
        zone=user.zone or its_zone,
        second_factor=user.totp_confirmed_at is not None,
    )


def _zone(principal: Principal) -> ColumnElement[str]:
    """Give the zone in force of the distributor that a query joins."""
    begun = (ZoneChange.distributor_id == Distributor.id, ZoneChange.from_at <= principal.at)
    latest = select(ZoneChange.zone).where(*begun).order_by(ZoneChange.from_at.desc()).limit(1)
    return func.coalesce(latest.scalar_subquery(), Distributor.zone)
