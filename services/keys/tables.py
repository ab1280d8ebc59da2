"""Tables of the metered keys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row
from services.keys.states import KeyState, state_of

SILENT = "silent"


class Key(Row):
    """A metered licence key: one per Site Manager installation, named by the MSP.

    The state is not stored; it follows from the instants by `state_of`, so it cannot contradict them.
    """

    __tablename__ = "keys"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    msp_id: Mapped[UUID]
    name: Mapped[str]
    reference: Mapped[str | None]
    code_hash: Mapped[bytes]
    code_sealed: Mapped[bytes]
    code_masked: Mapped[str]
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    # The MSP's own suspension acts on all its keys and leaves their own state alone.
    msp_suspended_at: Mapped[datetime | None]
    msp_reason: Mapped[str | None]
    # The masked code that the present one replaced: by it a repeated rotation is told from a new one.
    rotated_from: Mapped[str | None]
    # No warning of silence is sent before.
    snoozed_until_at: Mapped[datetime | None]

    # Not unique: 95 random bits need no guard, and a constraint across sites could not be spread.
    __table_args__ = (
        Index(None, "code_hash"),
        Index(None, "msp_id", "id"),
        Index("ix_keys_msp_id_name", "msp_id", text("lower(name)"), "site_id"),
    )

    @property
    def state(self) -> KeyState:
        """What the key's site is told."""
        return state_of(
            activated=self.activated_at is not None,
            disabled=self.disabled_at is not None,
            suspended=self.suspended_at is not None or self.msp_suspended_at is not None,
            revoked=self.revoked_at is not None,
        )

    @property
    def told_reason(self) -> str | None:
        """Why the site is told what it is told; None while the key is active."""
        if self.revoked_at is not None or self.suspended_at is not None:
            return self.reason
        if self.msp_suspended_at is not None:
            return self.msp_reason
        return SILENT if self.disabled_at is not None else None


class KeyPolicy(Row):
    """A key's own values of the policy; a column that is null leaves the MSP's in force."""

    __tablename__ = "key_policies"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID] = mapped_column(primary_key=True)
    heartbeat_seconds: Mapped[int | None]
    warn_after_seconds: Mapped[int | None]
    final_before_seconds: Mapped[int | None]
    disable_after_seconds: Mapped[int | None]
    standalone_seats: Mapped[int | None]

    __table_args__ = (ForeignKeyConstraint(["site_id", "key_id"], ["keys.site_id", "keys.id"]),)


class KeyEvent(Row):
    """One line of a key's timeline; never changed."""

    __tablename__ = "key_events"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    event: Mapped[str]
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    reason: Mapped[str | None]
    actor: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(["site_id", "key_id"], ["keys.site_id", "keys.id"]),
        Index(None, "site_id", "key_id", "at"),
        # What the breaker counts: those that were disabled within the last day.
        Index("ix_key_events_disabled", "recorded_at", postgresql_where="event = 'disabled'"),
    )


class KeyLabel(Row):
    """What a key was called until an instant; the last of them is the key's own row. Never changed."""

    __tablename__ = "key_labels"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID]
    until_at: Mapped[datetime]
    name: Mapped[str]
    reference: Mapped[str | None]
    code_masked: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(["site_id", "key_id"], ["keys.site_id", "keys.id"]),
        Index(None, "site_id", "key_id", "until_at"),
    )


class KeyName(Row):
    """An MSP's own table of the names it has given: what makes a name unique."""

    __tablename__ = "key_names"

    msp_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
