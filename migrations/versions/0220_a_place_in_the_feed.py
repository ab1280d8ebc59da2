"""An event has a place in its partner's feed, given when the feed is first read after it: in the order of commits."""

import sqlalchemy as sa
from alembic import op

revision = "0220"
down_revision = "0210"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("place", sa.BigInteger(), nullable=True))
    op.create_index("uq_events_partner_id_place", "events", ["partner_id", "place"], unique=True)
    op.create_index("ix_events_unplaced", "events", ["partner_id"], postgresql_where=sa.text("place is null"))


def downgrade() -> None:
    op.drop_index("ix_events_unplaced", table_name="events", postgresql_where=sa.text("place is null"))
    op.drop_index("uq_events_partner_id_place", table_name="events")
    op.drop_column("events", "place")
