"""Commands: a closed list of what may be asked of a site. Nothing deletes, restores or runs code; a site may refuse.

A command rides in every answer until it has a result or has expired. The site knows it by its id, and does it at most
once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.errors import Absent, Kind, Refusal
from services.ids import new_id
from services.keys import Key
from services.sites.command_tables import SiteCommand
from services.sites.heartbeat import Result
from services.sites.tables import Installation
from services.usage import Line

CommandKind = Literal["send_inventory", "run_backup", "rename", "rotate_credential"]
ROTATE: CommandKind = "rotate_credential"
WAITING_MAX = 20
_ARGUMENT: dict[str, str | None] = {
    "send_inventory": None,
    "run_backup": "definition",
    "rename": "name",
    "rotate_credential": None,
}


class CommandIncomplete(Refusal):
    """This command needs its argument, and takes no other: `definition` for run_backup, `name` for rename."""

    kind = Kind.INVALID
    code = "command_incomplete"


class NoSiteManager(Refusal):
    """No Site Manager is bound to this key, so there is nobody to command."""

    kind = Kind.CONFLICT
    code = "no_site_manager"


class TooManyCommands(Refusal):
    """So many commands wait for this site already; wait until it has been heard."""

    kind = Kind.CONFLICT
    code = "too_many_commands"


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the site is given it."""

    id: UUID
    kind: str
    arguments: dict[str, str]
    expires_at: datetime


async def give(
    db: AsyncSession,
    key: Key,
    kind: CommandKind,
    arguments: dict[str, str],
    *,
    expires_at: datetime,
    actor: str,
    now: datetime,
) -> SiteCommand:
    """Give a command to the key's Site Manager; the caller holds the locks of the site's lines and key."""
    wanted = _ARGUMENT[kind]
    if set(arguments) != ({wanted} if wanted else set()):
        raise CommandIncomplete(pointer=f"/{wanted}" if wanted else "")
    installation = await db.scalar(
        select(Installation).where(
            Installation.site_id == key.site_id,
            Installation.product == "site_manager",
            Installation.ended_at.is_(None),
        )
    )
    if installation is None:
        raise NoSiteManager
    if len(await _waiting(db, key.site_id, installation.installation_id, now)) >= WAITING_MAX:
        raise TooManyCommands
    command = SiteCommand(
        site_id=key.site_id,
        id=new_id(now),
        installation_id=installation.installation_id,
        kind=kind,
        arguments=arguments,
        given_at=now,
        given_by=actor,
        expires_at=expires_at,
    )
    db.add(command)
    await db.flush()
    own = (Line.site_id == key.site_id, Line.installation_id == installation.installation_id)
    await db.execute(update(Line).where(*own).values(waiting=True))
    return command


async def waiting_for(db: AsyncSession, site_id: UUID, installation_id: UUID, now: datetime) -> list[Command]:
    """Give what an installation is to be told now, in the order in which it was given."""
    rows = await _waiting(db, site_id, installation_id, now)
    for row in rows:
        row.first_sent_at = row.first_sent_at or now
    return [Command(row.id, row.kind, dict(row.arguments), row.expires_at) for row in rows]


async def take_results(
    db: AsyncSession, site_id: UUID, installation_id: UUID, results: Sequence[Result], now: datetime
) -> None:
    """Keep what became of commands; the first result counts, and one of another's command is nothing."""
    for result in results:
        own = (
            SiteCommand.site_id == site_id,
            SiteCommand.id == result.command_id,
            SiteCommand.installation_id == installation_id,
            SiteCommand.ended_at.is_(None),
        )
        values = {"outcome": result.outcome, "text": result.text, "ended_at": now}
        await db.execute(update(SiteCommand).where(*own).values(values))


async def waits(
    db: AsyncSession, site_id: UUID, installation_id: UUID, kind: CommandKind, now: datetime
) -> UUID | None:
    """Give the id of a waiting command of a kind, if there is one."""
    rows = await _waiting(db, site_id, installation_id, now)
    return next((row.id for row in rows if row.kind == kind), None)


async def commands_of(db: AsyncSession, site_id: UUID, limit: int = 100) -> list[SiteCommand]:
    """Give the last commands of a site, newest first."""
    rows = select(SiteCommand).where(SiteCommand.site_id == site_id).order_by(SiteCommand.id.desc()).limit(limit)
    return list(await db.scalars(rows))


async def command_of(db: AsyncSession, site_id: UUID, command_id: UUID) -> SiteCommand:
    """Give one command; raises `Absent`."""
    command = await db.get(SiteCommand, (site_id, command_id))
    if command is None:
        raise Absent
    return command


async def _waiting(db: AsyncSession, site_id: UUID, installation_id: UUID, now: datetime) -> list[SiteCommand]:
    rows = await db.scalars(
        select(SiteCommand)
        .where(
            SiteCommand.site_id == site_id,
            SiteCommand.installation_id == installation_id,
            SiteCommand.ended_at.is_(None),
            SiteCommand.expires_at > now,
        )
        .order_by(SiteCommand.id)
        .execution_options(populate_existing=True)
    )
    return list(rows)
