"""The lines of bound Site Managers lie by MSP, for whole fleets. No heartbeat changes what the index holds."""

from alembic import op

revision = "0341"
down_revision = "0340"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index ix_lines_msp_id on lines (msp_id) where msp_id is not null")


def downgrade() -> None:
    op.execute("drop index ix_lines_msp_id")
