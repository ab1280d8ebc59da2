"""What an operator does by hand: held sweeps, the signing key, suspended MSPs, the vendor's admins, lost letters."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, partners, sites
from services.clock import system_clock
from services.db import make_engine, make_sessions
from services.partners import VENDOR_ID, PartnerKind, Principal, Right
from services.settings import Settings
from services.signing import Vault

T = TypeVar("T")


async def within(settings: Settings, act: Callable[[AsyncSession, datetime], Awaitable[T]]) -> T:
    """Do something in a transaction of its own, now."""
    engine = make_engine(settings.database_url)
    try:
        async with make_sessions(engine).begin() as db:
            return await act(db, system_clock())
    finally:
        await engine.dispose()


async def show_sweep(settings: Settings) -> list[str]:
    """Say which sites the sweep would disable now, and what it holds; changes nothing."""

    async def look(db: AsyncSession, now: datetime) -> list[str]:
        found = await sites.dry_run(db, operator(now), now)
        lines = [f"{found.effects[sites.Effect.DISABLED]} sites would be disabled now."]
        lines += [
            f"  {one.name} ({one.msp}): last heard {one.last_contact_at:%Y-%m-%d %H:%M} UTC"
            for one in found.foreseen
            if one.effect is sites.Effect.DISABLED
        ]
        for held in await sites.breaker.held(db):
            lines.append(f"Held: {held.sites} of {held.msp} ({held.msp_id}) since {held.since_at:%Y-%m-%d %H:%M} UTC")
        return lines

    return await within(settings, look)


def operator(now: datetime) -> Principal:
    """Give whom the log names for what is done at the machine itself: the vendor's operator."""
    return Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, frozenset(Right), at=now, name="operator")


async def release_sweep(settings: Settings, msp_id: UUID) -> int:
    """Let the sweep disable what it holds of an MSP; gives how many sites."""
    return await within(settings, lambda db, now: sites.breaker.release(db, msp_id, now))


async def rotate_signing(settings: Settings) -> str:
    """Make a new key for leases; says when it signs."""
    vault = Vault(settings.master_secret.get_secret_value())

    async def rotate(db: AsyncSession, now: datetime) -> str:
        made = await sites.rotate_signing_key(db, vault, now)
        return f"Key {made.kid} is published now and signs from {made.signs_from_at:%Y-%m-%d %H:%M} UTC on."

    return await within(settings, rotate)


async def invite_admin(settings: Settings, email: str, language: delivery.Language) -> str:
    """Invite an admin of the vendor; gives the link that the letter has."""
    vault = Vault(settings.master_secret.get_secret_value())
    path = await within(
        settings,
        lambda db, now: partners.invite_vendor_admin(db, vault, email=email, language=language, now=now),
    )
    return settings.public_url.rstrip("/") + path


async def suspend_msp(settings: Settings, msp_id: UUID, reason: str) -> int:
    """Suspend an MSP with all its keys; gives how many keys were changed."""
    return await within(
        settings, lambda db, now: sites.orders.suspend_msp(db, msp_id, reason=reason, actor="operator", now=now)
    )


async def resume_msp(settings: Settings, msp_id: UUID) -> int:
    """Take an MSP's suspension back; gives how many keys were changed."""
    return await within(settings, lambda db, now: sites.orders.resume_msp(db, msp_id, actor="operator", now=now))


async def letter_bounced(settings: Settings, which: str | None, reason: str, message: bytes = b"") -> str:
    """Note that a letter came back: one named by its id, the last one to an address, or that of a delivery report."""

    async def note(db: AsyncSession, now: datetime) -> str:
        if which is None:
            bounce = delivery.read_bounce(message)
        else:
            letter_id = ids.read("letter", which) or await delivery.last_letter_to(db, which)
            bounce = delivery.Bounce(letter_id, reason) if letter_id else None
        if bounce is None:
            return "There is no such letter." if which else "This is no report of a letter that came back."
        letter = await delivery.bounced(db, bounce.letter_id, reason=bounce.reason, now=now)
        if letter is None:
            return "Nothing to note: there is no such letter, or it is known not to have arrived."
        await partners.tell_undeliverable(db, letter, now)
        return f"Noted: {letter.kind} to {letter.recipient} {letter.failure}"

    return await within(settings, note)
