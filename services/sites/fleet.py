"""The fleet as a whole: how many are doing how, and which have been silent long enough to be looked at."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Uuid, and_, case, cast, func, literal, null, or_, select, union_all
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners
from services.db import in_sets
from services.keys import Key, KeyEvent, KeyState
from services.partners import Principal
from services.sites.administration_tables import BackupSummary, Command, RefusedActivation
from services.sites.backups import TROUBLED
from services.sites.cutoffs import Cutoffs, cutoffs
from services.sites.roster import DEPLOYED, HEARD, SiteView, latest, site_of, sites_named
from services.sites.silence import Liveness
from services.usage import Line

_STATE: Any = case(*((keys.matching(one, None), str(one)) for one in KeyState), else_="")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The sites that a partner sees, counted; liveness only of keys that are active or disabled.

    Of the active ones past their final warning (`closing`), or past the first one only (`silent`), the longest silent
    are named; of the latter not those whose warnings are snoozed.
    """

    sites: int
    by_state: dict[KeyState, int]
    by_liveness: dict[Liveness, int]
    agents: int
    closing: list[SiteView]
    silent: list[SiteView]


async def fleet_of(db: AsyncSession, principal: Principal, now: datetime, *, silent_max: int = 0) -> Fleet:
    """Count a partner's sites and name the longest silent of them, so many at most; all by one look at them."""
    counts, named = await _look_over(db, principal, await cutoffs(db, now), silent_max)
    by_state, by_liveness, agents = dict.fromkeys(KeyState, 0), dict.fromkeys(Liveness, 0), 0
    for doing, state, count, deployed in counts:
        by_state[KeyState(state)] += count
        if state in (KeyState.ACTIVE, KeyState.DISABLED):
            by_liveness[Liveness(doing)] += count
            agents += deployed or 0
    views = await sites_named(db, principal, list(named), now)
    closing = [one for one in views if named[one.site_id]]
    silent = [one for one in views if not named[one.site_id]]
    return Fleet(sum(by_state.values()), by_state, by_liveness, agents, closing, silent)


async def _look_over(
    db: AsyncSession, principal: Principal, cut: Cutoffs, silent_max: int
) -> tuple[list[tuple[str, str, int, int | None]], dict[UUID, bool]]:
    """Give the counts by liveness and state; and the longest silent sites, each with whether it is closing."""
    awake = or_(Key.snoozed_until_at.is_(None), Key.snoozed_until_at <= cut.now)
    closing = cut.closing(HEARD)
    wanted = and_(keys.matching(KeyState.ACTIVE, None), cut.warned(HEARD), or_(awake, closing))
    columns = (_doing(cut).label("doing"), _STATE.label("state"), DEPLOYED.label("n"), HEARD.label("heard"))
    rows = latest(principal, *columns, closing.label("closing"), wanted.label("wanted"))
    each = cut.join(rows).cte("each").c
    counted = select(each.doing, each.state, func.count(), func.sum(each.n), cast(null(), Uuid), cast(null(), Boolean))
    silent = (
        select(literal(""), literal(""), literal(0), literal(0), each.site_id, each.closing)
        .where(each.wanted)
        .order_by(each.heard, each.site_id)
        .limit(silent_max)
    )
    both = union_all(counted.group_by(each.doing, each.state), silent.subquery().select())
    async with in_sets(db):
        found = (await db.execute(both)).all()
    counts = [(doing, state, count, n) for doing, state, count, n, site_id, _ in found if site_id is None]
    return counts, {site_id: bool(is_closing) for *_, site_id, is_closing in found if site_id is not None}


async def fleet_stands(db: AsyncSession, principal: Principal, now: datetime) -> str:
    """Say in a few characters how a partner's sites and their backups stand: other characters, if any has changed."""
    cut = await cutoffs(db, now)
    each = cut.join(latest(principal, _doing(cut).label("doing"), _STATE.label("state"))).subquery()
    word = func.concat(each.c.site_id, each.c.doing, each.c.state)
    async with in_sets(db):
        sites = await db.scalar(
            select(func.md5(func.string_agg(word, aggregate_order_by(literal(","), each.c.site_id))))
        )
    seen = partners.visible_to(principal, BackupSummary.site_id)
    backups = await db.execute(select(func.count(), func.max(BackupSummary.told_at)).where(TROUBLED, seen))
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
