"""Resuming: an installation whose line is broken goes on from an echo that it still holds, on a new line.

The old line stays valid. A restored image speaks on the new line alone; a clone lets both speak.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Refusal
from services.sites.echo import Echo
from services.sites.heads import LockedLine, lock_installation
from services.sites.heartbeat import Accepted, Head, Heartbeat, LineBroken, Repeat, decide, is_repeat, take
from services.usage import Line, counts_at, entry_at, first_receipt, is_whole_at, seen_at

Outcome = Accepted | Repeat | Refusal


async def resume(db: AsyncSession, beat: Heartbeat, echo: Echo | None, now: datetime) -> tuple[LockedLine, Outcome]:
    """Open a new line from a genuine echo, or tell why not; the installation has at least one line."""
    bearer = beat.bearer
    lines = await lock_installation(await db.connection(), bearer.site_id, bearer.installation_id)
    for line in lines:
        if is_repeat(beat, line.head):
            return line, Repeat(line.head)
    named = next((line for line in lines if echo and line.head.line == echo.line), None)
    if echo is not None and named is None and beat.sequence == echo.sequence + 1:
        return await _open_anew(db, beat, echo, lines, None, now)
    if echo is None or named is None or beat.sequence != echo.sequence + 1 or await _resumed(db, beat):
        broken = named or lines[0]
        return broken, LineBroken(through=broken.head.through, receipt=broken.head.receipt.hex())
    if echo.sequence >= named.head.sequence:
        return named, await _go_on(db, beat, echo, named, now)
    rows = await db.scalars(select(Line).filter_by(site_id=named.site_id, installation_id=named.installation_id))
    known = {row.line: row for row in rows}
    if not await is_whole_at(db, known, echo.line, echo.through):
        return await _open_anew(db, beat, echo, lines, known[echo.line], now)
    return await _open(db, beat, echo, named, known, now)


async def _resumed(db: AsyncSession, beat: Heartbeat) -> bool:
    """Tell whether this very resume was taken before, by a line that has gone on since: a late duplicate."""
    own = (Line.site_id == beat.bearer.site_id, Line.installation_id == beat.bearer.installation_id)
    return bool(await db.scalar(select(exists().where(*own, Line.resumed_nonce == beat.nonce))))


async def _go_on(db: AsyncSession, beat: Heartbeat, echo: Echo, named: LockedLine, now: datetime) -> Outcome:
    """Take a resume that needs no line of its own, since nothing came after its echo."""
    outcome = decide(beat, echo, named.head, now)
    if isinstance(outcome, Accepted):
        row = await db.get_one(Line, named.id)
        row.resumed_nonce = beat.nonce
        await db.flush()
    return outcome


async def _open(
    db: AsyncSession,
    beat: Heartbeat,
    echo: Echo,
    named: LockedLine,
    lines: Mapping[int, Line],
    now: datetime,
) -> tuple[LockedLine, Outcome]:
    parent, number = lines[echo.line], max(lines) + 1
    inherited = await counts_at(db, lines, echo.line, echo.through)
    last = await entry_at(db, lines, echo.line, echo.through)
    head = Head(
        line=number,
        sequence=echo.sequence,
        nonce=None,
        through=echo.through,
        receipt=last.receipt if last else first_receipt(str(named.installation_id)),
        counts=inherited,
        last_entry_at=last.at if last else lines[0].begins_at,
        known_until_at=None,
    )
    outcome = take(beat, head, now)
    if isinstance(outcome, Refusal):
        return named, outcome
    first_at = outcome.new[0].at if outcome.new else now
    base = inherited or (None, None, None)
    for one in lines.values():
        one.waiting = True  # if it is heard again, the new one is a clone of it
    db.add(
        Line(
            site_id=named.site_id,
            installation_id=named.installation_id,
            line=number,
            credential_sha256=named.credential_sha256,
            next_credential_sha256=named.next_credential_sha256,
            key_id=named.key_id,
            product=parent.product,
            told_state=named.told_state,
            heartbeat_seconds=named.heartbeat_seconds,
            disable_after_seconds=named.disable_after_seconds,
            sequence=head.sequence,
            nonce=None,
            through=head.through,
            receipt=head.receipt,
            said_more=False,
            server=base[0],
            workstation=base[1],
            server_plus=base[2],
            last_contact_at=now,
            known_until_at=None,
            last_entry_at=head.last_entry_at,
            renew_lease_at=now,
            waiting=True,
            parent=echo.line,
            parent_through=echo.through,
            begins_at=max(parent.last_contact_at, min(first_at, now)),
            base_server=base[0],
            base_workstation=base[1],
            base_server_plus=base[2],
            base_seen=await seen_at(db, lines, echo.line, echo.through),
            opened_at=now,
            resumed_nonce=beat.nonce,
            msp_id=parent.msp_id,
        )
    )
    await db.flush()
    return _as_opened(named, head, now), outcome


async def _open_anew(
    db: AsyncSession, beat: Heartbeat, echo: Echo, lines: Sequence[LockedLine], parent: Line | None, now: datetime
) -> tuple[LockedLine, Outcome]:
    """Open a line that this service gave an echo for and does not have: it was restored from an older backup.

    Or the image is so old that the ledger has archived what the echo names; then the line has a parent.

    What the line had in common with the others is not known either, so the site sends all of it again. It counts
    from the installation's last contact as known here; what it says about earlier is evidence.
    """
    rows = await db.scalars(select(Line).filter_by(site_id=lines[0].site_id, installation_id=lines[0].installation_id))
    heard_at = max(row.last_contact_at for row in rows)
    oldest = await db.get_one(Line, lines[0].id)
    receipt = first_receipt(str(lines[0].installation_id))
    number = echo.line if parent is None else lines[-1].head.line + 1
    head = Head(number, echo.sequence, None, 0, receipt, None, oldest.begins_at, None)
    outcome = take(beat, head, now)
    if isinstance(outcome, Refusal):
        return lines[0], outcome
    copied = {column.name: getattr(oldest, column.name) for column in Line.__table__.columns}
    fresh = {"line": number, "sequence": echo.sequence, "nonce": None, "through": 0, "receipt": receipt}
    nothing = dict.fromkeys(("server", "workstation", "server_plus", "known_until_at"))
    past = {"parent": None if parent is None else parent.line, "parent_through": None if parent is None else 0}
    if parent is not None:
        parent.waiting = True  # if it is heard again, this one is a clone of it
    base = dict.fromkeys(("base_server", "base_workstation", "base_server_plus", "base_seen"))
    times = {"last_contact_at": now, "renew_lease_at": now, "begins_at": heard_at, "opened_at": now}
    told = {"said_more": False, "waiting": True, "resumed_nonce": beat.nonce}
    db.add(Line(**{**copied, **fresh, **nothing, **past, **base, **times, **told}))
    await db.flush()
    return _as_opened(lines[0], head, now), outcome


def _as_opened(named: LockedLine, head: Head, now: datetime) -> LockedLine:
    return LockedLine(
        site_id=named.site_id,
        installation_id=named.installation_id,
        credential_sha256=named.credential_sha256,
        key_id=named.key_id,
        told_state=named.told_state,
        heartbeat_seconds=named.heartbeat_seconds,
        disable_after_seconds=named.disable_after_seconds,
        renew_lease_at=now,
        last_contact_at=named.last_contact_at,
        said_more=True,
        head=head,
        waiting=True,
        next_credential_sha256=named.next_credential_sha256,
    )
