"""The dates of a silence: when each step of the ladder would come for some keys, and when their site was heard last."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.keys import Key
from services.sites import standing
from services.sites.ladder import Ladder, ladder
from services.sites.pulse import outages
from services.sites.tables import Installation
from services.usage import Line


class Heard(NamedTuple):
    """A site's Site Manager, and its last contact."""

    installation_id: UUID
    at: datetime


async def heard_last(db: AsyncSession, site_ids: Collection[UUID]) -> dict[UUID, Heard]:
    """Give the Site Managers of some sites and when they were heard last; those that never were are left out."""
    of_site = (Installation.site_id == Line.site_id) & (Installation.installation_id == Line.installation_id)
    rows = await db.execute(
        select(Line.site_id, Line.installation_id, Line.last_contact_at)
        .join(Installation, of_site)
        .where(Line.site_id.in_(site_ids), Installation.ended_at.is_(None))
        .where(Installation.product == standing.SITE_MANAGER)
        .order_by(Line.last_contact_at)
    )
    return {site_id: Heard(installation_id, at) for site_id, installation_id, at in rows}


async def dates_of(db: AsyncSession, some: Sequence[Key], now: datetime) -> dict[UUID, tuple[datetime, Ladder]]:
    """Give by site when it was heard last, and the dates at which silence would have its effects from then on."""
    heard = await heard_last(db, [key.site_id for key in some])
    spoken = [key for key in some if key.site_id in heard]
    if not spoken:
        return {}
    policies = await keys.policies_of_keys(db, spoken, now)
    own = await outages(db, min(one.at for one in heard.values()), now)
    found = {}
    for key in spoken:
        at = heard[key.site_id].at
        found[key.site_id] = at, ladder(at, policies[key.site_id], own, key.snoozed_until_at)
    return found
