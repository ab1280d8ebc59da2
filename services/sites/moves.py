"""Moves: a site goes to another MSP when the giver offers and the receiver accepts, as the next period begins.

Tenure is written at acceptance, dated ahead, so that the figures of both MSPs are right however late the move is done;
the key itself changes hands with the first sweep after that instant.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services import delivery, keys, partners
from services.errors import Absent, Kind, Refusal
from services.ids import new_id, show
from services.keys import Key
from services.sites import spreading, standing
from services.sites.tables import Move
from services.usage import period_at


class MoveUnderWay(Refusal):
    """This site is offered to another MSP already; withdraw that offer first."""

    kind = Kind.CONFLICT
    code = "move_under_way"


class MoveAccepted(Refusal):
    """The other MSP has accepted; the move is done at the start of the next period."""

    kind = Kind.CONFLICT
    code = "move_accepted"


class NotAnotherMsp(Refusal):
    """A site moves to another, approved MSP; there is none of this id."""

    kind = Kind.INVALID
    code = "not_another_msp"


@dataclass(frozen=True, slots=True)
class Offered:
    """A move, with the names that the receiver is shown: it does not see the site yet."""

    move: Move
    name: str
    from_msp: str
    to_msp: str


async def offer(db: AsyncSession, site_id: UUID, to_msp_id: UUID, *, actor: str, now: datetime) -> Move:
    """Offer a site to another MSP. Twice is once. Raises `NotAnotherMsp`, `MoveUnderWay`."""
    key = await standing.lock(db, site_id)
    receiver = await db.get(partners.Msp, to_msp_id)
    if receiver is None or receiver.approved_at is None or receiver.id == key.msp_id:
        raise NotAnotherMsp(pointer="/to_msp")
    known = await open_move_of(db, site_id)
    if known is not None:
        if known.to_msp_id == to_msp_id:
            return known
        raise MoveUnderWay
    move = Move(
        site_id=site_id,
        id=new_id(now),
        key_id=key.id,
        from_msp_id=key.msp_id,
        to_msp_id=to_msp_id,
        offered_at=now,
        offered_by=actor,
    )
    db.add(move)
    keys.note(db, key, "move_offered", actor=actor, now=now, reason=receiver.name)
    # It does not see the site yet, nor hear of it otherwise.
    subject = {"move": show("move", move.id)}
    delivery.emit(db, partner_id=to_msp_id, kind="move.offered", subject=subject, now=now)
    await db.flush()
    return move


async def withdraw(db: AsyncSession, site_id: UUID, *, actor: str, now: datetime) -> None:
    """Withdraw an offer that nobody has accepted, or refuse it. Twice is once. Raises `MoveAccepted`."""
    key = await standing.lock(db, site_id)
    move = await open_move_of(db, site_id)
    if move is None:
        return
    if move.accepted_at is not None:
        raise MoveAccepted
    move.withdrawn_at = now
    keys.note(db, key, "move_withdrawn", actor=actor, now=now)


async def accept(db: AsyncSession, move: Move, *, actor: str, now: datetime) -> Move:
    """Accept: the site is the receiver's from the start of the giver's next period on. Twice is once."""
    key = await standing.lock(db, move.site_id)
    await db.refresh(move, with_for_update=True)
    if move.withdrawn_at is not None:
        raise Absent
    if move.accepted_at is None:
        giver = await partners.distributor_of(db, move.from_msp_id, now)
        zones = await partners.zones_of(db, giver)
        move.accepted_at, move.accepted_by = now, actor
        move.effective_at = period_at(zones, now).ends_at
        await partners.pass_site_tenure(db, site_id=key.site_id, msp_id=move.to_msp_id, at=move.effective_at)
        keys.note(db, key, "move_accepted", actor=actor, now=now)
        await db.flush()
    return move


async def move_offered_to(db: AsyncSession, msp_id: UUID, move_id: UUID) -> Move:
    """Give a move that was offered to an MSP; raises `Absent`."""
    move = await db.scalar(select(Move).where(Move.id == move_id, Move.to_msp_id == msp_id))
    if move is None or move.withdrawn_at is not None:
        raise Absent
    return move


async def moves_of(db: AsyncSession, msp_id: UUID) -> list[Offered]:
    """Give the moves under way from or to an MSP, oldest first."""
    giver, receiver = aliased(partners.Msp), aliased(partners.Msp)
    rows = await db.execute(
        select(Move, Key.name, giver.name, receiver.name)
        .join(Key, (Key.site_id == Move.site_id) & (Key.id == Move.key_id))
        .join(giver, giver.id == Move.from_msp_id)
        .join(receiver, receiver.id == Move.to_msp_id)
        .where(
            (Move.from_msp_id == msp_id) | (Move.to_msp_id == msp_id),
            Move.withdrawn_at.is_(None),
            Move.done_at.is_(None),
        )
        .order_by(Move.offered_at, Move.id)
    )
    return [Offered(*row) for row in rows]


async def offered(db: AsyncSession, move: Move) -> Offered:
    """Give a move with its names."""
    key = await db.get_one(Key, (move.site_id, move.key_id))
    giver, receiver = await db.get_one(partners.Msp, move.from_msp_id), await db.get_one(partners.Msp, move.to_msp_id)
    return Offered(move, key.name, giver.name, receiver.name)


async def do_next(db: AsyncSession, now: datetime) -> bool:
    """Do one move whose time has come; False if there is none."""
    move = await db.scalar(
        select(Move)
        .where(Move.done_at.is_(None), Move.effective_at <= now)
        .order_by(Move.effective_at, Move.site_id)
        .limit(1)
    )
    if move is None or move.effective_at is None:
        return False
    key = await standing.lock(db, move.site_id)
    await db.refresh(move, with_for_update=True)
    if move.done_at is None:
        await keys.hand_over(db, key, move.to_msp_id, at=move.effective_at, now=now)
        receiver = await db.get_one(
            partners.Msp, move.to_msp_id, with_for_update={"read": True}, populate_existing=True
        )
        if receiver.suspended_at is not None:
            reason = receiver.suspended_reason or "suspended"
            keys.suspend_with_msp(db, key, reason=reason, actor="move", now=now)
        await spreading.tell(db, [key], now)
        await standing.tell(db, key)
        await standing.hand_over(db, key)
        move.done_at = now
        await db.flush()
    return True


async def open_move_of(db: AsyncSession, site_id: UUID) -> Move | None:
    """Give the move that is under way of a site."""
    return await db.scalar(
        select(Move).where(Move.site_id == site_id, Move.withdrawn_at.is_(None), Move.done_at.is_(None))
    )
