"""What an MSP asks its Site Managers to do: a closed list; each rides in a heartbeat's answer, at most once."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import CommandIdText, InstallationId, Instant, Message, Name, Said, SiteIdText
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, keys, partners, sites
from services.errors import Absent, BodyTooLarge
from services.partners import FreshSignInNeeded, IdempotencyKeyReused, Right, WrongPartner
from services.sites import Command, CommandKind, CommandState

router = APIRouter(tags=["administration"], route_class=OnceRoute)
_DAY = int(sites.commands.LASTS.total_seconds())
_LONGEST = int(sites.commands.LASTS_MAX.total_seconds())


class NewCommand(Message):
    """What the site is to do. Nothing on the list deletes, restores or runs code, and the site may refuse all."""

    kind: CommandKind
    name: Name | None = Field(default=None, description="For run_backup the definition; for rename the new name.")
    installation_id: InstallationId | None = Field(default=None, description="Without: the site's Site Manager.")
    lasts_seconds: Annotated[int, Field(strict=True, ge=60, le=_LONGEST)] = _DAY


class CommandShown(Said):
    """A command: `waiting` until it rides in an answer, `sent` until the site says what became of it."""

    id: CommandIdText
    site_id: SiteIdText
    installation_id: UUID
    kind: CommandKind
    name: str | None
    state: CommandState
    text: str = Field(description="What the site said of it.")
    created_at: Instant
    created_by: str
    expires_at: Instant
    sent_at: Instant | None
    ended_at: Instant | None


class CommandPage(Said):
    """A page of commands, newest first."""

    items: list[CommandShown]


@router.post(
    "/v1/sites/{site_id}/commands",
    operation_id="createCommand",
    summary="Ask a site to do something",
    status_code=201,
    dependencies=[Once],
    responses=described(
        Absent,
        BodyTooLarge,
        FreshSignInNeeded,
        IdempotencyKeyReused,
        sites.commands.NoInstallation,
        sites.commands.TooManyCommands,
        WrongPartner,
        *CALLER_REFUSALS,
    ),
)
async def create_command(site_id: str, body: NewCommand, caller: Caller, db: Db, now: Now) -> CommandShown:
    """It rides in the answer to the next heartbeat. The same one is given once while it waits.

    To rotate the credential asks for an admin's fresh sign-in.
    """
    grave = body.kind == "rotate_credential"
    site = await _own(db, caller, site_id, Right.KEYS_ADMIN if grave else Right.SITES_WRITE, grave=grave)
    order = sites.commands.Order(body.kind, body.name, body.installation_id, timedelta(seconds=body.lasts_seconds))
    command = await sites.commands.give(db, site, order, actor=caller.actor, now=now)
    shown = _shown(command, now)
    after = {"kind": body.kind, "name": body.name, "command": shown.id}
    await partners.note(db, caller, "command.created", shown.site_id, after=after, now=now)
    return shown


@router.get(
    "/v1/sites/{site_id}/commands",
    operation_id="listCommands",
    summary="What a site was asked to do, and what became of it",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def list_commands(
    site_id: str,
    caller: Caller,
    db: Db,
    now: Now,
    request: Request,
    response: Response,
    limit: Limit = 50,
    after: After = None,
) -> CommandPage:
    """Newest first."""
    caller.require(Right.SITES_READ)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    page = cursor("command", after)
    rows = await sites.commands.commands_of(db, caller, key.site_id, after=page, limit=limit)
    link_next(request, response, rows, limit, lambda command: ids.show("command", command.id))
    return CommandPage(items=[_shown(row, now) for row in rows])


@router.delete(
    "/v1/sites/{site_id}/commands/{command_id}",
    operation_id="cancelCommand",
    summary="Cancel a command that still waits",
    responses=described(Absent, sites.commands.CommandSent, WrongPartner, *CALLER_REFUSALS),
)
async def cancel_command(site_id: str, command_id: str, caller: Caller, db: Db, now: Now) -> CommandShown:
    """Once it was sent the site may have done it, and it can no longer be cancelled."""
    site = await _own(db, caller, site_id, Right.SITES_WRITE)
    command = await sites.commands.cancel(db, site, named("command", command_id), now=now)
    shown = _shown(command, now)
    await partners.note(db, caller, "command.cancelled", shown.site_id, after={"command": shown.id}, now=now)
    return shown


async def _own(db: Db, caller: Caller, site_id: str, right: Right, *, grave: bool = False) -> UUID:
    """Give a site that is the caller's now; one that has moved away is to be read, not told to do things."""
    caller.require(right, grave=grave)
    key = await keys.key_of_site(db, caller, named("site", site_id))
    if key.msp_id != caller.msp_id:
        raise Absent
    return key.site_id


def _shown(command: Command, now: datetime) -> CommandShown:
    return CommandShown(
        id=ids.show("command", command.id),
        site_id=ids.show("site", command.site_id),
        installation_id=command.installation_id,
        kind=command.kind,
        name=command.name,
        state=sites.commands.state_of(command, now),
        text=command.said,
        created_at=command.created_at,
        created_by=command.created_by,
        expires_at=command.expires_at,
        sent_at=command.sent_at,
        ended_at=command.ended_at,
    )
