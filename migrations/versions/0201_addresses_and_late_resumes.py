"""Addresses of activations, for twelve months; and the nonce of a line's last resume, by which a late one is known."""

import sqlalchemy as sa
from alembic import op

revision = "0201"
down_revision = "0200"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lines", sa.Column("resumed_nonce", sa.LargeBinary(), nullable=True))
    op.add_column("installations", sa.Column("address", sa.String(), nullable=True))
    op.create_index(
        "ix_installations_addressed",
        "installations",
        ["activated_at"],
        unique=False,
        postgresql_where=sa.text("address is not null"),
    )


def downgrade() -> None:
    op.drop_index("ix_installations_addressed", "installations")
    op.drop_column("installations", "address")
    op.drop_column("lines", "resumed_nonce")
