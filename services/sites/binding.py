"""The binding of an installation to its key: its row, its first line, its timer, and what becomes of others.

An installation that binds itself again (it was released, its file was lost, its seat had ended) begins a new chain on a
new line; its old lines stay, and with them it is one function.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys
from services.keys import Key, KeyState
from services.partners import Policy
from services.sites import letters, standing
from services.sites.lease import renew_after
from services.sites.tables import Installation
from services.usage import Line, count_again, first_receipt, stop_counting


@dataclass(frozen=True, slots=True)
class Activation:
    """A well-formed request to activate. The secret itself is not in it, only its SHA-256."""

    license_key: str
    installation_id: UUID
    credential_sha256: bytes
    public_key: bytes
    product: str
    version: str
    hostname: str
    name: str | None = None
    timezone: str | None = None
    console_url: str | None = None


async def bind(
    db: AsyncSession, key: Key, request: Activation, policy: Policy, now: datetime, *, address: str | None
) -> Line:
    """Bind an installation; the caller holds the locks and knows that nothing stands against it."""
    own = await db.get(Installation, (key.site_id, request.installation_id))
    if own is None:
        own = Installation(site_id=key.site_id, installation_id=request.installation_id, key_id=key.id)
        db.add(own)
    else:
        await count_again(db, key.site_id, own.installation_id, now)
    _describe(own, request, now)
    own.address = address
    if request.product == standing.SITE_MANAGER:
        await _succeed(db, key, own, now)
        keys.activate(db, key, now=now, actor="site")
    else:
        await _seat(db, key, request, now)
    line = new_line(key, request, await _next_number(db, own), policy, now)
    db.add(line)
    await db.flush()
    lines = (Line.site_id == key.site_id, Line.installation_id == own.installation_id)
    values = {
        "credential_sha256": own.credential_sha256,
        "next_credential_sha256": None,
        "product": own.product,
        "msp_id": key.msp_id if own.product == standing.SITE_MANAGER else None,
    }
    await db.execute(update(Line).where(*lines).values(values))
    await standing.tell(db, key)
    await standing.arm(db, key, own.installation_id, now)
    return line


async def newest_line(db: AsyncSession, site_id: UUID, installation_id: UUID) -> Line:
    """Give the line that the installation's last activation began."""
    found = await db.scalars(
        select(Line)
        .where(Line.site_id == site_id, Line.installation_id == installation_id, Line.parent.is_(None))
        .order_by(Line.line.desc())
        .limit(1)
    )
    return found.one()


def _describe(own: Installation, request: Activation, now: datetime) -> None:
    own.product = request.product
    own.credential_sha256 = request.credential_sha256
    own.public_key = request.public_key
    own.version = request.version
    own.hostname = request.hostname
    own.name = request.name
    own.timezone = request.timezone
    own.console_url = request.console_url
    own.activated_at = now
    own.released_at = own.ended_at = own.end_reason = None


async def _seat(db: AsyncSession, key: Key, request: Activation, now: datetime) -> None:
    """Take a seat, and tell the MSP of it. Without a Site Manager it also activates the key."""
    if key.activated_at is None:
        keys.activate(db, key, now=now, actor="site")
    keys.note(db, key, "seat_taken", actor="site", now=now, reason=str(request.installation_id))
    told = {"hostname": request.hostname, "installation_id": str(request.installation_id)}
    await letters.tell(db, letters.SEAT_TAKEN, key, told, now)


async def _succeed(db: AsyncSession, key: Key, own: Installation, now: datetime) -> None:
    """End the Site Managers that were released: they counted until now, and are entitled to nothing any more."""
    released = await db.scalars(
        select(Installation).where(
            Installation.site_id == key.site_id,
            Installation.key_id == key.id,
            Installation.product == standing.SITE_MANAGER,
            Installation.installation_id != own.installation_id,
            Installation.ended_at.is_(None),
        )
    )
    for one in released:
        await standing.end(db, one, KeyState.REVOKED, standing.SUCCEEDED, now)
        await stop_counting(db, key.site_id, one.installation_id, now, standing.SUCCEEDED)
    await db.flush()


async def _next_number(db: AsyncSession, own: Installation) -> int:
    last = select(func.max(Line.line)).where(Line.site_id == own.site_id, Line.installation_id == own.installation_id)
    found = await db.scalar(last)
    return 0 if found is None else found + 1


def new_line(key: Key, request: Activation, number: int, policy: Policy, now: datetime) -> Line:
    """Make the row of an installation's new line; `services.sites.first_time` writes the same."""
    renewed_after = renew_after(policy.heartbeat_seconds, policy.disable_after_seconds)
    return Line(
        site_id=key.site_id,
        installation_id=request.installation_id,
        line=number,
        credential_sha256=request.credential_sha256,
        key_id=key.id,
        product=request.product,
        told_state=key.state,
        heartbeat_seconds=policy.heartbeat_seconds,
        disable_after_seconds=policy.disable_after_seconds,
        sequence=0,
        through=0,
        receipt=first_receipt(str(request.installation_id)),
        said_more=False,
        last_contact_at=now,
        last_entry_at=now,
        begins_at=now,
        renew_lease_at=now + renewed_after,
        waiting=False,
        opened_at=now,
    )
