"""Tables of what partners administer through heartbeats: commands, inventory, backups, refused activations."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Integer, SmallInteger, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row

CommandKind = Literal["send_inventory", "run_backup", "rename", "rotate_credential"]
Outcome = Literal["done", "refused", "failed", "cancelled"]


class Command(Row):
    """Something that a Site Manager is asked to do. Sent with the answer of one sequence of one line, and no other."""

    __tablename__ = "commands"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID]
    kind: Mapped[CommandKind] = mapped_column(String)
    # The backup definition to run, or the new name.
    name: Mapped[str | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    sent_line: Mapped[int | None] = mapped_column(SmallInteger)
    sent_sequence: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[datetime | None]
    outcome: Mapped[Outcome | None] = mapped_column(String)
    said: Mapped[str]

    __table_args__ = (
        ForeignKeyConstraint(
            ["site_id", "installation_id"], ["installations.site_id", "installations.installation_id"]
        ),
        CheckConstraint("kind in ('send_inventory', 'run_backup', 'rename', 'rotate_credential')", name="kind"),
        CheckConstraint("outcome in ('done', 'refused', 'failed', 'cancelled')", name="outcome"),
        Index("ix_commands_open", "site_id", "installation_id", postgresql_where=text("ended_at is null")),
    )


class Inventory(Row):
    """How far an installation's inventory is known; the agents are complete as of a revision once `complete_at` is."""

    __tablename__ = "inventories"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    parts: Mapped[int]
    received: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    received_at: Mapped[datetime]
    complete_at: Mapped[datetime | None]
    # The agents by type, as of the last revision that was complete.
    server: Mapped[int]
    workstation: Mapped[int]
    server_plus: Mapped[int]


class Agent(Row):
    """One agent of an inventory. Not part of billing; erasable."""

    __tablename__ = "agents"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(primary_key=True)
    # The revision that named it last: what a whole one does not name is gone.
    revision: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    type: Mapped[str]
    version: Mapped[str | None]
    last_contact_at: Mapped[datetime | None]
    last_backup_at: Mapped[datetime | None]
    last_backup: Mapped[str | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["site_id", "installation_id"], ["inventories.site_id", "inventories.installation_id"], ondelete="CASCADE"
        ),
        CheckConstraint("type in ('server', 'workstation', 'server_plus')", name="type"),
        CheckConstraint("last_backup in ('ok', 'warning', 'failed')", name="last_backup"),
    )


class BackupSummary(Row):
    """How an installation's backups stand, as it told last, and since when some are failed or overdue."""

    __tablename__ = "backup_summaries"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    ok: Mapped[int]
    warning: Mapped[int]
    failed: Mapped[int]
    overdue: Mapped[int]
    told_at: Mapped[datetime]
    failed_since_at: Mapped[datetime | None]
    overdue_since_at: Mapped[datetime | None]

    __table_args__ = (
        # Those that somebody must look at are few among many.
        Index("ix_backup_summaries_bad", "site_id", postgresql_where=text("failed + overdue + warning > 0")),
    )


class RefusedActivation(Row):
    """An installation that was refused on a key, as it came last; one row however often it tries."""

    __tablename__ = "refused_activations"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID]
    installation_id: Mapped[UUID]
    code: Mapped[str]
    product: Mapped[str]
    version: Mapped[str]
    hostname: Mapped[str]
    credential_sha256: Mapped[bytes]
    address: Mapped[str | None]
    attempts: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    # From when on the MSP lets it, and no other, activate next.
    allowed_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(["site_id", "key_id"], ["keys.site_id", "keys.id"]),
        Index("uq_refused_activations_installation", "site_id", "key_id", "installation_id", unique=True),
    )
