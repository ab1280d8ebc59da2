"""Webhook endpoints and what was delivered to them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from license_api.deps import CALLER_REFUSALS, Caller, Db, Now, TheService
from license_api.once import Once, OnceRoute
from license_api.problems import described
from license_api.v1.etags import IfMatch, match, tag
from license_api.v1.fields import (
    DeliveryIdText,
    Email,
    EndpointIdText,
    EventIdText,
    Flag,
    Instant,
    Language,
    Message,
    Note,
    Said,
    ToldKind,
    WantedKind,
)
from license_api.v1.pages import After, Limit, cursor, link_next, named
from services import delivery, ids, partners
from services.delivery import TooManyEndpoints, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from services.errors import Absent, ChangedMeanwhile, Invalid
from services.partners import IdempotencyKeyReused, Principal, Right
from services.signing import Vault

router = APIRouter(tags=["webhooks"], route_class=OnceRoute)
_Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=1000)]
_Kinds = Annotated[
    list[WantedKind], Field(max_length=100, description="Kinds of event, like `key.disabled`; none: all.")
]


class NewEndpoint(Message):
    """Where to post events. `contact` is written to when the endpoint is switched off."""

    url: _Url
    description: Note = ""
    kinds: _Kinds = Field(default=[])
    scheme: Literal["ed25519", "hmac"] = "ed25519"
    contact: Email | None = None
    language: Language = "it"


class EndpointChange(Message):
    """What to change; what is left out stays. `on: true` switches an endpoint on again that was switched off."""

    url: _Url | None = None
    description: Note | None = None
    kinds: _Kinds | None = None
    contact: Email | None = None
    on: Flag | None = None


class EndpointShown(Said):
    """A webhook endpoint. `public_key` verifies what it is sent (ed25519)."""

    id: EndpointIdText
    url: str
    description: str
    kinds: list[ToldKind]
    scheme: Literal["ed25519", "hmac"]
    public_key: str | None
    contact: str | None
    created_at: Instant
    failing_since_at: Instant | None
    off_at: Instant | None
    off_reason: str | None


class EndpointMade(EndpointShown):
    """A new endpoint, or a new key of it. `secret` (hmac) is given this once."""

    secret: str | None


class EndpointList(Said):
    """Your webhook endpoints, oldest first."""

    items: list[EndpointShown]


class AttemptShown(Said):
    """One try to deliver."""

    at: Instant
    status: int | None
    failure: str | None


class DeliveryShown(Said):
    """One event on its way to one endpoint."""

    id: DeliveryIdText
    event_id: EventIdText
    kind: ToldKind
    body: str
    created_at: Instant
    next_attempt_at: Instant | None
    delivered_at: Instant | None
    gave_up_at: Instant | None
    attempts: list[AttemptShown]


class DeliveryPage(Said):
    """A page of deliveries."""

    items: list[DeliveryShown]


@router.post(
    "/v1/webhook-endpoints",
    operation_id="createWebhookEndpoint",
    summary="Have events posted to a URL",
    status_code=201,
    dependencies=[Once],
    responses=described(IdempotencyKeyReused, Invalid, TooManyEndpoints, *CALLER_REFUSALS),
)
async def create_endpoint(body: NewEndpoint, caller: Caller, db: Db, now: Now, made: TheService) -> EndpointMade:
    """Signed as Standard Webhooks has it; ed25519 needs no secret at your end."""
    caller.require(Right.WEBHOOKS_WRITE)
    row = await delivery.add_endpoint(
        db,
        made.desk.vault,
        partner_id=caller.partner_id,
        url=delivery.checked_url(body.url, private=made.private_webhooks),
        description=body.description,
        kinds=body.kinds,
        scheme=body.scheme,
        contact=body.contact,
        language=body.language,
        now=now,
    )
    await partners.note(db, caller, "endpoint.created", ids.show("endpoint", row.id), after={"url": row.url}, now=now)
    return _made(made.desk.vault, row, now)


@router.get(
    "/v1/webhook-endpoints",
    operation_id="listWebhookEndpoints",
    summary="Your webhook endpoints",
    responses=described(*CALLER_REFUSALS),
)
async def list_endpoints(caller: Caller, db: Db, now: Now, made: TheService) -> EndpointList:
    """Twenty at most, so there are no pages."""
    caller.require(Right.WEBHOOKS_READ)
    rows = await delivery.endpoints_of(db, caller.partner_id)
    return EndpointList(items=[_endpoint(made.desk.vault, row, now) for row in rows])


@router.get(
    "/v1/webhook-endpoints/{endpoint_id}",
    operation_id="getWebhookEndpoint",
    summary="One webhook endpoint",
    responses=described(Absent, *CALLER_REFUSALS),
)
async def get_endpoint(
    endpoint_id: str, caller: Caller, db: Db, now: Now, made: TheService, response: Response
) -> EndpointShown:
    """With an ETag for changes."""
    caller.require(Right.WEBHOOKS_READ)
    shown = _endpoint(made.desk.vault, await _own(db, caller, endpoint_id), now)
    tag(response, shown)
    return shown


@router.patch(
    "/v1/webhook-endpoints/{endpoint_id}",
    operation_id="changeWebhookEndpoint",
    summary="Change an endpoint, or switch it on again",
    responses=described(Absent, ChangedMeanwhile, Invalid, *CALLER_REFUSALS),
)
async def change_endpoint(
    endpoint_id: str,
    body: EndpointChange,
    caller: Caller,
    db: Db,
    now: Now,
    made: TheService,
    response: Response,
    if_match: IfMatch = None,
) -> EndpointShown:
    """What was missed while it was off can be replayed."""
    caller.require(Right.WEBHOOKS_WRITE)
    row = await _own(db, caller, endpoint_id)
    match(if_match, _endpoint(made.desk.vault, row, now))
    changes = body.model_dump(exclude_none=True, exclude={"on"})
    if body.url is not None:
        changes["url"] = delivery.checked_url(body.url, private=made.private_webhooks)
    for name, value in changes.items():
        setattr(row, name, value)
    if body.on is True:
        delivery.switch_on(row)
    elif body.on is False and row.off_at is None:
        await delivery.switch_off(db, row, "by you", now)
    await partners.note(db, caller, "endpoint.changed", ids.show("endpoint", row.id), after=changes, now=now)
    await db.flush()
    shown = _endpoint(made.desk.vault, row, now)
    tag(response, shown)
    return shown


@router.delete(
    "/v1/webhook-endpoints/{endpoint_id}",
    operation_id="removeWebhookEndpoint",
    summary="Remove an endpoint",
    status_code=204,
    responses=described(Absent, *CALLER_REFUSALS),
)
async def remove_endpoint(endpoint_id: str, caller: Caller, db: Db, now: Now) -> None:
    """What waits for it is given up."""
    caller.require(Right.WEBHOOKS_WRITE)
    row = await _own(db, caller, endpoint_id)
    await delivery.remove_endpoint(db, row, now)
    await partners.note(db, caller, "endpoint.removed", ids.show("endpoint", row.id), now=now)


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/rotation",
    operation_id="rotateWebhookSecret",
    summary="Give an endpoint a new signing key",
    status_code=201,
    dependencies=[Once],
    responses=described(Absent, IdempotencyKeyReused, Invalid, *CALLER_REFUSALS),
)
async def rotate_secret(endpoint_id: str, caller: Caller, db: Db, now: Now, made: TheService) -> EndpointMade:
    """For a day both keys sign."""
    caller.require(Right.WEBHOOKS_WRITE)
    row = await _own(db, caller, endpoint_id)
    await delivery.rotate_secret(db, made.desk.vault, row, now)
    await partners.note(db, caller, "endpoint.rotated", ids.show("endpoint", row.id), now=now)
    return _made(made.desk.vault, row, now)


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/test",
    operation_id="testWebhookEndpoint",
    summary="Send an event of the kind `test`",
    status_code=202,
    dependencies=[Once],
    responses=described(Absent, IdempotencyKeyReused, Invalid, *CALLER_REFUSALS),
)
async def send_test(endpoint_id: str, caller: Caller, db: Db, now: Now) -> DeliveryShown:
    """What becomes of it is among the deliveries."""
    caller.require(Right.WEBHOOKS_WRITE)
    return _delivery(await delivery.send_test(db, await _own(db, caller, endpoint_id), now), [])


@router.get(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries",
    operation_id="listWebhookDeliveries",
    summary="What was delivered to an endpoint, and every attempt",
    responses=described(Absent, Invalid, *CALLER_REFUSALS),
)
async def list_deliveries(
    endpoint_id: str,
    caller: Caller,
    db: Db,
    request: Request,
    response: Response,
    limit: Limit = 50,
    after: After = None,
) -> DeliveryPage:
    """Newest first."""
    caller.require(Right.WEBHOOKS_READ)
    row = await _own(db, caller, endpoint_id)
    rows = await delivery.deliveries_of(db, row.id, after=cursor("delivery", after), limit=limit)
    link_next(request, response, rows, limit, lambda pair: ids.show("delivery", pair[0].id))
    return DeliveryPage(items=[_delivery(one, attempts) for one, attempts in rows])


@router.post(
    "/v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/replay",
    operation_id="replayWebhookDelivery",
    summary="Deliver an event once more",
    status_code=202,
    dependencies=[Once],
    responses=described(Absent, IdempotencyKeyReused, Invalid, *CALLER_REFUSALS),
)
async def replay(endpoint_id: str, delivery_id: str, caller: Caller, db: Db, now: Now) -> DeliveryShown:
    """Under the same message id, so that a receiver can tell that it had it."""
    caller.require(Right.WEBHOOKS_WRITE)
    row = await _own(db, caller, endpoint_id)
    return _delivery(await delivery.replay_delivery(db, row, named("delivery", delivery_id), now), [])


async def _own(db: Db, caller: Principal, endpoint_id: str) -> WebhookEndpoint:
    return await delivery.endpoint_of(db, caller.partner_id, named("endpoint", endpoint_id))


def _fields(vault: Vault, row: WebhookEndpoint, now: Now) -> dict[str, Any]:
    names = (name for name in EndpointShown.model_fields if name not in ("id", "public_key"))
    secret = delivery.secrets_of(vault, row, now)[0]
    public_key = delivery.shown_key(row.scheme, secret) if row.scheme == "ed25519" else None
    return {
        "id": ids.show("endpoint", row.id),
        "public_key": public_key,
        **{name: getattr(row, name) for name in names},
    }


def _endpoint(vault: Vault, row: WebhookEndpoint, now: Now) -> EndpointShown:
    return EndpointShown(**_fields(vault, row, now))


def _made(vault: Vault, row: WebhookEndpoint, now: Now) -> EndpointMade:
    secret = delivery.shown_key(row.scheme, delivery.secrets_of(vault, row, now)[0])
    return EndpointMade(**_fields(vault, row, now), secret=secret if row.scheme == "hmac" else None)


def _delivery(row: WebhookDelivery, attempts: "list[WebhookAttempt] | Any") -> DeliveryShown:
    return DeliveryShown(
        id=ids.show("delivery", row.id),
        event_id=ids.show("event", row.event_id),
        kind=row.kind,
        body=row.body,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        delivered_at=row.delivered_at,
        gave_up_at=row.gave_up_at,
        attempts=[AttemptShown(at=one.at, status=one.status, failure=one.failure) for one in attempts],
    )
