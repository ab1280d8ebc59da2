"""Signing in, one's own sessions, one's own password and second factor."""

from typing import Annotated, Any

from fastapi import APIRouter, Header

from license_api.deps import CALLER_REFUSALS, Caller, Db, From, Now, Public, TheService
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import Email, Instant, Language, Message, Said, Secret, SessionIdText, UserIdText
from license_api.v1.pages import named
from services import ids, partners
from services.errors import Absent, Invalid, TooManyAttempts, TooManyRequests
from services.partners import (
    CodeNeeded,
    CodeWrong,
    FreshSignInNeeded,
    IdempotencyKeyReused,
    LinkInvalid,
    NoSecondFactor,
    PartnerKind,
    Principal,
    Right,
    SignInFailed,
    User,
    UserSession,
)

router = APIRouter(tags=["sessions"], route_class=OnceRoute)
_SIGNING_IN = (SignInFailed, CodeNeeded, CodeWrong, TooManyAttempts, TooManyRequests)


class SignIn(Message):
    """Address, password, and a code of the second factor (or a recovery code) if there is one."""

    email: Email
    password: Secret
    code: Secret | None = None


class Confirmation(Message):
    """The password again, and a code of the second factor if there is one."""

    password: Secret
    code: Secret | None = None


class SessionShown(Said):
    """One sign-in of yours."""

    id: SessionIdText
    created_at: Instant
    last_seen_at: Instant
    address: str | None
    program: str | None
    current: bool


class SessionBegun(SessionShown):
    """A new session. `secret` is the bearer of its requests, and is given this once."""

    secret: str


class SessionList(Said):
    """Your living sessions, newest first."""

    items: list[SessionShown]


class Me(Said):
    """Who calls, for which partner, with which rights."""

    actor: str
    partner_kind: PartnerKind
    partner_id: str
    user_id: UserIdText | None
    rights: list[Right]
    fresh: bool
    totp_required: bool


class TotpBegun(Said):
    """A second factor to put into an authenticator; it counts when a code of it has been confirmed."""

    secret: str
    uri: str


class TotpCode(Message):
    """A code of the authenticator."""

    code: Secret


class RecoveryCodes(Said):
    """Each stands in once for a code of the authenticator. They are given this once."""

    codes: list[str]


class PasswordChange(Message):
    """The password of now, and the one to come."""

    old: Secret
    new: Secret


class PasswordResetWish(Message):
    """Whose password is to be new, and the language of the letter."""

    email: Email
    language: Language = "it"


class NewPassword(Message):
    """The token of the letter's link, and the new password."""

    token: Secret
    password: Secret


@router.post(
    "/v1/sessions",
    operation_id="signIn",
    summary="Sign in",
    status_code=201,
    dependencies=[Public],
    responses=described(Invalid, *_SIGNING_IN),
)
async def sign_in(
    body: SignIn,
    db: Db,
    now: Now,
    made: TheService,
    come_from: From,
    program: Annotated[str | None, Header(alias="User-Agent", max_length=500)] = None,
) -> SessionBegun:
    """A wrong password and an address that is nobody's have the same answer, and take as long."""
    known = await partners.is_known_network(db, body.email, come_from.address, now)
    await made.attempts.sign_in(come_from.address, body.email, known=known)
    begun = await partners.sign_in(
        db,
        made.desk.vault,
        email=body.email,
        password=body.password,
        code=body.code,
        origin=come_from,
        program=program,
        now=now,
    )
    await made.attempts.signed_in(come_from.address, body.email)
    return SessionBegun(**_session(begun.session, current=True), secret=begun.secret)


@router.get(
    "/v1/sessions",
    operation_id="listSessions",
    summary="Your living sessions",
    responses=described(*CALLER_REFUSALS),
)
async def list_sessions(caller: Caller, db: Db, now: Now) -> SessionList:
    """Newest first."""
    rows = await partners.sessions_of(db, caller, now)
    return SessionList(items=[SessionShown(**_session(row, current=row.id == caller.credential_id)) for row in rows])


@router.delete(
    "/v1/sessions/{session_id}",
    operation_id="endSession",
    summary="End one of your sessions",
    status_code=204,
    responses=described(Absent, *CALLER_REFUSALS),
)
async def end_session(session_id: str, caller: Caller, db: Db, now: Now) -> None:
    """`current` is the one that asks."""
    wanted = caller.credential_id if session_id == "current" else named("session", session_id)
    await partners.end_session(db, caller, wanted, now)


@router.post(
    "/v1/sessions/current/confirmation",
    operation_id="confirmSession",
    summary="Confirm your password for a grave act",
    status_code=204,
    responses=described(Invalid, SignInFailed, CodeNeeded, CodeWrong, *CALLER_REFUSALS),
)
async def confirm_session(body: Confirmation, caller: Caller, db: Db, now: Now, made: TheService) -> None:
    """For ten minutes the session is fresh."""
    await made.attempts.confirm(str(caller.credential_id))
    await partners.confirm_session(db, made.desk.vault, caller, password=body.password, code=body.code, now=now)


@router.get("/v1/me", operation_id="getMe", summary="Who calls", responses=described(*CALLER_REFUSALS))
async def get_me(caller: Caller) -> Me:
    """And what it may do."""
    return Me(
        actor=caller.actor,
        partner_kind=caller.kind,
        partner_id=ids.show(caller.kind, caller.partner_id),
        user_id=ids.show("user", caller.user_id) if caller.user_id else None,
        rights=sorted(caller.rights),
        fresh=caller.fresh,
        totp_required=caller.must_enrol,
    )


@router.post(
    "/v1/me/totp",
    operation_id="beginTotp",
    summary="Begin to set up a second factor",
    status_code=201,
    dependencies=[Once],
    responses=described(FreshSignInNeeded, IdempotencyKeyReused, NoSecondFactor, *CALLER_REFUSALS),
)
async def begin_totp(caller: Caller, db: Db, made: TheService) -> TotpBegun:
    """It counts from when a code of it is confirmed."""
    secret, uri = await partners.begin_totp(db, made.desk.vault, await _me(db, caller))
    return TotpBegun(secret=secret, uri=uri)


@router.put(
    "/v1/me/totp",
    operation_id="confirmTotp",
    summary="Confirm the second factor",
    responses=described(CodeWrong, Invalid, NoSecondFactor, FreshSignInNeeded, *CALLER_REFUSALS),
)
async def confirm_totp(body: TotpCode, caller: Caller, db: Db, now: Now, made: TheService) -> RecoveryCodes:
    """Keep the recovery codes where the authenticator is not."""
    await made.attempts.confirm(str(caller.credential_id))
    user = await _me(db, caller)
    return RecoveryCodes(codes=await partners.confirm_totp(db, made.desk.vault, caller, user, body.code, now))


@router.delete(
    "/v1/me/totp",
    operation_id="removeTotp",
    summary="Remove your second factor",
    status_code=204,
    responses=described(FreshSignInNeeded, *CALLER_REFUSALS),
)
async def remove_totp(caller: Caller, db: Db, now: Now) -> None:
    """The vendor's people must keep one."""
    await partners.remove_totp(db, caller, await _me(db, caller), now)


@router.post(
    "/v1/me/password",
    operation_id="changePassword",
    summary="Change your password",
    status_code=204,
    responses=described(Invalid, SignInFailed, *CALLER_REFUSALS),
)
async def change_password(body: PasswordChange, caller: Caller, db: Db, now: Now, made: TheService) -> None:
    """Your other sessions end."""
    await made.attempts.confirm(str(caller.credential_id))
    await partners.change_password(db, caller, old=body.old, new=body.new, now=now)


@router.post(
    "/v1/password-resets",
    operation_id="requestPasswordReset",
    summary="Ask for a letter with which to set a new password",
    status_code=202,
    dependencies=[Public],
    responses=described(Invalid, TooManyRequests),
)
async def request_password_reset(body: PasswordResetWish, db: Db, now: Now, made: TheService) -> None:
    """The answer is the same whoever the address is."""
    await partners.request_password_reset(db, made.desk.vault, email=body.email, language=body.language, now=now)


@router.post(
    "/v1/password-resets/completion",
    operation_id="completePasswordReset",
    summary="Set a new password by the letter's link",
    status_code=204,
    dependencies=[Public],
    responses=described(Invalid, LinkInvalid, TooManyAttempts, TooManyRequests),
)
async def complete_password_reset(body: NewPassword, db: Db, now: Now, made: TheService, come_from: From) -> None:
    """All sessions end."""
    await made.attempts.link(come_from.address)
    await partners.set_new_password(db, token=body.token, password=body.password, origin=come_from, now=now)


async def _me(db: Db, caller: Principal) -> User:
    """Give the person who asks, freshly signed in. It must be possible before there is a second factor."""
    caller.person()
    if not caller.fresh:
        raise FreshSignInNeeded
    return await partners.user_of(db, caller, caller.person(), lock=True)


def _session(row: UserSession, *, current: bool) -> dict[str, Any]:
    return {
        "id": ids.show("session", row.id),
        "created_at": row.created_at,
        "last_seen_at": row.last_seen_at,
        "address": row.address,
        "program": row.program,
        "current": current,
    }
