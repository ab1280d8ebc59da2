"""Tables of the sites: installations, silence timers, the service's own pulse, the keys that sign leases."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row


class Installation(Row):
    """One machine that activated on a key; bound until released."""

    __tablename__ = "installations"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID]
    product: Mapped[str]
    credential_sha256: Mapped[bytes]
    public_key: Mapped[bytes]
    version: Mapped[str]
    hostname: Mapped[str]
    name: Mapped[str | None]
    timezone: Mapped[str | None]
    console_url: Mapped[str | None]
    activated_at: Mapped[datetime]
    released_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(["site_id", "key_id"], ["keys.site_id", "keys.id"]),
        CheckConstraint("product in ('site_manager', 'server_plus')", name="product"),
        # The limit of one bound Site Manager a key, under the lock that activation takes.
        Index(
            "uq_installations_bound_site_manager",
            "site_id",
            "key_id",
            unique=True,
            postgresql_where=text("released_at is null and product = 'site_manager'"),
        ),
    )


class SilenceTimer(Row):
    """When to look whether an installation has fallen silent. Heartbeats never touch it: the sweep re-arms it."""

    __tablename__ = "silence_timers"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]

    __table_args__ = (Index(None, "due_at"),)


class PulseStretch(Row):
    """A stretch in which the API committed its pulse without a gap of more than three minutes."""

    __tablename__ = "pulse_stretches"

    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    until_at: Mapped[datetime]

    __table_args__ = (Index(None, "until_at"),)


class LeaseKey(Row):
    """An Ed25519 key that signs leases, sealed; the newest signs."""

    __tablename__ = "lease_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    private_sealed: Mapped[bytes]
    created_at: Mapped[datetime]
