"""The worker looks every minute for reports that the version before wrote: it finds them without reading all others."""

import sqlalchemy as sa
from alembic import op

revision = "0352"
down_revision = "0351"
branch_labels = None
depends_on = None

_UNCOVERED = "cover is null and document is not null"


def upgrade() -> None:
    """Make the index of what has no cover yet."""
    op.create_index("ix_reports_uncovered", "reports", ["id"], postgresql_where=sa.text(_UNCOVERED))


def downgrade() -> None:
    """Drop it."""
    op.drop_index("ix_reports_uncovered", table_name="reports", postgresql_where=sa.text(_UNCOVERED))
