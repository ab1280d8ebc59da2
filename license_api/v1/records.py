"""What is on record for a partner: the audit log, its events, and its letters."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from license_api.deps import CALLER_REFUSALS, Caller, Db
from license_api.problems import described
from license_api.v1.fields import PRINTABLE, AuditIdText, EventIdText, Instant, LetterIdText, MspIdText, Said, ToldKind
from license_api.v1.pages import After, Limit, cursor, link_next
from services import delivery, ids, partners
from services.errors import Invalid
from services.partners import Right

router = APIRouter(tags=["records"])


class AuditEntryShown(Said):
    """Who did what, when, from where. Before and after hold what changed."""

    id: AuditIdText
    at: Instant
    msp_id: MspIdText | None
    actor: str
    action: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str | None
    request_id: str | None


class AuditPage(Said):
    """A page of the audit log."""

    items: list[AuditEntryShown]


class EventShown(Said):
    """Something that happened; webhooks tell the same."""

    id: EventIdText
    at: Instant
    kind: ToldKind
    subject: dict[str, Any]


class EventPage(Said):
    """A page of events."""

    items: list[EventShown]


class LetterShown(Said):
    """A letter that was given up: its address takes none."""

    id: LetterIdText
    kind: str
    recipient: str
    posted_at: Instant
    failure: str | None


class LetterAttemptShown(Said):
    """One try to send a letter; `failure` is what the mail server said, null if it took it."""

    at: Instant
    failure: str | None


class PostedLetterShown(Said):
    """A letter to you: `waiting` (to be tried at `next_attempt_at`), `sent`, or `given_up`."""

    id: LetterIdText
    kind: str
    recipient: str
    posted_at: Instant
    state: Literal["waiting", "sent", "given_up"]
    next_attempt_at: Instant | None
    attempts: list[LetterAttemptShown]


class LetterPage(Said):
    """A page of letters."""

    items: list[PostedLetterShown]


class LetterList(Said):
    """The letters that were given up, newest first, 200 at most."""

    items: list[LetterShown]


@router.get(
    "/v1/audit-log",
    operation_id="listAuditLog",
    summary="Who did what",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_audit_log(
    caller: Caller,
    db: Db,
    request: Request,
    response: Response,
    subject: Annotated[
        str | None, Query(pattern=PRINTABLE, max_length=64, description="Only what was done to this id.")
    ] = None,
    limit: Limit = 50,
    after: After = None,
) -> AuditPage:
    """Newest first."""
    caller.require(Right.AUDIT_READ)
    rows = await partners.audit_log(db, caller, subject=subject, after=cursor("audit", after), limit=limit)
    link_next(request, response, rows, limit, lambda row: ids.show("audit", row.id))
    return AuditPage(items=[_entry(row) for row in rows])


@router.get(
    "/v1/events",
    operation_id="listEvents",
    summary="What happened",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_events(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> EventPage:
    """In the order in which they came to be known: go on after the last one that you have, and none is missed."""
    caller.require(Right.EVENTS_READ)
    rows = await delivery.events_of(db, caller.partner_id, after=cursor("event", after), limit=limit)
    link_next(request, response, rows, limit, lambda row: ids.show("event", row.id))
    shown = [EventShown(id=ids.show("event", row.id), at=row.at, kind=row.kind, subject=row.subject) for row in rows]
    return EventPage(items=shown)


@router.get(
    "/v1/letters",
    operation_id="listLetters",
    summary="Letters to you, with every attempt to send them",
    responses=described(Invalid, *CALLER_REFUSALS),
)
async def list_letters(
    caller: Caller, db: Db, request: Request, response: Response, limit: Limit = 50, after: After = None
) -> LetterPage:
    """Newest first. A mail server that is away delays a letter for up to three days, and loses none."""
    caller.require(Right.EVENTS_READ)
    rows = await delivery.letters_of(db, caller.partner_id, after=cursor("letter", after), limit=limit)
    link_next(request, response, rows, limit, lambda row: ids.show("letter", row[0].id))
    return LetterPage(items=[_letter(row, attempts) for row, attempts in rows])


@router.get(
    "/v1/undeliverable-letters",
    operation_id="listUndeliverableLetters",
    summary="Letters to you that could not be delivered",
    responses=described(*CALLER_REFUSALS),
)
async def list_undeliverable_letters(caller: Caller, db: Db) -> LetterList:
    """Mend the address, or take the person off."""
    caller.require(Right.EVENTS_READ)
    rows = await delivery.undeliverable_letters(db, caller.partner_id)
    names = [name for name in LetterShown.model_fields if name != "id"]
    return LetterList(
        items=[
            LetterShown(id=ids.show("letter", row.id), **{name: getattr(row, name) for name in names}) for row in rows
        ]
    )


def _letter(row: delivery.Letter, attempts: Sequence[delivery.LetterAttempt]) -> PostedLetterShown:
    waiting: Literal["waiting", "given_up"] = "given_up" if row.next_attempt_at is None else "waiting"
    return PostedLetterShown(
        id=ids.show("letter", row.id),
        kind=row.kind,
        recipient=row.recipient,
        posted_at=row.posted_at,
        state="sent" if row.sent_at is not None else waiting,
        next_attempt_at=row.next_attempt_at,
        attempts=[LetterAttemptShown(at=one.at, failure=one.failure) for one in attempts],
    )


def _entry(row: partners.AuditEntry) -> AuditEntryShown:
    return AuditEntryShown(
        id=ids.show("audit", row.id),
        at=row.at,
        msp_id=ids.show("msp", row.msp_id) if row.msp_id else None,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        before=row.before,
        after=row.after,
        address=row.address,
        request_id=row.request_id,
    )
