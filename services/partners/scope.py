"""The one tenant scope: which rows a principal sees. `guard` sets row-level security, the net under it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, any_, exists, func, literal, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from services.partners.principal import PartnerKind, Principal
from services.partners.tables import MspTenure, SiteTenure

__all__ = [
    "Principal",
    "guard",
    "held_by",
    "holds_msp",
    "seen_by",
    "unguarded",
    "visible_chain",
    "visible_msp",
    "visible_to",
]

_Column = InstrumentedAttribute[UUID]


def visible_to(principal: Principal, site_id: _Column) -> ColumnElement[bool]:
    """Give the condition on a `site_id` column under which a row exists for the principal, as of when it asks."""
    return _tenure(principal, site_id, _as_of(principal))


def held_by(principal: Principal, msp_id: _Column | InstrumentedAttribute[UUID | None]) -> ColumnElement[bool]:
    """Give the condition under which a row's MSP is the principal, or one that it has as of when it asks."""
    if principal.kind is PartnerKind.VENDOR:
        return true()
    if principal.kind is PartnerKind.MSP:
        return msp_id == principal.partner_id
    # As an array, which is found once a statement: an index is asked by it, before any policy is.
    has = aliased(MspTenure)
    own = select(has.msp_id).where(has.distributor_id == principal.partner_id, _covers(has, _as_of(principal)))
    return msp_id == any_(func.array(own.scalar_subquery()))


def seen_by(principal: Principal, site_id: _Column, at: Any) -> ColumnElement[bool]:
    """Give the condition under which a row dated `at` lies in the principal's own interval of the site."""
    return _tenure(principal, site_id, at)


def visible_msp(principal: Principal, msp_id: _Column) -> ColumnElement[bool]:
    """Give the condition under which an MSP exists for the principal: itself, or one that it has (or had)."""
    if principal.kind is PartnerKind.VENDOR:
        return true()
    if principal.kind is PartnerKind.MSP:
        return msp_id == principal.partner_id
    # An alias, so that a query that selects from msp_tenures itself does not correlate it away.
    had = aliased(MspTenure)
    return exists().where(had.msp_id == msp_id, had.distributor_id == principal.partner_id)


def holds_msp(principal: Principal, msp_id: _Column) -> ColumnElement[bool]:
    """Give the condition under which an MSP is the principal's to change: a distributor's only while it has it."""
    if principal.kind is not PartnerKind.DISTRIBUTOR:
        return visible_msp(principal, msp_id)
    has = aliased(MspTenure)
    of_its_own = and_(has.msp_id == msp_id, has.distributor_id == principal.partner_id)
    return exists().where(of_its_own, _covers(has, _as_of(principal)))


def visible_chain(principal: Principal, msp_id: Any, distributor_id: Any) -> ColumnElement[bool]:
    """Give the condition for rows that name their MSP and the distributor that it had then, like a report."""
    if principal.kind is PartnerKind.VENDOR:
        return true()
    own = msp_id if principal.kind is PartnerKind.MSP else distributor_id
    return and_(own == principal.partner_id)


async def guard(db: AsyncSession, principal: Principal) -> None:
    """Put the transaction under row-level security for the principal, until it ends."""
    of_vendor = principal.kind is PartnerKind.VENDOR
    await db.execute(
        select(
            func.set_config("tidemark.kind", str(principal.kind), True),
            func.set_config("tidemark.partner", str(principal.partner_id), True),
            func.set_config("role", "tidemark_vendor" if of_vendor else "tidemark_tenant", True),
            # A plan for the average partner is wrong for a large one by orders.
            func.set_config("plan_cache_mode", "force_custom_plan", True),
        )
    )


async def unguarded(db: AsyncSession) -> None:
    """Take the net away for the rest of the transaction: for what two partners do together, checked in code."""
    await db.execute(text("select set_config('role', 'none', true)"))


def _as_of(principal: Principal) -> Any:
    return literal(principal.at) if principal.at is not None else None


def _tenure(principal: Principal, site_id: _Column, at: datetime | Any | None) -> ColumnElement[bool]:
    # An alias, so that a query that selects from site_tenures itself does not correlate it away.
    site = aliased(SiteTenure)
    held = and_(site.site_id == site_id, _covers(site, at))
    if principal.kind is PartnerKind.VENDOR:
        return true()
    if principal.kind is PartnerKind.MSP:
        return exists().where(held, site.msp_id == principal.partner_id)
    msp = aliased(MspTenure)
    under = and_(msp.msp_id == site.msp_id, msp.distributor_id == principal.partner_id, _covers(msp, at))
    return exists().where(held, under)


def _covers(tenure: Any, at: Any) -> ColumnElement[bool]:
    """Tell whether a tenure holds `at`; None: whether it is open."""
    if at is None:
        return tenure.until_at.is_(None)  # type: ignore[no-any-return]
    return and_(tenure.from_at <= at, or_(tenure.until_at.is_(None), tenure.until_at > at))
