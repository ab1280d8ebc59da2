"""The people of the caller's partner, and invitations to become one."""

from fastapi import APIRouter, Request, Response

from license_api.deps import CALLER_REFUSALS, Caller, Db, From, Now, Public, TheService
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import (
    Email,
    Instant,
    InvitationIdText,
    Language,
    Message,
    Name,
    Said,
    Secret,
    UserIdText,
)
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import ids, partners
from services.errors import Absent, ChangedMeanwhile, Invalid, TooManyAttempts, TooManyRequests
from services.partners import (
    EmailTaken,
    FreshSignInNeeded,
    IdempotencyKeyReused,
    Invitation,
    LastAdmin,
    LinkInvalid,
    Right,
    Role,
    User,
)

router = APIRouter(tags=["people"], route_class=OnceRoute)


class UserShown(Said):
    """A person of your partner."""

    id: UserIdText
    email: str
    name: str
    role: Role
    language: Language
    second_factor: bool
    created_at: Instant


class UserPage(Said):
    """A page of people."""

    items: list[UserShown]


class UserChange(Message):
    """What of a person to change; what is left out stays."""

    role: Role | None = None
    name: Name | None = None
    language: Language | None = None


class NewInvitation(Message):
    """Whom to invite, as what, and the language of the letter."""

    email: Email
    role: Role
    language: Language = "it"


class InvitationShown(Said):
    """An invitation that has not been accepted yet."""

    id: InvitationIdText
    email: str
    role: Role
    invited_by: str
    created_at: Instant
    expires_at: Instant


class InvitationPage(Said):
    """A page of open invitations."""

    items: list[InvitationShown]


class Acceptance(Message):
    """The token of the letter's link, who you are, and a password."""

    token: Secret
    name: Name
    password: Secret


@router.get(
    "/v1/users",
    operation_id="listUsers",
    summary="The people of your partner",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_users(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> UserPage:
    """In the order in which they joined."""
    caller.require(Right.PEOPLE_READ)
    rows = await partners.users_of(db, caller, after=cursor("user", after), limit=limit)
    link_next(request, response, rows, limit, lambda user: ids.show("user", user.id))
    return UserPage(items=[_user(user) for user in rows])


@router.get(
    "/v1/users/{user_id}",
    operation_id="getUser",
    summary="One person",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_user(user_id: str, caller: Caller, db: Db, response: Response) -> UserShown:
    """With an ETag for changes."""
    caller.require(Right.PEOPLE_READ)
    shown = _user(await partners.user_of(db, caller, named("user", user_id)))
    tag(response, shown)
    return shown


@router.patch(
    "/v1/users/{user_id}",
    operation_id="changeUser",
    summary="Change a person's role, name or language",
    responses=described(Absent, ChangedMeanwhile, FreshSignInNeeded, Invalid, LastAdmin, *CALLER_REFUSALS),
)
async def change_user(
    user_id: str, body: UserChange, caller: Caller, db: Db, now: Now, response: Response, if_match: IfMatch = None
) -> UserShown:
    """The last admin stays one."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    user = await partners.user_of(db, caller, named("user", user_id), lock=True)
    match(if_match, _user(user))
    await partners.change_user(
        db,
        caller,
        user,
        role=body.role or Role(user.role),
        name=body.name or user.name,
        language=body.language or user.language,
        now=now,
    )
    shown = _user(user)
    tag(response, shown)
    return shown


@router.delete(
    "/v1/users/{user_id}",
    operation_id="removeUser",
    summary="Take a person off",
    status_code=204,
    responses=described(Absent, FreshSignInNeeded, LastAdmin, *CALLER_REFUSALS),
)
async def remove_user(user_id: str, caller: Caller, db: Db, now: Now) -> None:
    """Sessions end at once; name and address are erased, what was done stays on record."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    user = await partners.user_of(db, caller, named("user", user_id), lock=True)
    await partners.remove_user(db, caller, user, now)


@router.delete(
    "/v1/users/{user_id}/totp",
    operation_id="resetTotp",
    summary="Remove a person's second factor, which was lost",
    status_code=204,
    responses=described(Absent, FreshSignInNeeded, *CALLER_REFUSALS),
)
async def reset_totp(user_id: str, caller: Caller, db: Db, now: Now) -> None:
    """The vendor's people must set up a new one before anything else."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    user = await partners.user_of(db, caller, named("user", user_id), lock=True)
    await partners.remove_totp(db, caller, user, now)


@router.post(
    "/v1/invitations",
    operation_id="inviteUser",
    summary="Invite somebody",
    status_code=201,
    dependencies=[Once],
    responses=described(FreshSignInNeeded, IdempotencyKeyReused, Invalid, *CALLER_REFUSALS),
)
async def invite_user(body: NewInvitation, caller: Caller, db: Db, now: Now, made: TheService) -> InvitationShown:
    """The letter's link is good for seven days."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    row = await partners.invite_colleague(
        db, made.desk.vault, caller, email=body.email, role=body.role, language=body.language, now=now
    )
    return _invitation(row)


@router.get(
    "/v1/invitations",
    operation_id="listInvitations",
    summary="The open invitations",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_invitations(
    caller: Caller, db: Db, now: Now, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> InvitationPage:
    """Oldest first."""
    caller.require(Right.PEOPLE_READ)
    rows = await partners.invitations_of(db, caller, now, after=cursor("invitation", after), limit=limit)
    link_next(request, response, rows, limit, lambda row: ids.show("invitation", row.id))
    return InvitationPage(items=[_invitation(row) for row in rows])


@router.delete(
    "/v1/invitations/{invitation_id}",
    operation_id="withdrawInvitation",
    summary="Take an invitation back",
    status_code=204,
    responses=described(Absent, FreshSignInNeeded, *CALLER_REFUSALS),
)
async def withdraw_invitation(invitation_id: str, caller: Caller, db: Db, now: Now) -> None:
    """Its link is good for nothing from now on."""
    caller.require(Right.PEOPLE_ADMIN, grave=True)
    await partners.withdraw_invitation(db, caller, named("invitation", invitation_id), now)


@router.post(
    "/v1/invitations/acceptance",
    operation_id="acceptInvitation",
    summary="Accept an invitation by the letter's link",
    status_code=201,
    dependencies=[Public],
    responses=described(EmailTaken, Invalid, LinkInvalid, TooManyAttempts, TooManyRequests),
)
async def accept_invitation(body: Acceptance, db: Db, now: Now, made: TheService, come_from: From) -> UserShown:
    """Then sign in."""
    await made.attempts.link(come_from.address)
    user = await partners.accept_invitation(db, token=body.token, name=body.name, password=body.password, now=now)
    return _user(user)


def _user(user: User) -> UserShown:
    return UserShown(
        id=ids.show("user", user.id),
        email=user.email,
        name=user.name,
        role=Role(user.role),
        language="en" if user.language == "en" else "it",
        second_factor=user.totp_confirmed_at is not None,
        created_at=user.created_at,
    )


def _invitation(row: Invitation) -> InvitationShown:
    return InvitationShown(
        id=ids.show("invitation", row.id),
        email=row.email,
        role=Role(row.role),
        invited_by=row.invited_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
