"""The fleet as a whole: how many are doing how, and which have been silent long enough to be looked at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.keys import Key, KeyState
from services.partners import Principal
from services.sites.cutoffs import cutoffs
from services.sites.roster import DEPLOYED, HEARD, SiteView, latest, sites_named
from services.sites.silence import Liveness


@dataclass(frozen=True, slots=True)
class Fleet:
    """The sites that a partner sees, counted; liveness only of keys that are active or disabled."""

    sites: int
    by_state: dict[KeyState, int]
    by_liveness: dict[Liveness, int]
    agents: int


async def fleet_of(db: AsyncSession, principal: Principal, now: datetime) -> Fleet:
    """Count a partner's sites, in one statement."""
    cut = await cutoffs(db, now)
    doing: Any = case(*((condition, str(one)) for one, condition in cut.liveness(HEARD).items()), else_="")
    state: Any = case(*((keys.matching(one, None), str(one)) for one in KeyState), else_="")
    each = cut.join(latest(principal, doing.label("doing"), state.label("state"), DEPLOYED.label("n"))).subquery()
    counted = select(each.c.doing, each.c.state, func.count(), func.sum(each.c.n)).group_by(each.c.doing, each.c.state)
    by_state, by_liveness, agents = dict.fromkeys(KeyState, 0), dict.fromkeys(Liveness, 0), 0
    for one, standing, count, deployed in await db.execute(counted):
        by_state[KeyState(standing)] += count
        if standing in (KeyState.ACTIVE, KeyState.DISABLED):
            by_liveness[Liveness(one)] += count
            agents += deployed or 0
    return Fleet(sum(by_state.values()), by_state, by_liveness, agents)


async def silent_of(
    db: AsyncSession, principal: Principal, now: datetime, *, limit: int, closing: bool
) -> list[SiteView]:
    """Give the active sites past their final warning, or past the first one only; the longest silent first.

    Of the latter those are left out whose warnings are snoozed.
    """
    cut = await cutoffs(db, now)
    awake = or_(Key.snoozed_until_at.is_(None), Key.snoozed_until_at <= now)
    which = cut.closing(HEARD) if closing else and_(cut.warned(HEARD), ~cut.closing(HEARD), awake)
    rows = latest(principal, HEARD.label("heard"), which.label("wanted")).where(keys.matching(KeyState.ACTIVE, None))
    each = cut.join(rows).subquery()
    page = select(each.c.site_id).where(each.c.wanted).order_by(each.c.heard, each.c.site_id).limit(limit)
    return await sites_named(db, principal, list(await db.scalars(page)), now)
