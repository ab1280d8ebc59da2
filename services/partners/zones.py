"""The zones that bound a distributor's months. A change holds from the start of a period on, so periods tile time.

What a zone makes of an instant is `services.usage`'s to say (`period_at`); here stands which one is in force, when.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.errors import Absent
from services.ids import show
from services.partners.audit import note
from services.partners.principal import Principal
from services.partners.register import DistributorClosed, msps_of
from services.partners.tables import Distributor, ZoneChange

# Each zone with the instant from which it holds; the first holds from ever.
Zones = tuple[tuple[datetime, str], ...]
_INSTANT = timedelta(microseconds=1)


async def zones_of(db: AsyncSession, distributor_id: UUID) -> Zones:
    """Give the zones of a distributor, in their order; the last may lie ahead. Raises `Absent`."""
    distributor = await db.get(Distributor, distributor_id)
    if distributor is None:
        raise Absent
    return (await zones_of_each(db, [distributor]))[distributor_id]


async def zones_of_each(db: AsyncSession, distributors: Iterable[Distributor]) -> dict[UUID, Zones]:
    """Give the zones of some distributors."""
    found: dict[UUID, Zones] = {one.id: ((one.created_at, one.zone),) for one in distributors}
    changes = select(ZoneChange).where(ZoneChange.distributor_id.in_(found)).order_by(ZoneChange.from_at)
    for change in await db.scalars(changes):
        found[change.distributor_id] += ((change.from_at, change.zone),)
    return found


def zone_at(zones: Zones, at: datetime) -> str:
    """Give the zone in force at an instant."""
    return next((zone for from_at, zone in reversed(zones) if from_at <= at), zones[0][1])


async def change_zone(
    db: AsyncSession, caller: Principal, distributor: Distributor, *, zone: str, at: datetime, now: datetime
) -> None:
    """Let the months of a locked distributor be another zone's from `at` on, where its present period ends.

    The zone that it has takes back a change that lies ahead. Twice is once. Raises `DistributorClosed`.
    """
    if distributor.closed_at is not None:
        raise DistributorClosed
    zones = await zones_of(db, distributor.id)
    if zone == zone_at(zones, at):
        return
    ahead = (ZoneChange.distributor_id == distributor.id, ZoneChange.from_at > now)
    await db.execute(delete(ZoneChange).where(*ahead))
    if zone != zone_at(zones, now):
        db.add(ZoneChange(distributor_id=distributor.id, from_at=at, zone=zone))
    await db.flush()
    shown = show("distributor", distributor.id)
    before, after = {"zone": zone_at(zones, at)}, {"zone": zone, "at": at.isoformat()}
    await note(
        db, caller, "distributor.zone_changed", shown,
        before=before, after=after, distributor_id=distributor.id, now=now,
    )  # fmt: skip
    await _tell(db, distributor, zone, at, now)


async def _tell(db: AsyncSession, distributor: Distributor, zone: str, at: datetime, now: datetime) -> None:
    """Tell the distributor and its MSPs: their months end at another instant from then on."""
    told = [(distributor.id, distributor.email, distributor.language)]
    its_msps = [msp for msp in await msps_of(db, distributor.id, at, at + _INSTANT) if msp.closed_at is None]
    told += [(msp.id, msp.billing_email or msp.technical_email, msp.language) for msp in its_msps]
    subject = {"distributor": show("distributor", distributor.id)}
    for partner_id, address, language in told:
        delivery.emit(db, partner_id=partner_id, kind="distributor.zone_changed", subject=subject, now=now)
        if address:
            await delivery.post(
                db,
                occasion=f"zone {distributor.id} {zone} {now.isoformat()}",
                kind="zone_change",
                recipient=address,
                language=delivery.language(language),
                values={"distributor": distributor.name, "zone": zone, "at": at.isoformat()},
                now=now,
                partner_id=partner_id,
            )
