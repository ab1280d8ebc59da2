"""Tables of the administration of sites: commands, the inventory of agents, the summary of backups."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row


class SiteCommand(Row):
    """A command that waits for an installation, rides in its answers until it has a result, or has expired."""

    __tablename__ = "site_commands"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID]
    kind: Mapped[str]
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    given_at: Mapped[datetime]
    given_by: Mapped[str]
    expires_at: Mapped[datetime]
    first_sent_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    text: Mapped[str | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("kind in ('send_inventory', 'run_backup', 'rename', 'rotate_credential')", name="kind"),
        CheckConstraint("outcome in ('done', 'refused', 'failed')", name="outcome"),
        Index("ix_site_commands_waiting", "site_id", "installation_id", "id", postgresql_where="ended_at is null"),
    )


class InventoryAgent(Row):
    """One agent of an installation's inventory, as the site described it last."""

    __tablename__ = "inventory_agents"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    type: Mapped[str]
    version: Mapped[str | None]
    last_contact_at: Mapped[datetime | None]
    last_backup_at: Mapped[datetime | None]
    last_result: Mapped[str | None]

    __table_args__ = (CheckConstraint("type in ('server', 'workstation', 'server_plus')", name="type"),)


class BackupSummary(Row):
    """How an installation's backups are, by number of definitions, as it said last."""

    __tablename__ = "backup_summaries"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    ok: Mapped[int]
    warning: Mapped[int]
    failed: Mapped[int]
    overdue: Mapped[int]
