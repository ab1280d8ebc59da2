"""Heartbeats taken in: many in one transaction, each answered as if it were alone.

This is the general path, which knows every case; `services.sites.idle` goes before it and takes what is idle.
One statement locks and reads the heads, one adds the entries, one writes the heads back; what is rare (a resume, a
revival, a conflict) is done one by one. The edge commits, and only then are the answers true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.errors import Refusal, Unauthenticated
from services.keys import KeyState
from services.signing import Vault, same
from services.sites import backups, commands, errands, standing
from services.sites.administration_tables import Command
from services.sites.backups import Told
from services.sites.echo import Echo, read_echo
from services.sites.errands import Errand, Fetched
from services.sites.heads import Advance, LockedLine, lock_installation, lock_lines, write_heads
from services.sites.heartbeat import Accepted, Heartbeat, Repeat, decide
from services.sites.lease import LeaseSigner, LeaseTerms, renew_after
from services.sites.pace import Pace
from services.sites.resume import resume
from services.usage import Arrival, GapRow, Line, LineId, append, first_receipt, keep_conflicts, record_gaps


@dataclass(slots=True)  # not frozen, as `Heartbeat`
class Answer:
    """What a site is told."""

    state: KeyState
    reason: str | None
    sequence: int
    echo: str
    through: int
    receipt: bytes
    server_time: datetime
    next_heartbeat_seconds: int
    lease: str | None = None
    notices: Sequence[dict[str, Any]] = field(default_factory=tuple)
    commands: Sequence[Command] = ()


@dataclass(slots=True)
class Desk:
    """What taking in needs besides the database: the vault, the process's pace, the signer of the moment."""

    vault: Vault
    signer: LeaseSigner
    pace: Pace = field(default_factory=Pace)


@dataclass(slots=True)
class _Heard:
    """A heartbeat that was accepted now or before, on its way to an answer."""

    beat: Heartbeat
    now: datetime
    line: LockedLine
    outcome: Accepted | Repeat
    state: KeyState
    reason: str | None = None
    fetched: Fetched = field(default_factory=Fetched)

    @property
    def renews(self) -> bool:
        """Whether the answer holds a lease; a repeat's always does, for the lost answer may have held one."""
        due = isinstance(self.outcome, Repeat) or self.line.renew_lease_at <= self.now
        return due and self.state is KeyState.ACTIVE

    @property
    def told_backups(self) -> bytes | None:
        """The backups as it tells them, if otherwise than before."""
        if self.beat.backups is None or isinstance(self.outcome, Repeat):
            return None
        packed = self.beat.backups.packed()
        return packed if packed != self.line.backups else None


async def take_in(db: AsyncSession, desk: Desk, beats: Sequence[tuple[Heartbeat, datetime]]) -> list[Answer | Refusal]:
    """Take in heartbeats, at most one an installation, each with its `now`; gives their answers in order."""
    connection = await db.connection()
    echoes = [_echo(desk.vault, beat) for beat, _ in beats]
    named = [_line_id(beat, echo) for (beat, _), echo in zip(beats, echoes, strict=True)]
    lines = await lock_lines(connection, await _whole(db, beats, named))
    results = [
        await _hear(db, desk, connection, beat, now, echo, lines.get(line_id))
        for (beat, now), echo, line_id in zip(beats, echoes, named, strict=True)
    ]
    heard = [result for result in results if isinstance(result, _Heard)]
    await _settle_states(db, heard)
    await _store(db, connection, heard)
    await _run_errands(db, heard)
    return [_answer(desk, result) if isinstance(result, _Heard) else result for result in results]


def _echo(vault: Vault, beat: Heartbeat) -> Echo | None:
    return read_echo(beat.echo, vault, beat.bearer.site_id, beat.bearer.installation_id)


def _line_id(beat: Heartbeat, echo: Echo | None) -> LineId:
    """Give the line that the echo names; without a genuine one, the installation's oldest."""
    return beat.bearer.site_id, beat.bearer.installation_id, echo.line if echo else 0


async def _whole(
    db: AsyncSession, beats: Sequence[tuple[Heartbeat, datetime]], named: Sequence[LineId]
) -> Sequence[LineId]:
    """Add the other lines of installations that resume: locked later, they could cross who locks all of a site's."""
    resuming = {line_id[:2] for (beat, _), line_id in zip(beats, named, strict=True) if beat.resume}
    if not resuming:
        return named
    place = tuple_(Line.site_id, Line.installation_id)
    found = await db.execute(select(Line.site_id, Line.installation_id, Line.line).where(place.in_(resuming)))
    return list({*named, *((site_id, installation_id, line) for site_id, installation_id, line in found)})


async def _hear(
    db: AsyncSession,
    desk: Desk,
    connection: AsyncConnection,
    beat: Heartbeat,
    now: datetime,
    echo: Echo | None,
    line: LockedLine | None,
) -> _Heard | Refusal:
    gone = line is None and echo is not None and echo.line > 0
    if gone:
        oldest = (await lock_installation(connection, beat.bearer.site_id, beat.bearer.installation_id))[:1]
        line = oldest[0] if oldest else None
    if line is None or not _authentic(beat, line):
        return Unauthenticated()
    if beat.resume or gone:
        line, outcome = await resume(db, beat, echo, now)
    else:
        outcome = decide(beat, echo, line.head, now)
    if isinstance(outcome, Refusal):
        return outcome
    if early := _too_early(desk.pace, beat, line, outcome, now):
        return early
    return _Heard(beat, now, line, outcome, KeyState(line.told_state))


def _authentic(beat: Heartbeat, line: LockedLine) -> bool:
    """Tell whether it shows the credential, or the one that was offered to follow it."""
    offered = line.next_credential_sha256
    used = beat.bearer.credential_sha256
    return same(used, line.credential_sha256) or (offered is not None and same(used, offered))


def _too_early(
    pace: Pace, beat: Heartbeat, line: LockedLine, outcome: Accepted | Repeat, now: datetime
) -> Refusal | None:
    """Refuse what comes far too early; never repeats, resumes, a first one, or those with `more`."""
    follows = isinstance(outcome, Repeat) or beat.resume or beat.more or line.said_more or line.head.sequence == 0
    if follows or line.last_contact_at is None:
        return None
    return pace.check(line.site_id, line.installation_id, line.last_contact_at, line.heartbeat_seconds, now)


async def _run_errands(db: AsyncSession, heard: Sequence[_Heard]) -> None:
    for one in heard:
        took_over = one.beat.bearer.credential_sha256 != one.line.credential_sha256
        errand = Errand(one.line.id, one.line.waiting, took_over, one.beat, one.outcome, one.now)
        if errands.needed(errand):
            one.fetched = await errands.run(db, errand)
    repeats = [one for one in heard if isinstance(one.outcome, Repeat)]
    if repeats:
        lost = [(one.line.id, one.beat.sequence) for one in repeats]
        again = await commands.ride_again(db, lost, repeats[0].now)
        for one in repeats:
            one.fetched.commands = again.get(one.line.id, ())


async def _settle_states(db: AsyncSession, heard: Sequence[_Heard]) -> None:
    """Enable the keys of sites that were silent, and find the reasons of those that are told no."""
    for one in heard:
        if one.state is not KeyState.ACTIVE:
            one.state, one.reason = await standing.settle(db, one.line.site_id, one.line.installation_id, one.now)


async def _store(db: AsyncSession, connection: AsyncConnection, heard: Sequence[_Heard]) -> None:
    arrivals = []
    for one in heard:
        if isinstance(one.outcome, Accepted):
            arrivals.append(Arrival(one.line.id, one.outcome.new, one.now))
            if one.outcome.known:
                one.outcome = await _with_conflicts(db, one.line, one.outcome, one.now)
    await append(connection, arrivals)
    await record_gaps(connection, [_gap(one) for one in heard if _ends_a_gap(one)])
    await write_heads(connection, [_advance(one) for one in heard])
    told = [Told(*one.line.id[:2], one.beat.backups, one.now) for one in heard if one.told_backups and one.beat.backups]
    await backups.keep(connection, told)


def _ends_a_gap(one: _Heard) -> bool:
    """Tell whether something in the past is known only now: after a silence, in a burst, on a new line, or late."""
    line, outcome = one.line, one.outcome
    if isinstance(outcome, Repeat):
        return False
    silence = (one.now - line.last_contact_at).total_seconds()
    known_until_at = line.head.known_until_at
    late = bool(outcome.new and known_until_at and outcome.new[0].at < known_until_at)
    return late or line.said_more or silence > 2 * line.heartbeat_seconds


def _gap(one: _Heard) -> GapRow:
    line = one.line
    return (*line.id, one.now, min(line.last_contact_at, one.now), line.head.known_until_at)


def _advance(one: _Heard) -> Advance:
    renewed_at = one.now + renew_after(one.line.heartbeat_seconds, one.line.disable_after_seconds)
    return Advance(
        line_id=one.line.id,
        head=one.outcome.head,
        said_more=one.beat.more,
        contact_at=one.now,
        renew_lease_at=renewed_at if one.renews else one.line.renew_lease_at,
        told_state=one.state,
        backups=one.told_backups,
    )


async def _with_conflicts(db: AsyncSession, line: LockedLine, outcome: Accepted, now: datetime) -> Accepted:
    lines = await _rows_of(db, line)
    first = first_receipt(str(line.installation_id))
    numbers = await keep_conflicts(db, lines, line.head.line, outcome.known, first=first, now=now)
    return replace(outcome, notices=[*outcome.notices, *({"code": "conflict", "n": n} for n in numbers)])


async def _rows_of(db: AsyncSession, line: LockedLine) -> Mapping[int, Line]:
    rows = await db.scalars(select(Line).filter_by(site_id=line.site_id, installation_id=line.installation_id))
    return {row.line: row for row in rows}


def _answer(desk: Desk, one: _Heard) -> Answer:
    line, head = one.line, one.outcome.head
    echo = Echo(head.line, head.sequence, head.through)
    return Answer(
        state=one.state,
        reason=one.reason,
        sequence=head.sequence,
        echo=echo.seal(desk.vault, line.site_id, line.installation_id),
        through=head.through,
        receipt=head.receipt,
        server_time=one.now,
        next_heartbeat_seconds=desk.pace.next_seconds(line.installation_id, line.heartbeat_seconds, one.now),
        lease=desk.signer.sign(_terms(one), one.now) if one.renews else None,
        notices=[*(one.outcome.notices if isinstance(one.outcome, Accepted) else ()), *one.fetched.notices],
        commands=one.fetched.commands,
    )


def _terms(one: _Heard) -> LeaseTerms:
    return LeaseTerms(
        installation_id=one.line.installation_id,
        key_id=one.line.key_id,
        state=one.state,
        through=one.outcome.head.through,
        receipt=one.outcome.head.receipt,
        heartbeat_seconds=one.line.heartbeat_seconds,
        disable_after_seconds=one.line.disable_after_seconds,
    )
