"""The fleet as a whole: how many are doing how, and which have been silent long enough to be looked at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.keys import Key, KeyEvent, KeyState
from services.partners import Principal
from services.sites.administration_tables import BackupSummary, Command, RefusedActivation
from services.sites.cutoffs import Cutoffs, cutoffs
from services.sites.roster import DEPLOYED, HEARD, SiteView, latest, site_of, sites_named
from services.sites.silence import Liveness
from services.usage import Line

_STATE: Any = case(*((keys.matching(one, None), str(one)) for one in KeyState), else_="")


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
    columns = (_doing(cut).label("doing"), _STATE.label("state"), DEPLOYED.label("n"))
    each = cut.join(latest(principal, *columns)).subquery()
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


async def fleet_stands(db: AsyncSession, principal: Principal, now: datetime) -> str:
    """Say in a few characters how a partner's sites and their backups stand: other characters, if any has changed."""
    cut = await cutoffs(db, now)
    each = cut.join(latest(principal, _doing(cut).label("doing"), _STATE.label("state"))).subquery()
    word = func.concat(each.c.site_id, each.c.doing, each.c.state)
    sites = await db.scalar(select(func.md5(func.string_agg(word, aggregate_order_by(literal(","), each.c.site_id)))))
    bad = BackupSummary.failed + BackupSummary.overdue + BackupSummary.warning > 0
    seen = partners.visible_to(principal, BackupSummary.site_id)
    backups = await db.execute(select(func.count(), func.max(BackupSummary.told_at)).where(bad, seen))
    return f"{sites} {backups.one()}"


async def site_stands(db: AsyncSession, principal: Principal, site_id: UUID, now: datetime) -> str:
    """Say in a few characters how one site stands, with what it has told and been told."""
    site = await site_of(db, principal, site_id, now)
    of_site = [
        select(func.max(stamp)).where(table.site_id == site_id).scalar_subquery()
        for table, stamp in (
            (KeyEvent, KeyEvent.recorded_at),
            (BackupSummary, BackupSummary.told_at),
            (Command, func.greatest(Command.created_at, Command.sent_at, Command.ended_at)),
            (RefusedActivation, RefusedActivation.last_at),
            (Line, Line.last_contact_at),
        )
    ]
    return f"{site.state} {site.liveness} {site.flags} {(await db.execute(select(*of_site))).one()}"


def _doing(cut: Cutoffs) -> Any:
    return case(*((condition, str(one)) for one, condition in cut.liveness(HEARD).items()), else_="")
