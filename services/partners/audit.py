"""The audit log: who did what, when, from where; readable by the partners it concerns, changed by nobody."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent
from services.ids import new_id, read
from services.partners.people_tables import AuditEntry, User
from services.partners.principal import PartnerKind, Principal
from services.partners.register import distributor_of
from services.partners.scope import visible_chain


async def note(
    db: AsyncSession,
    caller: Principal,
    action: str,
    subject: str,
    *,
    now: datetime,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    msp_id: UUID | None = None,
    distributor_id: UUID | None = None,
) -> None:
    """Add a line: an action like `key.code_shown` on a shown id. An MSP or distributor that it concerns may be named.

    Before and after hold what changed, never a secret.
    """
    msp_id = msp_id or (caller.partner_id if caller.kind is PartnerKind.MSP else None)
    distributor_id = distributor_id or (caller.partner_id if caller.kind is PartnerKind.DISTRIBUTOR else None)
    db.add(
        AuditEntry(
            id=new_id(now),
            at=now,
            msp_id=msp_id,
            distributor_id=distributor_id or await _distributor(db, msp_id, now),
            actor=caller.actor,
            action=action,
            subject=subject,
            before=dict(before) if before is not None else None,
            after=dict(after) if after is not None else None,
            address=caller.origin.address,
            request_id=caller.origin.request_id,
        )
    )


async def audit_log(
    db: AsyncSession, caller: Principal, *, subject: str | None, after: UUID | None, limit: int
) -> Sequence[AuditEntry]:
    """Give a page of the lines that concern the caller, newest first, beginning after an id."""
    query = select(AuditEntry).where(visible_chain(caller, AuditEntry.msp_id, AuditEntry.distributor_id))
    if subject is not None:
        query = query.where(AuditEntry.subject == subject)
    if after is not None:
        query = query.where(AuditEntry.id < after)
    return (await db.scalars(query.order_by(AuditEntry.id.desc()).limit(limit))).all()


async def _distributor(db: AsyncSession, msp_id: UUID | None, now: datetime) -> UUID | None:
    if msp_id is None:
        return None
    try:
        return await distributor_of(db, msp_id, now)
    except Absent:
        return None


async def names_of_actors(db: AsyncSession, caller: Principal, actors: Collection[str]) -> Mapping[str, str]:
    """Give the names of those actors that are people of the caller's own partner, or of anybody for the vendor."""
    wanted = {found: actor for actor in set(actors) if (found := read("user", actor)) is not None}
    query = select(User.id, User.name).where(User.id.in_(wanted), User.name != "")
    if caller.kind is not PartnerKind.VENDOR:
        query = query.where(User.partner_id == caller.partner_id)
    return {wanted[user_id]: name for user_id, name in await db.execute(query)}
