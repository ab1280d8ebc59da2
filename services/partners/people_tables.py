"""Tables of the people: users, how they come in, and what was done. They grow with partners, not with sites."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row

_KINDS = "partner_kind in ('vendor', 'distributor', 'msp')"
_ROLES = "role in ('viewer', 'member', 'admin')"


class User(Row):
    """A person of one partner. An e-mail address is one person's at a time; who leaves keeps a row without it."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_kind: Mapped[str]
    partner_id: Mapped[UUID]
    email: Mapped[str]
    name: Mapped[str]
    language: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str | None]
    totp_sealed: Mapped[bytes | None]
    totp_confirmed_at: Mapped[datetime | None]
    totp_step: Mapped[int | None]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    # In which it reads times; without one, its distributor's.
    zone: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(_KINDS, name="kind"),
        CheckConstraint(_ROLES, name="role"),
        Index("uq_users_email", "email", unique=True, postgresql_where="removed_at is null"),
        Index(None, "partner_id", "id"),
    )


class RecoveryCode(Row):
    """Stands in once for a code of the second factor."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)


class KnownNetwork(Row):
    """A network from which a person has come in: what a stranger does elsewhere does not slow it there."""

    __tablename__ = "known_networks"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    last_at: Mapped[datetime]


class UserSession(Row):
    """A sign-in of a person, until it ends."""

    __tablename__ = "user_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    secret_sha256: Mapped[bytes]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    address: Mapped[str | None]
    program: Mapped[str | None]

    __table_args__ = (UniqueConstraint("secret_sha256"), Index(None, "user_id"))


class Invitation(Row):
    """An offer to become a user of a partner; accepted by a link, once."""

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_kind: Mapped[str]
    partner_id: Mapped[UUID]
    email: Mapped[str]
    role: Mapped[str]
    language: Mapped[str]
    token_sha256: Mapped[bytes]
    invited_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(_KINDS, name="kind"),
        CheckConstraint(_ROLES, name="role"),
        UniqueConstraint("token_sha256"),
        Index(None, "partner_id", "id"),
    )


class PasswordReset(Row):
    """A wish for a new password; without a user if the address is nobody's, so that the answer costs the same."""

    __tablename__ = "password_resets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    token_sha256: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("token_sha256"), Index(None, "user_id"))


class AdminReplacement(Row):
    """The vendor gives an MSP that lost its admins a new one, a day after the letter to the old users."""

    __tablename__ = "admin_replacements"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    msp_id: Mapped[UUID] = mapped_column(ForeignKey("msps.id"))
    email: Mapped[str]
    language: Mapped[str]
    reason: Mapped[str]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "msp_id"),)


class Registration(Row):
    """A company that wants to become an MSP."""

    __tablename__ = "registrations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    company: Mapped[str]
    country: Mapped[str]
    vat_number: Mapped[str]
    contact: Mapped[str]
    email: Mapped[str]
    language: Mapped[str]
    terms_version: Mapped[str]
    privacy_version: Mapped[str]
    token_sha256: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    address: Mapped[str | None]
    verified_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decision: Mapped[str | None]
    reason: Mapped[str | None]
    msp_id: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint("decision in ('approved', 'rejected')", name="decision"),
        UniqueConstraint("token_sha256"),
        Index(None, "verified_at", "id"),
    )


class ProgrammeDocument(Row):
    """One version of a document of the programme, in both languages. Never changed."""

    __tablename__ = "programme_documents"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    version: Mapped[str]
    text_it: Mapped[str]
    text_en: Mapped[str]
    published_at: Mapped[datetime]
    published_by: Mapped[str]

    __table_args__ = (
        CheckConstraint("kind in ('programme', 'terms', 'privacy')", name="kind"),
        UniqueConstraint("kind", "version"),
    )


class AuditEntry(Row):
    """Who did what, when, from where. Append-only: the database refuses a change, whoever asks."""

    __tablename__ = "audit_log"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    distributor_id: Mapped[UUID | None]
    msp_id: Mapped[UUID | None]
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    address: Mapped[str | None]
    request_id: Mapped[str | None]

    __table_args__ = (Index(None, "msp_id", "id"), Index(None, "distributor_id", "id"))


class IdempotencyKey(Row):
    """The answer to a creating request, kept for a day and sealed, since it may hold a secret."""

    __tablename__ = "idempotency_keys"

    actor: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID]
    request_sha256: Mapped[bytes]
    status: Mapped[int | None]
    answer_sealed: Mapped[bytes | None]
    created_at: Mapped[datetime]

    __table_args__ = (Index(None, "created_at"),)
