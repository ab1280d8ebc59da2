"""What an idle heartbeat changes lies at the end of a line's row, so that its WAL holds little else.

PostgreSQL logs a new version of a row from the first byte that differs to the last.
"""

from alembic import op

revision = "0230"
down_revision = "0260"
branch_labels = None
depends_on = None

_MOVED = {
    "sequence": "bigint not null",
    "last_contact_at": "timestamptz not null",
    "known_until_at": "timestamptz",
    "nonce": "bytea",
}


def upgrade() -> None:
    for name, kind in _MOVED.items():
        op.execute(f"alter table lines rename column {name} to {name}_before")
        op.execute(f"alter table lines add column {name} {kind.removesuffix(' not null')}")
    op.execute("update lines set " + ", ".join(f"{name} = {name}_before" for name in _MOVED))
    for name, kind in _MOVED.items():
        if kind.endswith("not null"):
            op.execute(f"alter table lines alter column {name} set not null")
        op.execute(f"alter table lines drop column {name}_before")


def downgrade() -> None:
    """Nothing names a column by its place."""
