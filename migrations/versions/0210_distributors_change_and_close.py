"""A distributor's zone changes, and a distributor closes, at the end of a period."""

import sqlalchemy as sa
from alembic import op

from migrations.guards import guard, unguard

revision = "0210"
down_revision = "0201"
branch_labels = None
depends_on = None

_SEEN = "exists (select from distributors d where d.id = zone_changes.distributor_id)"


def upgrade() -> None:
    op.add_column("distributors", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "zone_changes",
        sa.Column("distributor_id", sa.UUID(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["distributor_id"], ["distributors.id"], name=op.f("fk_zone_changes_distributor_id")),
        sa.PrimaryKeyConstraint("distributor_id", "from_at", name=op.f("pk_zone_changes")),
    )
    # Tenants read; the vendor writes.
    guard("zone_changes", _SEEN, "false", "select, insert, delete")


def downgrade() -> None:
    unguard("zone_changes")
    op.drop_table("zone_changes")
    op.drop_column("distributors", "closed_at")
