"""The vendor gives an MSP that lost its admins a new one: a day after a letter to the old users, who can object."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery
from services.errors import Absent
from services.ids import new_id, show
from services.partners.audit import note
from services.partners.invitations import invite
from services.partners.people_tables import AdminReplacement
from services.partners.principal import VENDOR_ID, PartnerKind, Principal, Role
from services.partners.tables import Msp
from services.partners.users import Partner, people_of, strike_off
from services.signing import Vault

_WAIT = timedelta(hours=24)


async def request_replacement(
    db: AsyncSession,
    caller: Principal,
    msp_id: UUID,
    *,
    email: str,
    language: delivery.Language,
    reason: str,
    now: datetime,
) -> AdminReplacement:
    """Announce a new admin of an MSP, with a letter to every user that it has; raises `Absent`."""
    msp = await db.get(Msp, msp_id)
    if msp is None:
        raise Absent
    row = AdminReplacement(
        id=new_id(now),
        msp_id=msp_id,
        email=email.strip().lower(),
        language=language,
        reason=reason,
        requested_by=caller.actor,
        requested_at=now,
        due_at=now + _WAIT,
    )
    db.add(row)
    await db.flush()
    for user in await people_of(db, Partner(PartnerKind.MSP, msp_id)):
        await delivery.post(
            db,
            occasion=f"replacement {row.id}",
            kind="admin_replacement",
            recipient=user.email,
            language=delivery.language(user.language),
            values={"msp": msp.name, "due_at": row.due_at.isoformat(), "reason": reason},
            now=now,
            partner_id=msp_id,
        )
    await note(
        db, caller, "msp.admin_replacement", show("msp", msp_id), after={"reason": reason}, msp_id=msp_id, now=now
    )
    return row


async def replacements_of(db: AsyncSession, msp_id: UUID) -> Sequence[AdminReplacement]:
    """Give an MSP's replacements, newest first."""
    query = select(AdminReplacement).where(AdminReplacement.msp_id == msp_id)
    return (await db.scalars(query.order_by(AdminReplacement.id.desc()).limit(200))).all()


async def withdraw_replacement(
    db: AsyncSession, caller: Principal, msp_id: UUID, replacement_id: UUID, now: datetime
) -> None:
    """Take a replacement back before it happens; raises `Absent`."""
    row = await db.scalar(
        select(AdminReplacement)
        .where(
            AdminReplacement.id == replacement_id,
            AdminReplacement.msp_id == msp_id,
            AdminReplacement.done_at.is_(None),
            AdminReplacement.withdrawn_at.is_(None),
        )
        .with_for_update()
    )
    if row is None:
        raise Absent
    row.withdrawn_at = now
    await note(db, caller, "msp.admin_replacement_withdrawn", show("msp", msp_id), msp_id=msp_id, now=now)


async def replace_next_admin(db: AsyncSession, vault: Vault, now: datetime) -> bool:
    """Carry out one replacement whose day is over: the old admins go, the new one is invited. False: none is due."""
    row = await db.scalar(
        select(AdminReplacement)
        .where(
            AdminReplacement.due_at <= now, AdminReplacement.done_at.is_(None), AdminReplacement.withdrawn_at.is_(None)
        )
        .order_by(AdminReplacement.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return False
    partner = Partner(PartnerKind.MSP, row.msp_id)
    for user in await people_of(db, partner):
        if user.role == Role.ADMIN:
            await strike_off(db, user, now)
    await invite(
        db,
        vault,
        partner,
        email=row.email,
        role=Role.ADMIN,
        language=delivery.language(row.language),
        invited_by=row.requested_by,
        now=now,
    )
    row.done_at = now
    job = Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, name=row.requested_by)
    await note(db, job, "msp.admin_replaced", show("msp", row.msp_id), msp_id=row.msp_id, now=now)
    await db.flush()
    return True
