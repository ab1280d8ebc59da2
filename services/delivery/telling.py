"""Telling events to endpoints: fan out, claim, commit, send, settle. In order as long as the oldest is not stuck."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.delivery.endpoints import secrets_of, switch_off
from services.delivery.outbox import language, post
from services.delivery.retry import WEBHOOK_DELAYS, next_attempt_at
from services.delivery.signatures import signature
from services.delivery.tables import Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from services.errors import Absent
from services.ids import new_id, show
from services.signing import Vault

_LEASE = timedelta(minutes=5)
_KEEPS_FAILING = timedelta(days=3)
# So often the oldest is tried before those behind it go ahead of it.
_IN_ORDER_ATTEMPTS = 4
_GONE = 410


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery under way: what to send where."""

    delivery_id: UUID
    url: str
    body: str
    headers: dict[str, str]


async def fan_out(db: AsyncSession, now: datetime, limit: int = 500) -> int:
    """Make deliveries of the events that are new; gives how many events there were."""
    events = (
        await db.scalars(select(Event).where(~Event.told).order_by(Event.id).limit(limit).with_for_update())
    ).all()
    partners = {event.partner_id for event in events}
    living = select(WebhookEndpoint).where(
        WebhookEndpoint.partner_id.in_(partners), WebhookEndpoint.removed_at.is_(None), WebhookEndpoint.off_at.is_(None)
    )
    endpoints = (await db.scalars(living)).all() if partners else []
    for event in events:
        event.told = True
        for endpoint in endpoints:
            wanted = not endpoint.kinds or event.kind in endpoint.kinds
            if endpoint.partner_id == event.partner_id and wanted and endpoint.created_at <= event.at:
                _add(db, endpoint, event, now)
    await db.flush()
    return len(events)


async def next_parcels(db: AsyncSession, vault: Vault, now: datetime, limit: int = 20) -> list[Parcel]:
    """Claim deliveries that are due, one an endpoint as long as all goes well."""
    older = aliased(WebhookDelivery)
    held_up = exists().where(
        older.endpoint_id == WebhookDelivery.endpoint_id,
        older.id < WebhookDelivery.id,
        older.next_attempt_at.is_not(None),
        older.attempts < _IN_ORDER_ATTEMPTS,
    )
    due = (
        select(WebhookDelivery, WebhookEndpoint)
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.next_attempt_at <= now, ~held_up)
        .order_by(WebhookDelivery.id)
        .limit(limit)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    )
    parcels = []
    for delivery, endpoint in await db.execute(due):
        delivery.attempts += 1
        delivery.next_attempt_at = now + _LEASE
        parcels.append(_parcel(vault, delivery, endpoint, now))
    await db.flush()
    return parcels


async def settle_parcel(
    db: AsyncSession, delivery_id: UUID, now: datetime, *, status: int | None, failure: str | None
) -> None:
    """Record an attempt: done, tried again later, or given up. 410, or failing for days, switches the endpoint off."""
    delivery = await db.get_one(WebhookDelivery, delivery_id, with_for_update=True, populate_existing=True)
    endpoint = await db.get_one(WebhookEndpoint, delivery.endpoint_id, with_for_update=True, populate_existing=True)
    db.add(WebhookAttempt(delivery_id=delivery.id, n=delivery.attempts, at=now, status=status, failure=failure))
    if delivery.next_attempt_at is None:
        return  # the endpoint was switched off or removed meanwhile
    if failure is None:
        delivery.delivered_at, delivery.next_attempt_at, endpoint.failing_since_at = now, None, None
        return
    endpoint.failing_since_at = endpoint.failing_since_at or now
    delivery.next_attempt_at = next_attempt_at(delivery.attempts, WEBHOOK_DELAYS, now)
    if delivery.next_attempt_at is None:
        delivery.gave_up_at = now
    await db.flush()
    if status == _GONE:
        await _switch_off(db, endpoint, "gone", now)
    elif delivery.next_attempt_at is None and now - endpoint.failing_since_at >= _KEEPS_FAILING:
        await _switch_off(db, endpoint, "failing", now)


async def deliveries_of(
    db: AsyncSession, endpoint_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[tuple[WebhookDelivery, Sequence[WebhookAttempt]]]:
    """Give a page of an endpoint's deliveries, newest first, each with its attempts."""
    query = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id)
    if after is not None:
        query = query.where(WebhookDelivery.id < after)
    rows = (await db.scalars(query.order_by(WebhookDelivery.id.desc()).limit(limit))).all()
    tried = select(WebhookAttempt).where(WebhookAttempt.delivery_id.in_([row.id for row in rows]))
    attempts = (await db.scalars(tried.order_by(WebhookAttempt.n))).all()
    return [(row, [one for one in attempts if one.delivery_id == row.id]) for row in rows]


async def replay_delivery(
    db: AsyncSession, endpoint: WebhookEndpoint, delivery_id: UUID, now: datetime
) -> WebhookDelivery:
    """Send what a delivery sent once more, under the same id; raises `Absent`."""
    old = await db.get(WebhookDelivery, delivery_id)
    if old is None or old.endpoint_id != endpoint.id:
        raise Absent
    new = _delivery(endpoint, old.event_id, old.kind, old.body, now)
    db.add(new)
    await db.flush()
    return new


async def send_test(db: AsyncSession, endpoint: WebhookEndpoint, now: datetime) -> WebhookDelivery:
    """Send an event of the kind `test`."""
    event = Event(id=new_id(now), partner_id=endpoint.partner_id, kind="test", subject={}, at=now, told=True)
    db.add(event)
    new = _add(db, endpoint, event, now)
    await db.flush()
    return new


def _add(db: AsyncSession, endpoint: WebhookEndpoint, event: Event, now: datetime) -> WebhookDelivery:
    body = {"type": event.kind, "timestamp": event.at.isoformat().replace("+00:00", "Z"), "data": event.subject}
    row = _delivery(endpoint, event.id, event.kind, json.dumps(body, ensure_ascii=False), now)
    db.add(row)
    return row


def _delivery(endpoint: WebhookEndpoint, event_id: UUID, kind: str, body: str, now: datetime) -> WebhookDelivery:
    return WebhookDelivery(
        id=new_id(now),
        endpoint_id=endpoint.id,
        event_id=event_id,
        partner_id=endpoint.partner_id,
        kind=kind,
        body=body,
        created_at=now,
        next_attempt_at=now,
        attempts=0,
    )


def _parcel(vault: Vault, delivery: WebhookDelivery, endpoint: WebhookEndpoint, now: datetime) -> Parcel:
    message_id = show("event", delivery.event_id)
    signed = [
        signature(endpoint.scheme, secret, message_id, now, delivery.body)
        for secret in secrets_of(vault, endpoint, now)
    ]
    headers = {
        "content-type": "application/json",
        "user-agent": "Tidemark-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signed),
    }
    return Parcel(delivery.id, endpoint.url, delivery.body, headers)


async def _switch_off(db: AsyncSession, endpoint: WebhookEndpoint, reason: str, now: datetime) -> None:
    await switch_off(db, endpoint, reason, now)
    if endpoint.contact:
        await post(
            db,
            occasion=f"endpoint off {endpoint.id} {now.isoformat()}",
            kind="webhook_off",
            recipient=endpoint.contact,
            language=language(endpoint.language),
            values={"url": endpoint.url, "reason": reason},
            now=now,
            partner_id=endpoint.partner_id,
        )
