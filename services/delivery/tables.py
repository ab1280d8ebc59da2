"""Tables of delivery: the outbox of letters, and the events that webhooks tell."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
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
        Index("ix_letters_due", "next_attempt_at", postgresql_where="next_attempt_at is not null"),
        Index(None, "partner_id", "id"),
    )


class Event(Row):
    """Something that happened to what a partner sees; webhooks tell it, thinly. Never changed."""

    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID]
    kind: Mapped[str]
    subject: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime]

    __table_args__ = (Index(None, "partner_id", "id"),)
