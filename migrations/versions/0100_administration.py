"""Administration: commands, inventory, backups, refused activations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.guards import guard_site_table, make_vendor_role, unguard

revision = "0100"
down_revision = "0032"
branch_labels = None
depends_on = None

_SITE_TABLES = ("agents", "backup_summaries", "commands", "inventories", "refused_activations")


def upgrade() -> None:
    make_vendor_role()
    op.create_table(
        "backup_summaries",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("installation_id", sa.UUID(), nullable=False),
        sa.Column("ok", sa.Integer(), nullable=False),
        sa.Column("warning", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("overdue", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failed_since_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("overdue_since_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "installation_id", name=op.f("pk_backup_summaries")),
    )
    op.create_index(
        "ix_backup_summaries_bad",
        "backup_summaries",
        ["site_id"],
        unique=False,
        postgresql_where=sa.text("failed + overdue + warning > 0"),
    )
    op.create_table(
        "inventories",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("installation_id", sa.UUID(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("received", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complete_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("server", sa.Integer(), nullable=False),
        sa.Column("workstation", sa.Integer(), nullable=False),
        sa.Column("server_plus", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "installation_id", name=op.f("pk_inventories")),
    )
    op.create_table(
        "agents",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("installation_id", sa.UUID(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("last_contact_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_backup_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_backup", sa.String(), nullable=True),
        sa.CheckConstraint("last_backup in ('ok', 'warning', 'failed')", name=op.f("ck_agents_last_backup")),
        sa.CheckConstraint("type in ('server', 'workstation', 'server_plus')", name=op.f("ck_agents_type")),
        sa.ForeignKeyConstraint(
            ["site_id", "installation_id"],
            ["inventories.site_id", "inventories.installation_id"],
            name=op.f("fk_agents_site_id_installation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("site_id", "installation_id", "agent_id", name=op.f("pk_agents")),
    )
    op.create_table(
        "refused_activations",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("key_id", sa.UUID(), nullable=False),
        sa.Column("installation_id", sa.UUID(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("product", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("hostname", sa.String(), nullable=False),
        sa.Column("credential_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("allowed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id", "key_id"], ["keys.site_id", "keys.id"], name=op.f("fk_refused_activations_site_id_key_id")
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_refused_activations")),
    )
    op.create_index(
        "uq_refused_activations_installation",
        "refused_activations",
        ["site_id", "key_id", "installation_id"],
        unique=True,
    )
    op.create_table(
        "commands",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("installation_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_line", sa.SmallInteger(), nullable=True),
        sa.Column("sent_sequence", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("said", sa.String(), nullable=False),
        sa.CheckConstraint(
            "kind in ('send_inventory', 'run_backup', 'rename', 'rotate_credential')", name=op.f("ck_commands_kind")
        ),
        sa.CheckConstraint("outcome in ('done', 'refused', 'failed', 'cancelled')", name=op.f("ck_commands_outcome")),
        sa.ForeignKeyConstraint(
            ["site_id", "installation_id"],
            ["installations.site_id", "installations.installation_id"],
            name=op.f("fk_commands_site_id_installation_id"),
        ),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_commands")),
    )
    op.create_index(
        "ix_commands_open",
        "commands",
        ["site_id", "installation_id"],
        unique=False,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index("ix_installations_hostname", "installations", [sa.literal_column("lower(hostname)")], unique=False)
    op.add_column("lines", sa.Column("next_credential_sha256", sa.LargeBinary(), nullable=True))
    op.add_column("lines", sa.Column("backups", sa.LargeBinary(), nullable=True))
    for table in _SITE_TABLES:
        guard_site_table(table)


def downgrade() -> None:
    for table in _SITE_TABLES:
        unguard(table)
    op.drop_column("lines", "backups")
    op.drop_column("lines", "next_credential_sha256")
    op.drop_index("ix_installations_hostname", table_name="installations")
    op.drop_index("ix_commands_open", table_name="commands", postgresql_where=sa.text("ended_at is null"))
    op.drop_table("commands")
    op.drop_index("uq_refused_activations_installation", table_name="refused_activations")
    op.drop_table("refused_activations")
    op.drop_table("agents")
    op.drop_table("inventories")
    op.drop_index(
        "ix_backup_summaries_bad",
        table_name="backup_summaries",
        postgresql_where=sa.text("failed + overdue + warning > 0"),
    )
    op.drop_table("backup_summaries")
