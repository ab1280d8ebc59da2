"""The lines of a held report, and no others, may be taken away by the service, to be counted again."""

from alembic import op

revision = "0290"
down_revision = "0060"
branch_labels = None
depends_on = None

_HELD = """exists (select from reports r where r.held is not null and r.msp_id = report_lines.msp_id
    and r.distributor_id = report_lines.distributor_id and r.starts_at = report_lines.starts_at)"""


def upgrade() -> None:
    op.execute("grant delete on report_lines to tidemark_service")
    op.execute(f"create policy held on report_lines as restrictive for delete to tidemark_service using ({_HELD})")


def downgrade() -> None:
    op.execute("drop policy held on report_lines")
    op.execute("revoke delete on report_lines from tidemark_service")
