"""A report has a place in the order in which reports were issued, which its id and its date do not tell."""

import sqlalchemy as sa
from alembic import op

revision = "0330"
down_revision = "0310"
branch_labels = None
depends_on = None

_UNPLACED = "place is null and issued_at is not null"
# Whoever followed the list so far did so by id.
_PLACE = """
update reports set place = n.place
from (select id, row_number() over (order by id) as place from reports where issued_at is not null) n
where reports.id = n.id
"""


def upgrade() -> None:
    op.add_column("reports", sa.Column("place", sa.BigInteger(), nullable=True))
    op.execute(_PLACE)
    op.create_index("uq_reports_place", "reports", ["place"], unique=True)
    op.create_index("ix_reports_unplaced", "reports", ["id"], postgresql_where=sa.text(_UNPLACED))


def downgrade() -> None:
    op.drop_index("ix_reports_unplaced", table_name="reports", postgresql_where=sa.text(_UNPLACED))
    op.drop_index("uq_reports_place", table_name="reports")
    op.drop_column("reports", "place")
