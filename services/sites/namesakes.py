"""Namesakes: sites of one MSP whose machines have the same hostname. A new key on a known machine wants a release."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.keys import Key
from services.sites import standing
from services.sites.tables import Installation

SHOWN_MAX = 5
_READ_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Namesake:
    """A site whose Site Manager runs on a machine of that name."""

    site_id: UUID
    key_id: UUID
    name: str


async def namesakes(
    db: AsyncSession, machines: Iterable[tuple[UUID, str, UUID]]
) -> Mapping[tuple[UUID, str, UUID], Sequence[Namesake]]:
    """Give, for machines of MSPs (MSP, hostname, own site), the other sites of that MSP with that hostname.

    Spelled in capitals or not is the same. The caller has seen the machines; so it may see their MSP's sites.
    """
    wanted = set(machines)
    if not wanted:
        return {}
    hostname = func.lower(Installation.hostname)
    rows = await db.execute(
        select(Key.msp_id, hostname, Key.site_id, Key.id, Key.name)
        .join(Installation, (Installation.site_id == Key.site_id) & (Installation.key_id == Key.id))
        .where(Installation.product == standing.SITE_MANAGER, Installation.ended_at.is_(None))
        .where(tuple_(Key.msp_id, hostname).in_({(msp_id, name.lower()) for msp_id, name, _ in wanted}))
        .order_by(Key.site_id)
        .limit(_READ_MAX)
    )
    found: dict[tuple[UUID, str], list[Namesake]] = {}
    for msp_id, name, *site in rows:
        found.setdefault((msp_id, name), []).append(Namesake(*site))
    return {one: _others(found.get((one[0], one[1].lower()), []), one[2]) for one in wanted}


def _others(found: Sequence[Namesake], own: UUID) -> Sequence[Namesake]:
    return [one for one in found if one.site_id != own][:SHOWN_MAX]
