"""The roster: a partner's sites as it sees them, with liveness and the dated ladder, derived when read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Select, and_, func, literal, select, true, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services import keys, partners
from services.db import in_order, in_sets
from services.errors import Absent
from services.keys import Key, KeyState
from services.partners import PartnerKind, Policy, Principal
from services.sites.cutoffs import Cutoffs, cutoffs
from services.sites.ladder import ladder
from services.sites.pulse import outages
from services.sites.silence import Liveness, Outage, liveness
from services.sites.tables import Installation, SilenceTimer, SiteFlag
from services.usage import Counts, Line


@dataclass(frozen=True, slots=True)
class SiteView:
    """One site: what is known of it now. The ladder's instants are None while nothing has been heard."""

    site_id: UUID
    key_id: UUID
    msp_id: UUID
    name: str
    reference: str | None
    state: KeyState
    liveness: Liveness
    last_contact_at: datetime | None
    hostname: str | None
    version: str | None
    console_url: str | None
    deployed: Counts | None
    known_until_at: datetime | None
    warn_at: datetime | None
    final_at: datetime | None
    disable_at: datetime | None
    snoozed_until_at: datetime | None
    held: bool
    flags: tuple[str, ...]


class _Marks(NamedTuple):
    flags: tuple[str, ...]
    held: bool


class Order(StrEnum):
    """By what a list of sites is sorted; a hyphen before it turns it round in the console's addresses."""

    MADE = "made"
    NAME = "name"
    CONTACT = "contact"
    AGENTS = "agents"


def _deployed(line: Any) -> Any:
    return line.server + func.coalesce(line.workstation, 0) + func.coalesce(line.server_plus, 0)


_BOUND = (
    (Installation.site_id == Key.site_id)
    & (Installation.key_id == Key.id)
    & Installation.ended_at.is_(None)
    & (Installation.product == "site_manager")
)
# The lines of the bound Site Manager: no others say whose they are.
_LINES = (Line.site_id == Key.site_id) & (Line.key_id == Key.id) & (Line.msp_id == Key.msp_id)
_LATEST = select(Line).where(_LINES).order_by(Line.last_contact_at.desc()).limit(1).lateral()
_LINE = aliased(Line, _LATEST)
_LONG_AGO = literal(datetime(2000, 1, 1, tzinfo=UTC), DateTime(timezone=True))
HEARD: Any = Line.last_contact_at
DEPLOYED: Any = _deployed(Line)
_OF_LINES = (Order.CONTACT, Order.AGENTS)
_Page = tuple[Select[UUID], tuple[Any, Any]]


class _Chosen(NamedTuple):
    """Which keys are looked for; of which liveness, if there is a `cut`."""

    matching: ColumnElement[bool]
    cut: Cutoffs | None
    liveness: Liveness


def _place(order: Order, line: Any) -> Any:
    if order is Order.CONTACT:
        return func.coalesce(line.last_contact_at, _LONG_AGO)
    if order is Order.AGENTS:
        return func.coalesce(_deployed(line), -1)
    return func.lower(Key.name) if order is Order.NAME else Key.site_id


async def sites_of(
    db: AsyncSession,
    principal: Principal,
    now: datetime,
    *,
    after: UUID | None,
    limit: int,
    state: KeyState | None = None,
    text: str | None = None,
    liveness: Liveness | None = None,
    order: Order = Order.MADE,
    descending: bool = False,
) -> list[SiteView]:
    """Give a page of the sites that the principal sees, in an order, beginning after one; raises `Absent` for that."""
    cut = await cutoffs(db, now) if liveness is not None else None
    chosen = _Chosen(keys.matching(state, text), cut, liveness or Liveness.ONLINE)
    plain = cut is None and order not in _OF_LINES
    # An MSP's keys lie by name and by age, and a page of them is soon full; others are gone through as a set.
    soon = order not in _OF_LINES if principal.kind is PartnerKind.MSP else plain and order is Order.MADE
    page, place = (_of_keys if soon or plain else _as_a_set)(principal, chosen, order)
    if after is not None:
        here, there = tuple_(*place), await _place_of(db, principal, after, order)
        page = page.where(here < there if descending else here > there)
    page = page.order_by(*(one.desc() if descending else one for one in place)).limit(limit)
    async with in_order(db) if soon else in_sets(db):
        found = list(await db.scalars(page))
    return await sites_named(db, principal, found, now)


def _of_keys(principal: Principal, chosen: _Chosen, order: Order) -> _Page:
    """Ask each key for its line that was heard last."""
    page = select(Key.site_id).where(scope_of(principal), chosen.matching)
    if chosen.cut is not None:
        page = page.outerjoin(_LINE, true())
        page = chosen.cut.join(page).where(chosen.cut.liveness(_LINE.last_contact_at)[chosen.liveness])
    return page, (_place(order, _LINE), Key.site_id)


def _as_a_set(principal: Principal, chosen: _Chosen, order: Order) -> _Page:
    """Put all keys and their lines beside each other."""
    column, cut = _place(order, Line).label("place"), chosen.cut
    doing = cut.liveness(HEARD)[chosen.liveness] if cut is not None else true()
    rows = latest(principal, column, doing.label("wanted")).where(chosen.matching)
    each = (cut.join(rows) if cut is not None else rows).subquery().c
    return select(each.site_id).where(each.wanted), (each.place, each.site_id)


async def _place_of(db: AsyncSession, principal: Principal, site_id: UUID, order: Order) -> Any:
    """Give the place of a site in an order; raises `Absent` also for a stranger's."""
    place = (_place(order, _LINE), Key.site_id)
    own = (Key.site_id == site_id, partners.visible_to(principal, Key.site_id))
    found = (await db.execute(select(*place).outerjoin(_LINE, true()).where(*own))).first()
    if found is None:
        raise Absent
    return tuple_(*(literal(value, column.type) for value, column in zip(found, place, strict=True)))


async def sites_named(
    db: AsyncSession, principal: Principal, site_ids: Sequence[UUID], now: datetime
) -> list[SiteView]:
    """Give sites in the order in which they are named, those that the principal sees."""
    found = await _views(db, _roster(principal).where(Key.site_id.in_(site_ids)), now) if site_ids else []
    by_id = {one.site_id: one for one in found}
    return [by_id[one] for one in site_ids if one in by_id]


async def site_of(db: AsyncSession, principal: Principal, site_id: UUID, now: datetime) -> SiteView:
    """Give one site; raises `Absent` also for a stranger's."""
    found = await _views(db, _roster(principal).where(Key.site_id == site_id), now)
    if not found:
        raise Absent
    return found[0]


async def machines_of(db: AsyncSession, principal: Principal, site_id: UUID) -> Sequence[Installation]:
    """Give the installations that a site ever had, those that are entitled to something first, newest first."""
    own = (Installation.site_id == site_id, partners.visible_to(principal, Installation.site_id))
    order = (Installation.ended_at.desc().nulls_first(), Installation.activated_at.desc())
    return (await db.scalars(select(Installation).where(*own).order_by(*order))).all()


async def keys_of_liveness(
    db: AsyncSession,
    principal: Principal,
    now: datetime,
    wanted: Liveness,
    *,
    after: UUID | None,
    limit: int,
    state: KeyState | None = None,
    text: str | None = None,
) -> list[Key]:
    """Give a page of the keys whose sites are doing so, in the order in which they were made."""
    cut = await cutoffs(db, now)
    doing = cut.liveness(HEARD)[wanted].label("wanted")
    places = cut.join(latest(principal, Key.id.label("key_id"), doing).where(keys.matching(state, text))).subquery()
    page = select(Key).join(places, places.c.key_id == Key.id).where(places.c.wanted).order_by(Key.id).limit(limit)
    async with in_sets(db):
        return list(await db.scalars(page if after is None else page.where(Key.id > after)))


def scope_of(principal: Principal) -> ColumnElement[bool]:
    """Say which keys are in a principal's lists: those that it sees, once the move of a site that came is done.

    The column alone would do but for that; it is what the keys lie by.
    """
    return and_(partners.held_by(principal, Key.msp_id), partners.visible_to(principal, Key.site_id))


def latest(principal: Principal, *columns: Any) -> Select[*tuple[Any, ...]]:
    """Give each key with columns of its own and of the line that was heard last: as a set, for whole fleets."""
    return (
        select(Key.site_id, *columns)
        .outerjoin(Line, and_(_LINES, partners.held_by(principal, Line.msp_id)))
        .where(scope_of(principal))
        .ext(distinct_on(Key.site_id))
        .order_by(Key.site_id, Line.last_contact_at.desc().nulls_last())
    )


def _roster(principal: Principal) -> Select[*tuple[Any, ...]]:
    """Give each key with its bound Site Manager and the line that was heard last; both None where there is none."""
    rows = select(Key, Installation, _LINE).outerjoin(Installation, _BOUND).outerjoin(_LINE, true())
    return rows.where(partners.visible_to(principal, Key.site_id))


async def _views(db: AsyncSession, query: Select[*tuple[Any, ...]], now: datetime) -> list[SiteView]:
    """Read the sites of a roster, with as many queries for many as for few."""
    rows = (await db.execute(query)).all()
    policies = await keys.policies_of_keys(db, [key for key, _, _ in rows], now)
    marks = await _marks(db, [key.site_id for key, _, _ in rows])
    since = min((line.last_contact_at for _, _, line in rows if line), default=now)
    own = await outages(db, since, now)
    return [
        _view(key, installation, line, policies[key.site_id], own, marks[key.site_id], now)
        for key, installation, line in rows
    ]


async def _marks(db: AsyncSession, site_ids: Sequence[UUID]) -> dict[UUID, _Marks]:
    """Give what is known of sites beside their lines: flags, and whether the sweep holds them."""
    up = select(SiteFlag).where(SiteFlag.site_id.in_(site_ids), SiteFlag.until_at.is_(None)).order_by(SiteFlag.flag)
    flags: dict[UUID, tuple[str, ...]] = {}
    for row in await db.scalars(up):
        flags[row.site_id] = (*flags.get(row.site_id, ()), row.flag)
    holds = select(SilenceTimer.site_id).where(SilenceTimer.site_id.in_(site_ids), SilenceTimer.held_at.is_not(None))
    held = set(await db.scalars(holds))
    return {site_id: _Marks(flags.get(site_id, ()), site_id in held) for site_id in site_ids}


def _view(
    key: Key,
    installation: Installation | None,
    line: Line | None,
    policy: Policy,
    own: Sequence[Outage],
    marks: _Marks,
    now: datetime,
) -> SiteView:
    heard = line.last_contact_at if line else None
    dates = ladder(heard, policy, own, key.snoozed_until_at) if heard else None
    return SiteView(
        site_id=key.site_id,
        key_id=key.id,
        msp_id=key.msp_id,
        name=key.name,
        reference=key.reference,
        state=key.state,
        liveness=liveness(
            heard,
            now,
            own,
            heartbeat_seconds=policy.heartbeat_seconds,
            warn_after_seconds=policy.warn_after_seconds,
            disable_after_seconds=policy.disable_after_seconds,
        ),
        last_contact_at=heard,
        hostname=installation.hostname if installation else None,
        version=installation.version if installation else None,
        console_url=installation.console_url if installation else None,
        deployed=_counts(line),
        known_until_at=line.known_until_at if line else None,
        warn_at=dates.warn_at if dates else None,
        final_at=dates.final_at if dates else None,
        disable_at=dates.disable_at if dates else None,
        snoozed_until_at=key.snoozed_until_at,
        held=marks.held,
        flags=marks.flags,
    )


def _counts(line: Line | None) -> Counts | None:
    if line is None or line.server is None:
        return None
    return Counts(line.server, line.workstation or 0, line.server_plus or 0)
