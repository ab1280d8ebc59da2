"""People and their tools: users, sessions, registrations, the audit log; webhooks and attempts of delivery.

Nothing has been released on 0001, so the tokens' owner is changed in one step.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0010"
branch_labels = None
depends_on = None


_SCOPES = "array['keys:read','keys:write','keys:admin','sites:read','sites:write','reports:read','reports:write']"
_TOKEN_COLUMNS: dict[str, tuple[Any, str]] = {
    "partner_kind": (sa.String(), "'msp'"),
    "partner_id": (sa.UUID(), "msp_id"),
    "hint": (sa.String(), "''"),
    "scopes": (postgresql.ARRAY(sa.String()), _SCOPES),
    "created_by": (sa.String(), "''"),
}


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("distributor_id", sa.UUID(), nullable=True),
        sa.Column("msp_id", sa.UUID(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_distributor_id_id"), "audit_log", ["distributor_id", "id"], unique=False)
    op.create_index(op.f("ix_audit_log_msp_id_id"), "audit_log", ["msp_id", "id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("partner_id", sa.UUID(), nullable=False),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("partner_kind", sa.String(), nullable=False),
        sa.Column("partner_id", sa.UUID(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("invited_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("partner_kind in ('vendor', 'distributor', 'msp')", name=op.f("ck_invitations_kind")),
        sa.CheckConstraint("role in ('viewer', 'member', 'admin')", name=op.f("ck_invitations_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_invitations_token_sha256")),
    )
    op.create_index(op.f("ix_invitations_partner_id_id"), "invitations", ["partner_id", "id"], unique=False)
    op.create_table(
        "registrations",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("vat_number", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("terms_version", sa.String(), nullable=False),
        sa.Column("privacy_version", sa.String(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("msp_id", sa.UUID(), nullable=True),
        sa.CheckConstraint("decision in ('approved', 'rejected')", name=op.f("ck_registrations_decision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registrations")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_registrations_token_sha256")),
    )
    op.create_index(op.f("ix_registrations_verified_at_id"), "registrations", ["verified_at", "id"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("partner_kind", sa.String(), nullable=False),
        sa.Column("partner_id", sa.UUID(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("totp_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("totp_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("totp_step", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("partner_kind in ('vendor', 'distributor', 'msp')", name=op.f("ck_users_kind")),
        sa.CheckConstraint("role in ('viewer', 'member', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index(op.f("ix_users_partner_id_id"), "users", ["partner_id", "id"], unique=False)
    op.create_index("uq_users_email", "users", ["email"], unique=True, postgresql_where="removed_at is null")
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("partner_id", sa.UUID(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.String()), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("previous_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("previous_until_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contact", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failing_since_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("off_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("off_reason", sa.String(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("scheme in ('ed25519', 'hmac')", name=op.f("ck_webhook_endpoints_scheme")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(op.f("ix_webhook_endpoints_partner_id_id"), "webhook_endpoints", ["partner_id", "id"], unique=False)
    op.create_table(
        "admin_replacements",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("msp_id", sa.UUID(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["msp_id"], ["msps.id"], name=op.f("fk_admin_replacements_msp_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_replacements")),
    )
    op.create_index(op.f("ix_admin_replacements_msp_id"), "admin_replacements", ["msp_id"], unique=False)
    op.create_table(
        "known_networks",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("network", sa.String(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_known_networks_user_id")),
        sa.PrimaryKeyConstraint("user_id", "network", name=op.f("pk_known_networks")),
    )
    op.create_table(
        "letter_attempts",
        sa.Column("letter_id", sa.UUID(), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["letter_id"], ["letters.id"], name=op.f("fk_letter_attempts_letter_id")),
        sa.PrimaryKeyConstraint("letter_id", "n", name=op.f("pk_letter_attempts")),
    )
    op.create_table(
        "password_resets",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=True),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_password_resets_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_resets")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_password_resets_token_sha256")),
    )
    op.create_index(op.f("ix_password_resets_user_id"), "password_resets", ["user_id"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id")),
        sa.PrimaryKeyConstraint("user_id", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "user_sessions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("program", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_user_sessions_secret_sha256")),
    )
    op.create_index(op.f("ix_user_sessions_user_id"), "user_sessions", ["user_id"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("endpoint_id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("partner_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gave_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_deliveries_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_endpoint_id_id"), "webhook_deliveries", ["endpoint_id", "id"], unique=False
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", sa.UUID(), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["webhook_deliveries.id"], name=op.f("fk_webhook_attempts_delivery_id")
        ),
        sa.PrimaryKeyConstraint("delivery_id", "n", name=op.f("pk_webhook_attempts")),
    )
    for column, value in _TOKEN_COLUMNS.items():
        op.add_column("api_tokens", sa.Column(column, value[0], nullable=True))
        op.execute(f"update api_tokens set {column} = {value[1]}")
        op.alter_column("api_tokens", column, nullable=False)
    op.add_column("api_tokens", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_tokens", sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint("kind", "api_tokens", "partner_kind in ('vendor', 'distributor', 'msp')")
    op.drop_index(op.f("ix_api_tokens_msp_id"), table_name="api_tokens")
    op.create_index(op.f("ix_api_tokens_partner_id_id"), "api_tokens", ["partner_id", "id"], unique=False)
    op.drop_constraint(op.f("fk_api_tokens_msp_id"), "api_tokens", type_="foreignkey")
    op.drop_column("api_tokens", "msp_id")
    op.add_column("events", sa.Column("told", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index("ix_events_untold", "events", ["id"], unique=False, postgresql_where=sa.text("not told"))
    op.create_index(op.f("ix_letters_recipient_posted_at"), "letters", ["recipient", "posted_at"], unique=False)
    op.add_column("msps", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("msps", "closed_at")
    op.drop_index(op.f("ix_letters_recipient_posted_at"), table_name="letters")
    op.drop_index("ix_events_untold", table_name="events", postgresql_where=sa.text("not told"))
    op.drop_column("events", "told")
    op.execute("delete from api_tokens where partner_kind <> 'msp'")
    op.add_column("api_tokens", sa.Column("msp_id", sa.UUID(), nullable=True))
    op.execute("update api_tokens set msp_id = partner_id")
    op.alter_column("api_tokens", "msp_id", nullable=False)
    op.create_foreign_key(op.f("fk_api_tokens_msp_id"), "api_tokens", "msps", ["msp_id"], ["id"])
    op.drop_index(op.f("ix_api_tokens_partner_id_id"), table_name="api_tokens")
    op.create_index(op.f("ix_api_tokens_msp_id"), "api_tokens", ["msp_id"], unique=False)
    for column in ("revoked_at", "last_used_at", *_TOKEN_COLUMNS):
        op.drop_column("api_tokens", column)
    op.drop_table("webhook_attempts")
    op.drop_index(op.f("ix_webhook_deliveries_endpoint_id_id"), table_name="webhook_deliveries")
    op.drop_index(
        "ix_webhook_deliveries_due",
        table_name="webhook_deliveries",
        postgresql_where=sa.text("next_attempt_at is not null"),
    )
    op.drop_table("webhook_deliveries")
    op.drop_index(op.f("ix_user_sessions_user_id"), table_name="user_sessions")
    op.drop_table("user_sessions")
    op.drop_table("recovery_codes")
    op.drop_index(op.f("ix_password_resets_user_id"), table_name="password_resets")
    op.drop_table("password_resets")
    op.drop_table("letter_attempts")
    op.drop_table("known_networks")
    op.drop_index(op.f("ix_admin_replacements_msp_id"), table_name="admin_replacements")
    op.drop_table("admin_replacements")
    op.drop_index(op.f("ix_webhook_endpoints_partner_id_id"), table_name="webhook_endpoints")
    op.drop_table("webhook_endpoints")
    op.drop_index("uq_users_email", table_name="users", postgresql_where="removed_at is null")
    op.drop_index(op.f("ix_users_partner_id_id"), table_name="users")
    op.drop_table("users")
    op.drop_index(op.f("ix_registrations_verified_at_id"), table_name="registrations")
    op.drop_table("registrations")
    op.drop_index(op.f("ix_invitations_partner_id_id"), table_name="invitations")
    op.drop_table("invitations")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_audit_log_msp_id_id"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_distributor_id_id"), table_name="audit_log")
    op.drop_table("audit_log")
