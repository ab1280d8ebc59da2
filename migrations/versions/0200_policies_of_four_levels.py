"""Policies of four levels: the vendor's bounds, the final warning, a key's own, and telling the sites below."""

import sqlalchemy as sa
from alembic import op

from migrations.guards import guard, unguard

revision = "0200"
down_revision = "0290"
branch_labels = None
depends_on = None

_KEY_KNOBS = ("heartbeat_seconds", "final_before_seconds", "disable_after_seconds")


def upgrade() -> None:
    op.create_table(
        "policy_bounds",
        sa.Column("knob", sa.String(), nullable=False),
        sa.Column("least", sa.Integer(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("knob", name=op.f("pk_policy_bounds")),
    )
    guard("policy_bounds", "true", "false")
    op.add_column("policies", sa.Column("final_before_seconds", sa.Integer(), nullable=True))
    op.add_column("policies", sa.Column("spread_due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("policies", sa.Column("spread_after", sa.UUID(), nullable=True))
    for knob in _KEY_KNOBS:
        op.add_column("key_policies", sa.Column(knob, sa.Integer(), nullable=True))


def downgrade() -> None:
    for knob in _KEY_KNOBS:
        op.drop_column("key_policies", knob)
    for column in ("spread_after", "spread_due_at", "final_before_seconds"):
        op.drop_column("policies", column)
    unguard("policy_bounds")
    op.drop_table("policy_bounds")
