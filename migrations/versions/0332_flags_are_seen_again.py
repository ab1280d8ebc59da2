"""When what a flag tells of was seen: a flag that nobody took down is of the months in which it was."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0332"
down_revision = "0331"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "site_flags",
        sa.Column("seen", postgresql.TSTZMULTIRANGE(), server_default=sa.text("'{}'"), nullable=False),
    )
    # What is up goes on to be of every month, as it was raised under; from now on each is seen or not.
    last = "greatest(from_at, coalesce(until_at, now()))"
    op.execute(f"update site_flags set seen = tstzmultirange(tstzrange(from_at, {last}, '[]'))")


def downgrade() -> None:
    op.drop_column("site_flags", "seen")
