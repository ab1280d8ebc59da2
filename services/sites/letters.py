"""What partners are told of their sites: gathered letters to the contacts that domain.md names, and thin events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, partners
from services.delivery import EventKind, Language
from services.keys import Key
from services.sites.ladder import Ladder

WARNING = "silence_warning"
FINAL = "silence_final"
DISABLED = "site_disabled"
BACK = "site_back"
SEAT_TAKEN = "seat_taken"
CLONE = "clone_suspected"

_EVENTS: dict[str, EventKind] = {
    WARNING: "site.warned",
    FINAL: "site.final_warning",
    DISABLED: "site.disabled",
    BACK: "site.back",
    SEAT_TAKEN: "seat.taken",
    CLONE: "site.clone_suspected",
}


async def tell_silence(db: AsyncSession, kind: str, key: Key, heard_at: datetime, dates: Ladder, now: datetime) -> None:
    """Tell a rung of the ladder: the technical contact; the final warning also the distributor."""
    told = {
        "last_contact_at": _show(heard_at),
        "warn_at": _show(dates.warn_at),
        "final_at": _show(dates.final_at),
        "disable_at": _show(dates.disable_at),
    }
    await tell(db, kind, key, told, now, to_distributor=kind == FINAL)


async def tell_back(db: AsyncSession, key: Key, now: datetime) -> None:
    """Tell that a site that had been warned of, or disabled, has been heard again."""
    await tell(db, BACK, key, {"back_at": _show(now)}, now)


async def tell(
    db: AsyncSession, kind: str, key: Key, more: Mapping[str, Any], now: datetime, *, to_distributor: bool = False
) -> None:
    """Write the event, and the letters to those who have an address."""
    msp = await db.get_one(partners.Msp, key.msp_id)
    item = {"site": key.name, "reference": key.reference, "key": key.code_masked, "msp": msp.name, **more}
    subject = {"site": ids.show("site", key.site_id), "key": ids.show("key", key.id)}
    delivery.emit(db, partner_id=msp.id, kind=_EVENTS[kind], subject=subject, now=now)
    addressed = [(msp.technical_email, msp.language, msp.id)]
    if to_distributor:
        distributor_id = await partners.distributor_of(db, msp.id, now)
        distributor = await db.get_one(partners.Distributor, distributor_id)
        addressed.append((distributor.email, distributor.language, distributor.id))
    for recipient, language, partner_id in sorted(one for one in addressed if one[0]):
        await _gather(db, kind, recipient or "", language, {**item, **subject_ids(key)}, partner_id, now)


def subject_ids(key: Key) -> dict[str, str]:
    """Give the shown ids of a site, for links."""
    return {"site_id": ids.show("site", key.site_id), "key_id": ids.show("key", key.id)}


async def _gather(
    db: AsyncSession, kind: str, recipient: str, language: str, item: dict[str, Any], partner_id: UUID, now: datetime
) -> None:
    await delivery.gather(
        db,
        kind=kind,
        recipient=recipient,
        language=cast(Language, language),
        item=item,
        now=now,
        partner_id=partner_id,
    )


def _show(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
