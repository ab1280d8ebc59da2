"""Webhook endpoints: where a partner wants to be told of its events, and the keys that sign what it is told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.db import take_turn
from services.delivery.outbox import Language
from services.delivery.signatures import Scheme, make_secret
from services.delivery.tables import WebhookDelivery, WebhookEndpoint
from services.errors import Absent, Invalid, Kind, Refusal
from services.ids import new_id
from services.signing import Vault

_OVERLAP = timedelta(hours=24)
_ENDPOINTS_MAX = 20


class TooManyEndpoints(Refusal):
    """A partner has twenty webhook endpoints at most."""

    kind = Kind.CONFLICT
    code = "too_many_endpoints"


def checked_url(url: str, *, private: bool) -> str:
    """Give the URL if it may be one of an endpoint's: https, without a user; raises `Invalid`.

    Where its name leads is looked at anew at every delivery.
    """
    parts = urlsplit(url)
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme not in schemes or not parts.hostname or parts.username or parts.password or parts.fragment:
        raise Invalid("An endpoint is an https URL without user, password and fragment.", pointer="/url")
    return url


async def add_endpoint(
    db: AsyncSession,
    vault: Vault,
    *,
    partner_id: UUID,
    url: str,
    description: str,
    kinds: Sequence[str],
    scheme: Scheme,
    contact: str | None,
    language: Language,
    now: datetime,
) -> WebhookEndpoint:
    """Add an endpoint; raises `TooManyEndpoints`."""
    await take_turn(db, f"endpoints {partner_id}")
    living = await endpoints_of(db, partner_id)
    if len(living) >= _ENDPOINTS_MAX:
        raise TooManyEndpoints
    endpoint_id = new_id(now)
    row = WebhookEndpoint(
        id=endpoint_id,
        partner_id=partner_id,
        url=url,
        description=description,
        kinds=sorted(set(kinds)),
        scheme=scheme,
        secret_sealed=vault.seal(make_secret(), endpoint_id.bytes),
        contact=contact,
        language=language,
        created_at=now,
    )
    db.add(row)
    await db.flush()
    return row


async def endpoints_of(db: AsyncSession, partner_id: UUID) -> Sequence[WebhookEndpoint]:
    """Give a partner's endpoints, oldest first."""
    query = select(WebhookEndpoint).where(
        WebhookEndpoint.partner_id == partner_id, WebhookEndpoint.removed_at.is_(None)
    )
    return (await db.scalars(query.order_by(WebhookEndpoint.id))).all()


async def endpoint_of(db: AsyncSession, partner_id: UUID, endpoint_id: UUID) -> WebhookEndpoint:
    """Give one of a partner's endpoints and lock it; raises `Absent` also for a stranger's."""
    row = await db.scalar(
        select(WebhookEndpoint)
        .where(
            WebhookEndpoint.id == endpoint_id,
            WebhookEndpoint.partner_id == partner_id,
            WebhookEndpoint.removed_at.is_(None),
        )
        .with_for_update()
    )
    if row is None:
        raise Absent
    return row


async def rotate_secret(db: AsyncSession, vault: Vault, row: WebhookEndpoint, now: datetime) -> None:
    """Give an endpoint a new signing key; for a day both sign."""
    row.previous_sealed, row.previous_until_at = row.secret_sealed, now + _OVERLAP
    row.secret_sealed = vault.seal(make_secret(), row.id.bytes)
    await db.flush()


def secrets_of(vault: Vault, row: WebhookEndpoint, now: datetime) -> list[bytes]:
    """Give the keys that sign now, the newest first."""
    sealed = [row.secret_sealed]
    if row.previous_sealed is not None and row.previous_until_at is not None and row.previous_until_at > now:
        sealed.append(row.previous_sealed)
    return [vault.open(one, row.id.bytes) for one in sealed]


async def switch_off(db: AsyncSession, row: WebhookEndpoint, reason: str, now: datetime) -> None:
    """Stop telling an endpoint; what waits for it is given up, and can be replayed."""
    row.off_at, row.off_reason = now, reason
    await _give_up(db, row.id, now)


def switch_on(row: WebhookEndpoint) -> None:
    """Tell an endpoint again, of what happens from now on."""
    row.off_at = row.off_reason = row.failing_since_at = None


async def remove_endpoint(db: AsyncSession, row: WebhookEndpoint, now: datetime) -> None:
    """Take an endpoint away; its deliveries stay on record."""
    row.removed_at = now
    await _give_up(db, row.id, now)


async def _give_up(db: AsyncSession, endpoint_id: UUID, now: datetime) -> None:
    waiting = update(WebhookDelivery).where(
        WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.next_attempt_at.is_not(None)
    )
    await db.execute(waiting.values(next_attempt_at=None, gave_up_at=now))
