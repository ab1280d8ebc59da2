"""Commands: what an MSP asks a Site Manager to do. A closed list, and each is done at most once.

A command rides in the answer to one sequence of one line, and in that answer's repeats. A site goes on to the next
sequence only with that answer's echo, so it has had the command by then; and no other line, no copy of its disk, is
ever given it. One that was lost together with the site's disk expires undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from services import delivery, ids, keys, partners
from services.errors import Absent, Invalid, Kind, Refusal
from services.ids import new_id
from services.partners import Principal
from services.sites import standing
from services.sites.administration_tables import Command, CommandKind, Outcome
from services.sites.heartbeat import Result
from services.sites.tables import Installation
from services.usage import Line, LineId

CommandState = Literal["waiting", "sent", "expired", "done", "refused", "failed", "cancelled"]
ROTATE: CommandKind = "rotate_credential"
OPEN_MAX = 20
LASTS = timedelta(days=1)
LASTS_MAX = timedelta(days=30)
_NAMED = ("run_backup", "rename")


class CommandSent(Refusal):
    """The site has been sent this command already; it can no longer be cancelled."""

    kind = Kind.CONFLICT
    code = "command_sent"


class TooManyCommands(Refusal):
    """Too many commands are open for this site. Wait for their results, or cancel some."""

    kind = Kind.CONFLICT
    code = "too_many_commands"


class NoInstallation(Refusal):
    """No such installation holds this key, so nobody could carry the command out."""

    kind = Kind.CONFLICT
    code = "no_installation"


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked: `name` is the backup definition or the new name; without an installation: the Site Manager."""

    kind: CommandKind
    name: str | None = None
    installation_id: UUID | None = None
    lasts: timedelta = LASTS


def state_of(command: Command, now: datetime) -> CommandState:
    """Tell how a command stands."""
    if command.outcome is not None:
        return command.outcome
    if command.expires_at <= now:
        return "expired"
    return "waiting" if command.sent_at is None else "sent"


async def give(db: AsyncSession, site_id: UUID, order: Order, *, actor: str, now: datetime) -> Command:
    """Have a command wait for an installation; the same one, while it waits, is given once.

    Raises `Invalid`, `NoInstallation`, `TooManyCommands`.
    """
    if (order.name is not None) != (order.kind in _NAMED):
        raise Invalid("A name belongs to run_backup and rename, and to these alone.", pointer="/name")
    await standing.lock_lines_of(db, site_id)
    installation = await _addressee(db, site_id, order.installation_id)
    waiting = await _open(db, installation, now)
    for one in waiting:
        if one.sent_at is None and (one.kind, one.name) == (order.kind, order.name):
            return one
    if len(waiting) >= OPEN_MAX:
        raise TooManyCommands
    command = _new(installation, order, actor, now)
    db.add(command)
    lines = (Line.site_id == site_id, Line.installation_id == installation.installation_id)
    await db.execute(update(Line).where(*lines).values(waiting=True))
    await db.flush()
    return command


async def cancel(db: AsyncSession, site_id: UUID, command_id: UUID, *, now: datetime) -> Command:
    """Cancel a command that still waits. Twice is once. Raises `Absent`, `CommandSent`."""
    command = await db.get(Command, (site_id, command_id), with_for_update=True, populate_existing=True)
    if command is None:
        raise Absent
    if command.outcome != "cancelled":
        if command.sent_at is not None:
            raise CommandSent
        command.outcome, command.ended_at = "cancelled", now
        await db.flush()
    return command


async def commands_of(
    db: AsyncSession, principal: Principal, site_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[Command]:
    """Give a page of the commands of a site within the principal's own time with it, newest first."""
    seen = partners.seen_by(principal, Command.site_id, Command.created_at)
    query = select(Command).where(Command.site_id == site_id, seen).order_by(Command.id.desc()).limit(limit)
    return (await db.scalars(query if after is None else query.where(Command.id < after))).all()


async def ride(db: AsyncSession, line_id: LineId, sequence: int, now: datetime) -> Sequence[Command]:
    """Put what waits for an installation into the answer to a sequence of its line, whose lock the caller holds."""
    site_id, installation_id, line = line_id
    waiting = (
        Command.site_id == site_id,
        Command.installation_id == installation_id,
        Command.sent_at.is_(None),
        Command.ended_at.is_(None),
        Command.expires_at > now,
    )
    sent = update(Command).where(*waiting).values(sent_at=now, sent_line=line, sent_sequence=sequence)
    return sorted(await db.scalars(sent.returning(Command)), key=lambda command: command.id)


async def ride_again(
    db: AsyncSession, repeats: Sequence[tuple[LineId, int]], now: datetime
) -> Mapping[LineId, Sequence[Command]]:
    """Give the commands that lost answers held, by line."""
    if not repeats:
        return {}
    of_answer = tuple_(Command.site_id, Command.installation_id, Command.sent_line, Command.sent_sequence)
    lost = of_answer.in_([(*line_id, sequence) for line_id, sequence in repeats])
    rows = select(Command).where(lost, Command.ended_at.is_(None), Command.expires_at > now).order_by(Command.id)
    found: dict[LineId, list[Command]] = {}
    for row in await db.scalars(rows):
        found.setdefault((row.site_id, row.installation_id, row.sent_line or 0), []).append(row)
    return found


async def take_results(
    db: AsyncSession, line_id: LineId, results: Sequence[Result], now: datetime
) -> list[dict[str, Any]]:
    """Keep what a site says became of its commands; gives notices of those that are unknown or have expired.

    The first result of a command counts.
    """
    site_id, installation_id, _ = line_id
    wanted = {shown: ids.read("command", shown) for shown in (result.command for result in results)}
    rows = select(Command).where(
        Command.site_id == site_id,
        Command.installation_id == installation_id,
        Command.id.in_([one for one in wanted.values() if one is not None]),
        Command.sent_at.is_not(None),
    )
    found = {row.id: row for row in await db.scalars(rows.with_for_update().execution_options(populate_existing=True))}
    notices = []
    for result in results:
        named = wanted[result.command]
        command = found.get(named) if named else None
        if command is None:
            notices.append({"code": "command_unknown", "command": result.command})
        elif command.outcome is None and command.expires_at <= now:
            notices.append({"code": "command_expired", "command": result.command})
        elif command.outcome is None:
            await end(db, command, result.outcome, result.text, now)
    return notices


async def open_rotation(db: AsyncSession, site_id: UUID, installation_id: UUID, now: datetime) -> Command | None:
    """Give the command to change the credential that an installation has been sent and that holds still."""
    return await db.scalar(
        select(Command)
        .where(
            Command.site_id == site_id,
            Command.installation_id == installation_id,
            Command.kind == ROTATE,
            Command.sent_at.is_not(None),
            Command.ended_at.is_(None),
            Command.expires_at > now,
        )
        .order_by(Command.id)
        .limit(1)
    )


async def end(db: AsyncSession, command: Command, outcome: Outcome, said: str, now: datetime) -> None:
    """Keep a command's result, and tell its MSP's programs."""
    command.outcome, command.said, command.ended_at = outcome, said, now
    if command.kind == "rename" and outcome == "done":
        own = (Installation.site_id == command.site_id, Installation.installation_id == command.installation_id)
        await db.execute(update(Installation).where(*own).values(name=command.name))
    msp_id = await db.scalar(select(keys.Key.msp_id).where(keys.Key.site_id == command.site_id))
    if msp_id is not None:
        subject = {"command": ids.show("command", command.id), "site": ids.show("site", command.site_id)}
        delivery.emit(db, partner_id=msp_id, kind="command.ended", subject=subject, now=now)


async def _addressee(db: AsyncSession, site_id: UUID, installation_id: UUID | None) -> Installation:
    entitled = select(Installation).where(Installation.site_id == site_id, Installation.ended_at.is_(None))
    if installation_id is None:
        one = entitled.where(Installation.product == standing.SITE_MANAGER)
    else:
        one = entitled.where(Installation.installation_id == installation_id)
    found = await db.scalar(one.order_by(Installation.activated_at.desc()).limit(1))
    if found is None:
        raise NoInstallation
    return found


async def _open(db: AsyncSession, installation: Installation, now: datetime) -> list[Command]:
    rows = select(Command).where(
        Command.site_id == installation.site_id,
        Command.installation_id == installation.installation_id,
        Command.ended_at.is_(None),
        Command.expires_at > now,
    )
    return list(await db.scalars(rows.execution_options(populate_existing=True)))


def _new(installation: Installation, order: Order, actor: str, now: datetime) -> Command:
    return Command(
        site_id=installation.site_id,
        id=new_id(now),
        installation_id=installation.installation_id,
        kind=order.kind,
        name=order.name,
        created_at=now,
        created_by=actor,
        expires_at=now + order.lasts,
        sent_at=None,
        sent_line=None,
        sent_sequence=None,
        ended_at=None,
        outcome=None,
        said="",
    )
