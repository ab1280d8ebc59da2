"""What a partner was called and which language it read, until when: as `key_labels` has it of keys."""

import sqlalchemy as sa
from alembic import op

from migrations.guards import guard, unguard

revision = "0333"
down_revision = "0332"
branch_labels = None
depends_on = None

_OWN = """exists (select from msps m where m.id = partner_labels.partner_id)
    or exists (select from distributors d where d.id = partner_labels.partner_id)"""


def upgrade() -> None:
    op.create_table(
        "partner_labels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_labels")),
    )
    op.create_index(op.f("ix_partner_labels_partner_id_until_at"), "partner_labels", ["partner_id", "until_at"])
    guard("partner_labels", _OWN, grants="select, insert")


def downgrade() -> None:
    unguard("partner_labels")
    op.drop_table("partner_labels")
