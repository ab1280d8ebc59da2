"""What a key was called, until when: a month that is closed late has the names that it would have had in time."""

import sqlalchemy as sa
from alembic import op

from migrations.guards import guard_site_table, unguard

revision = "0331"
down_revision = "0330"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_labels",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("code_masked", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["site_id", "key_id"], ["keys.site_id", "keys.id"], name=op.f("fk_key_labels_site_id")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_key_labels")),
    )
    op.create_index(op.f("ix_key_labels_site_id_key_id_until_at"), "key_labels", ["site_id", "key_id", "until_at"])
    guard_site_table("key_labels", grants="select, insert")


def downgrade() -> None:
    unguard("key_labels")
    op.drop_table("key_labels")
