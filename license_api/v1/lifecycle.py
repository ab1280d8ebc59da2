"""What an MSP's program does to a key: each is done once however often it is sent, and is one row of the timeline."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now, TheService
from license_api.noted import noted
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.fields import Instant, KeyIdText, Message, Name, Said, SiteIdText
from license_api.v1.keys import KeyIssued, KeyShown, key_shown
from license_api.v1.pages import named
from services import ids, keys, partners, sites
from services.errors import Absent, BodyTooLarge
from services.keys import KeyAlreadyRotated, KeyRevokedForGood
from services.partners import FreshSignInNeeded, IdempotencyKeyReused, Right, WrongPartner
from services.sites import RejectedTooLate

_ACTS = {
    "suspendKey": "key.suspended",
    "resumeKey": "key.resumed",
    "revokeKey": "key.revoked",
    "releaseKey": "key.released",
    "rotateKey": "key.rotated",
    "snoozeKey": "key.snoozed",
    "endStandalone": "seat.ended",
    "rejectStandalone": "seat.rejected",
    "offerMove": "move.offered",
    "withdrawMove": "move.withdrawn",
    "acceptMove": "move.accepted",
}
router = APIRouter(tags=["keys"], route_class=OnceRoute, dependencies=[noted(_ACTS)])
_ALWAYS = (Absent, BodyTooLarge, WrongPartner, *CALLER_REFUSALS)
_GRAVE = (FreshSignInNeeded, *_ALWAYS)


class Why(Message):
    """The reason, which the site is told and the timeline keeps."""

    reason: Name


class Replaced(Message):
    """The last five characters of the code to be replaced, so that a repeat replaces nothing more."""

    replaces: Annotated[str, Field(pattern=r"^[0-9A-Z]{5}$")]


class Snooze(Message):
    """Send no warning of silence before `until`; null ends it."""

    until: AwareDatetime | None


class Receiver(Message):
    """The MSP that is to have the site."""

    to_msp: Annotated[str, Field(examples=[ids.show("msp", UUID(int=0x0190F5FE_C4F5_7000_8000 << 48))])]


class MoveShown(Said):
    """A site on its way to another MSP; `effective_at` is the start of the next period once it is accepted."""

    id: str
    site_id: SiteIdText
    key_id: KeyIdText
    name: str
    from_msp: str
    to_msp: str
    offered_at: Instant
    accepted_at: Instant | None
    effective_at: Instant | None


class Moves(Said):
    """Moves under way, from and to the MSP."""

    items: list[MoveShown]


class SeatShown(Said):
    """A standalone Server Plus on the key; `ended_at` is null while it holds its seat."""

    installation_id: UUID
    hostname: str
    version: str
    activated_at: Instant
    last_contact_at: Instant | None
    ended_at: Instant | None
    end_reason: str | None


class Seats(Said):
    """The standalones that ever held a seat, in the order in which they took it."""

    items: list[SeatShown]


@router.post(
    "/v1/keys/{key_id}/suspend",
    operation_id="suspendKey",
    summary="Suspend a key until it is resumed",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, KeyRevokedForGood, *_ALWAYS),
)
async def suspend_key(key_id: str, body: Why, caller: Caller, db: Db, now: Now) -> KeyShown:
    """No new agents; backups go on until the lease in hand ends; restore never stops."""
    site_id = await _site(db, caller, key_id)
    key = await sites.orders.suspend(db, site_id, reason=body.reason, actor=caller.actor, now=now)
    return await key_shown(db, key, now)


@router.post(
    "/v1/keys/{key_id}/resume",
    operation_id="resumeKey",
    summary="Take a suspension back",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, KeyRevokedForGood, *_ALWAYS),
)
async def resume_key(key_id: str, caller: Caller, db: Db, now: Now) -> KeyShown:
    """The site is told with its next heartbeat."""
    key = await sites.orders.resume(db, await _site(db, caller, key_id), actor=caller.actor, now=now)
    return await key_shown(db, key, now)


@router.post(
    "/v1/keys/{key_id}/revoke",
    operation_id="revokeKey",
    summary="Revoke a key for good",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, *_GRAVE),
)
async def revoke_key(key_id: str, body: Why, caller: Caller, db: Db, now: Now) -> KeyShown:
    """It counts until the site has been told, at the latest until its lease ends. Restore never stops."""
    site_id = await _site(db, caller, key_id, grave=True)
    key = await sites.orders.revoke(db, site_id, reason=body.reason, actor=caller.actor, now=now)
    return await key_shown(db, key, now)


@router.post(
    "/v1/keys/{key_id}/release",
    operation_id="releaseKey",
    summary="Let another Site Manager activate on the key",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, sites.orders.NothingToRelease, *_ALWAYS),
)
async def release_key(key_id: str, caller: Caller, db: Db, now: Now) -> KeyShown:
    """For new hardware. The old Site Manager goes on, and counts, until the next one activates."""
    key = await sites.orders.release(db, await _site(db, caller, key_id), actor=caller.actor, now=now)
    return await key_shown(db, key, now)


@router.post(
    "/v1/keys/{key_id}/rotate",
    operation_id="rotateKey",
    summary="Give the key a new code",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, KeyAlreadyRotated, *_GRAVE),
)
async def rotate_key(key_id: str, body: Replaced, caller: Caller, db: Db, now: Now, made: TheService) -> KeyIssued:
    """For a leaked one, also if it is revoked: the bound site goes on, and the line of the report is the same."""
    site_id = await _site(db, caller, key_id, grave=True)
    key, code = await sites.orders.rotate(
        db, made.desk.vault, site_id, replaces=body.replaces, actor=caller.actor, now=now
    )
    return KeyIssued(**(await key_shown(db, key, now)).model_dump(), code=code)


@router.post(
    "/v1/keys/{key_id}/snooze",
    operation_id="snoozeKey",
    summary="Send no warnings of silence until a date",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, sites.orders.SnoozedTooLong, *_ALWAYS),
)
async def snooze_key(key_id: str, body: Snooze, caller: Caller, db: Db, now: Now) -> KeyShown:
    """The final warning and the disabling keep their dates."""
    site_id = await _site(db, caller, key_id)
    key = await sites.orders.snooze(db, site_id, until=body.until, actor=caller.actor, now=now)
    return await key_shown(db, key, now)


@router.get(
    "/v1/keys/{key_id}/standalones",
    operation_id="listStandalones",
    summary="The standalone Server Plus installations on a key",
    responses=described(*_ALWAYS),
)
async def list_seats(key_id: str, caller: Caller, db: Db) -> Seats:
    """Those that have ended too."""
    caller.require(Right.KEYS_READ)
    key = await keys.visible_key(db, caller, named("key", key_id))
    found = await sites.seats_of(db, key)
    return Seats(
        items=[
            SeatShown(
                installation_id=seat.installation_id,
                hostname=seat.hostname,
                version=seat.version,
                activated_at=seat.activated_at,
                last_contact_at=seat.last_contact_at,
                ended_at=seat.ended_at,
                end_reason=seat.end_reason,
            )
            for seat in found
        ]
    )


@router.post(
    "/v1/keys/{key_id}/standalones/{installation_id}/end",
    operation_id="endStandalone",
    summary="End a standalone's seat",
    status_code=204,
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, *_ALWAYS),
)
async def end_seat(key_id: str, installation_id: UUID, caller: Caller, db: Db, now: Now) -> None:
    """It counts until now."""
    key = await sites.standing.lock(db, await _site(db, caller, key_id))
    await sites.end_seat(db, key, installation_id, actor=caller.actor, now=now)


@router.post(
    "/v1/keys/{key_id}/standalones/{installation_id}/reject",
    operation_id="rejectStandalone",
    summary="Reject a standalone that you do not know",
    status_code=204,
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, RejectedTooLate, *_ALWAYS),
)
async def reject_seat(key_id: str, installation_id: UUID, caller: Caller, db: Db, now: Now) -> None:
    """Before the close of the period in which it took its seat: it counts nothing."""
    key = await sites.standing.lock(db, await _site(db, caller, key_id))
    await sites.reject_seat(db, key, installation_id, actor=caller.actor, now=now)


@router.post(
    "/v1/keys/{key_id}/move",
    operation_id="offerMove",
    summary="Offer a site to another MSP",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, sites.moves.MoveUnderWay, sites.moves.NotAnotherMsp, *_GRAVE),
)
async def offer_move(key_id: str, body: Receiver, caller: Caller, db: Db, now: Now) -> MoveShown:
    """Nothing changes until the other MSP accepts."""
    site_id = await _site(db, caller, key_id, grave=True)
    to_msp_id = named("msp", body.to_msp)
    await partners.unguarded(db)
    move = await sites.moves.offer(db, site_id, to_msp_id, actor=caller.actor, now=now)
    return _move(await sites.moves.offered(db, move))


@router.delete(
    "/v1/keys/{key_id}/move",
    operation_id="withdrawMove",
    summary="Withdraw the offer",
    status_code=204,
    responses=described(sites.moves.MoveAccepted, *_ALWAYS),
)
async def withdraw_move(key_id: str, caller: Caller, db: Db, now: Now) -> None:
    """Possible until it is accepted."""
    await sites.moves.withdraw(db, await _site(db, caller, key_id), actor=caller.actor, now=now)


@router.get(
    "/v1/moves",
    operation_id="listMoves",
    summary="Moves under way, from and to the MSP",
    responses=described(*_ALWAYS),
)
async def list_moves(caller: Caller, db: Db) -> Moves:
    """Oldest first."""
    caller.require(Right.KEYS_READ)
    msp_id = caller.msp_id
    await partners.unguarded(db)
    return Moves(items=[_move(one) for one in await sites.moves.moves_of(db, msp_id)])


@router.post(
    "/v1/moves/{move_id}/accept",
    operation_id="acceptMove",
    summary="Accept a site that is offered",
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, *_GRAVE),
)
async def accept_move(move_id: str, caller: Caller, db: Db, now: Now) -> MoveShown:
    """The site is yours from the start of the giver's next period on."""
    caller.require(Right.KEYS_ADMIN, grave=True)
    msp_id = caller.msp_id
    await partners.unguarded(db)
    move = await sites.moves.move_offered_to(db, msp_id, named("move", move_id))
    return _move(await sites.moves.offered(db, await sites.moves.accept(db, move, actor=caller.actor, now=now)))


async def _site(db: Db, caller: Caller, key_id: str, *, grave: bool = False) -> UUID:
    """Give the site of a key that is the caller's now; one that has moved away is to be read, not changed.

    What cannot be taken back is for an admin after a fresh sign-in.
    """
    caller.require(Right.KEYS_ADMIN if grave else Right.KEYS_WRITE, grave=grave)
    key = await keys.visible_key(db, caller, named("key", key_id))
    if key.msp_id != caller.msp_id:
        raise Absent
    return key.site_id


def _move(one: sites.moves.Offered) -> MoveShown:
    move = one.move
    fields: dict[str, Any] = {
        "id": ids.show("move", move.id),
        "site_id": ids.show("site", move.site_id),
        "key_id": ids.show("key", move.key_id),
        "name": one.name,
        "from_msp": one.from_msp,
        "to_msp": one.to_msp,
        "offered_at": move.offered_at,
        "accepted_at": move.accepted_at,
        "effective_at": move.effective_at,
    }
    return MoveShown(**fields)
