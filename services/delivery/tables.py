"""Tables of delivery: the outbox of letters, the events, and the webhooks that tell them. Every attempt is a row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row


class Letter(Row):
    """A letter to one address: a kind, a language and the values that its template needs. Sent under one id."""

    __tablename__ = "letters"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    occasion: Mapped[str]
    kind: Mapped[str]
    recipient: Mapped[str]
    language: Mapped[str]
    values: Mapped[dict[str, Any]] = mapped_column(JSONB)
    partner_id: Mapped[UUID | None]
    posted_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime | None]
    attempts: Mapped[int]
    sent_at: Mapped[datetime | None]
    failure: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("occasion", "recipient"),
        CheckConstraint("language in ('it', 'en')", name="language"),
        Index(None, "recipient", "posted_at"),
        Index("ix_letters_due", "next_attempt_at", postgresql_where="next_attempt_at is not null"),
        Index(None, "partner_id", "id"),
        Index("ix_letters_of_clones", "posted_at", postgresql_where=text("kind = 'clone_suspected'")),
    )


class Event(Row):
    """Something that happened to what a partner sees; webhooks tell it, thinly. Never changed."""

    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID]
    kind: Mapped[str]
    subject: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime]
    # Whether its deliveries have been made. Set here too: a server's default would make each insert read back.
    told: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    # Its place in the partner's feed, which its id does not tell (see feed.py); null until the feed is read.
    place: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index(None, "partner_id", "id"),
        Index("uq_events_partner_id_place", "partner_id", "place", unique=True),
        Index("ix_events_unplaced", "partner_id", postgresql_where=text("place is null")),
        Index("ix_events_untold", "id", postgresql_where=text("not told")),
    )


class LetterAttempt(Row):
    """One try to send a letter, and what the mail server said."""

    __tablename__ = "letter_attempts"

    letter_id: Mapped[UUID] = mapped_column(ForeignKey("letters.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    failure: Mapped[str | None]


class WebhookEndpoint(Row):
    """Where a partner wants to be told of its events. No kinds: all of them. The signing secrets are sealed."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID]
    url: Mapped[str]
    description: Mapped[str]
    kinds: Mapped[list[str]] = mapped_column(ARRAY(String))
    scheme: Mapped[str]
    secret_sealed: Mapped[bytes]
    previous_sealed: Mapped[bytes | None]
    previous_until_at: Mapped[datetime | None]
    contact: Mapped[str | None]
    language: Mapped[str]
    created_at: Mapped[datetime]
    failing_since_at: Mapped[datetime | None]
    off_at: Mapped[datetime | None]
    off_reason: Mapped[str | None]
    removed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("scheme in ('ed25519', 'hmac')", name="scheme"),
        Index(None, "partner_id", "id"),
    )


class WebhookDelivery(Row):
    """One event on its way to one endpoint."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[UUID]
    partner_id: Mapped[UUID]
    kind: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime | None]
    attempts: Mapped[int]
    delivered_at: Mapped[datetime | None]
    gave_up_at: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "endpoint_id", "id"),
        Index("ix_webhook_deliveries_due", "next_attempt_at", postgresql_where=text("next_attempt_at is not null")),
    )


class WebhookAttempt(Row):
    """One try to deliver, and what the other end said."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_deliveries.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    status: Mapped[int | None]
    failure: Mapped[str | None]
