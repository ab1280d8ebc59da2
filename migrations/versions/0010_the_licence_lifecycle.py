"""The licence lifecycle: the ladder and its breaker, moves, seats, policies of keys, flags."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "arrival_watch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("judged_until_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column("collapsed_since_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_arrival_watch")),
    )
    op.create_table(
        "collapsed_stretches",
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("from_at", name=op.f("pk_collapsed_stretches")),
    )
    op.create_index(op.f("ix_collapsed_stretches_until_at"), "collapsed_stretches", ["until_at"], unique=False)
    op.create_table(
        "line_sightings",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("installation_id", sa.UUID(), nullable=False),
        sa.Column("line", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("hostname", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "installation_id", "line", name=op.f("pk_line_sightings")),
    )
    op.create_table(
        "moves",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("key_id", sa.UUID(), nullable=False),
        sa.Column("from_msp_id", sa.UUID(), nullable=False),
        sa.Column("to_msp_id", sa.UUID(), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offered_by", sa.String(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_by", sa.String(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_moves")),
    )
    op.create_index(
        "ix_moves_due",
        "moves",
        ["effective_at"],
        unique=False,
        postgresql_where=sa.text("done_at is null and effective_at is not null"),
    )
    op.create_index(op.f("ix_moves_to_msp_id"), "moves", ["to_msp_id"], unique=False)
    op.create_index(
        "uq_moves_open",
        "moves",
        ["site_id"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at is null and done_at is null"),
    )
    op.create_table(
        "pulse_minutes",
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("at", name=op.f("pk_pulse_minutes")),
    )
    op.create_table(
        "site_flags",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("flag", sa.String(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.CheckConstraint("flag in ('clone_suspected', 'implausible')", name=op.f("ck_site_flags_flag")),
        sa.PrimaryKeyConstraint("site_id", "flag", "from_at", name=op.f("pk_site_flags")),
    )
    op.create_table(
        "sweep_holds",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due", sa.Integer(), nullable=False),
        sa.Column("disabled", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep_holds")),
    )
    op.create_index(
        "uq_sweep_holds_open",
        "sweep_holds",
        [sa.text("(until_at is null)")],
        unique=True,
        postgresql_where=sa.text("until_at is null"),
    )
    op.create_table(
        "uncounted_stretches",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("installation_id", sa.UUID(), nullable=False),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.CheckConstraint("until_at is null or until_at >= from_at", name=op.f("ck_uncounted_stretches_interval")),
        sa.PrimaryKeyConstraint("site_id", "installation_id", "from_at", name=op.f("pk_uncounted_stretches")),
    )
    op.create_table(
        "key_policies",
        sa.Column("site_id", sa.UUID(), nullable=False),
        sa.Column("key_id", sa.UUID(), nullable=False),
        sa.Column("warn_after_seconds", sa.Integer(), nullable=True),
        sa.Column("standalone_seats", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["site_id", "key_id"], ["keys.site_id", "keys.id"], name=op.f("fk_key_policies_site_id_key_id")
        ),
        sa.PrimaryKeyConstraint("site_id", "key_id", name=op.f("pk_key_policies")),
    )
    op.add_column("installations", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("installations", sa.Column("end_reason", sa.String(), nullable=True))
    op.create_index(
        "ix_key_events_disabled", "key_events", ["recorded_at"], unique=False, postgresql_where="event = 'disabled'"
    )
    op.add_column("keys", sa.Column("msp_suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("keys", sa.Column("msp_reason", sa.String(), nullable=True))
    op.add_column("keys", sa.Column("rotated_from", sa.String(), nullable=True))
    op.add_column("keys", sa.Column("snoozed_until_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("lease_keys", sa.Column("signs_from_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("lease_keys", sa.Column("retires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("lines", sa.Column("base_seen", postgresql.ARRAY(sa.UUID()), nullable=True))
    op.add_column("lines", sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("msps", sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("msps", sa.Column("suspended_reason", sa.String(), nullable=True))
    op.add_column("silence_timers", sa.Column("rung", sa.String(), server_default="warn", nullable=False))
    op.add_column("silence_timers", sa.Column("silent_since_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("silence_timers", sa.Column("held_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("silence_timers", sa.Column("let_go_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(op.f("ix_silence_timers_due_at"), table_name="silence_timers")
    op.create_index(
        "ix_silence_timers_disable", "silence_timers", ["due_at"], unique=False, postgresql_where="rung = 'disable'"
    )
    op.create_index(
        "ix_silence_timers_due", "silence_timers", ["due_at"], unique=False, postgresql_where="held_at is null"
    )


def downgrade() -> None:
    op.drop_index("ix_silence_timers_due", table_name="silence_timers", postgresql_where="held_at is null")
    op.drop_index("ix_silence_timers_disable", table_name="silence_timers", postgresql_where="rung = 'disable'")
    op.create_index(op.f("ix_silence_timers_due_at"), "silence_timers", ["due_at"], unique=False)
    op.drop_column("silence_timers", "let_go_at")
    op.drop_column("silence_timers", "held_at")
    op.drop_column("silence_timers", "silent_since_at")
    op.drop_column("silence_timers", "rung")
    op.drop_column("msps", "suspended_reason")
    op.drop_column("msps", "suspended_at")
    op.drop_column("lines", "opened_at")
    op.drop_column("lines", "base_seen")
    op.drop_column("lease_keys", "retires_at")
    op.drop_column("lease_keys", "signs_from_at")
    op.drop_column("keys", "snoozed_until_at")
    op.drop_column("keys", "rotated_from")
    op.drop_column("keys", "msp_reason")
    op.drop_column("keys", "msp_suspended_at")
    op.drop_index("ix_key_events_disabled", table_name="key_events", postgresql_where="event = 'disabled'")
    op.drop_column("installations", "end_reason")
    op.drop_column("installations", "ended_at")
    op.drop_table("key_policies")
    op.drop_table("uncounted_stretches")
    op.drop_index("uq_sweep_holds_open", table_name="sweep_holds", postgresql_where=sa.text("until_at is null"))
    op.drop_table("sweep_holds")
    op.drop_table("site_flags")
    op.drop_table("pulse_minutes")
    op.drop_index(
        "uq_moves_open", table_name="moves", postgresql_where=sa.text("withdrawn_at is null and done_at is null")
    )
    op.drop_index(op.f("ix_moves_to_msp_id"), table_name="moves")
    op.drop_index(
        "ix_moves_due", table_name="moves", postgresql_where=sa.text("done_at is null and effective_at is not null")
    )
    op.drop_table("moves")
    op.drop_table("line_sightings")
    op.drop_index(op.f("ix_collapsed_stretches_until_at"), table_name="collapsed_stretches")
    op.drop_table("collapsed_stretches")
    op.drop_table("arrival_watch")
