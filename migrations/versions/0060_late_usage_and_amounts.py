"""Up to when late usage was approved, and the amounts that an MSP may see if its distributor shows them."""

import sqlalchemy as sa
from alembic import op

from migrations.guards import PARTNER

revision = "0060"
down_revision = "0110"
branch_labels = None
depends_on = None

_SHOWN = f"""msp_id = {PARTNER} and exists (select from reports r where r.id = statement_lines.report_id
    and (select t.shows_amounts from billing_terms t where t.distributor_id = r.distributor_id
        order by t.recorded_at desc limit 1))"""


def upgrade() -> None:
    op.add_column("adjustments", sa.Column("late_through_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(f"create policy amounts on statement_lines for select to tidemark_tenant using ({_SHOWN})")


def downgrade() -> None:
    op.execute("drop policy amounts on statement_lines")
    op.drop_column("adjustments", "late_through_at")
