"""Row-level security under two group roles, and an audit log that nobody can change."""

from alembic import op

from migrations.guards import KIND, PARTNER, guard, guard_site_table, make_role, make_vendor_role, unguard

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_OWN = f"partner_id = {PARTNER}"
_MSP_VISIBLE = "exists (select from msps m where m.id = {column})"
_CHAIN = f"case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then distributor_id = {PARTNER} end"
_TENURE = f"""case {KIND} when 'msp' then msp_id = {PARTNER}
    when 'distributor' then exists (select from msp_tenures m where m.msp_id = site_tenures.msp_id
        and m.distributor_id = {PARTNER} and m.from_at < coalesce(site_tenures.until_at, 'infinity')
        and coalesce(m.until_at, 'infinity') > site_tenures.from_at) end"""
_POLICY = f"""(level = 'programme' or (level = 'distributor' and exists (select from distributors d
    where d.id = subject_id)) or (level = 'msp' and {_MSP_VISIBLE.format(column="subject_id")}))"""
_POLICY_CHECK = f"""((level = 'distributor' and subject_id = {PARTNER})
    or (level = 'msp' and {_MSP_VISIBLE.format(column="subject_id")}))"""
_OF_USER = "exists (select from users u where u.id = {table}.user_id)"
_OF_ENDPOINT = "exists (select from webhook_endpoints e where e.id = webhook_deliveries.endpoint_id)"
_SITE_TABLES = ("installations", "lines", "silence_timers", "usage_entries", "usage_conflicts")
_APPEND = "select, insert"

_GUARDED: dict[str, tuple[str, str | None, str]] = {
    # table: who sees a row, who writes it (None: the same), what may be done
    "msp_tenures": (
        f"case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then distributor_id = {PARTNER} end",
        None,
        "select, insert, update",
    ),
    "site_tenures": (_TENURE, None, "select, insert, update"),
    "msps": (
        f"case {KIND} when 'msp' then id = {PARTNER} when 'distributor' then exists "
        "(select from msp_tenures t where t.msp_id = msps.id) end",
        None,
        "select, insert, update",
    ),
    "distributors": (
        f"case {KIND} when 'distributor' then id = {PARTNER} when 'msp' then exists "
        "(select from msp_tenures t where t.distributor_id = distributors.id) end",
        None,
        "select, insert, update",
    ),
    "policies": (_POLICY, _POLICY_CHECK, "select, insert, update, delete"),
    "keys": (
        "exists (select from site_tenures t where t.site_id = keys.site_id)",
        _MSP_VISIBLE.format(column="keys.msp_id"),
        "select, insert, update",
    ),
    "key_names": (_MSP_VISIBLE.format(column="key_names.msp_id"), None, "select, insert, update, delete"),
    "closed_periods": (
        "exists (select from distributors d where d.id = closed_periods.distributor_id)",
        None,
        "select, insert, update",
    ),
    "reports": (_CHAIN, None, "select, insert, update"),
    "report_lines": (_CHAIN, None, _APPEND),
    "report_files": ("exists (select from reports r where r.id = report_files.report_id)", None, _APPEND),
    "report_counters": (f"distributor_id = {PARTNER}", None, "select, insert, update"),
    # What happens is told to whom it concerns, by whoever does it: anybody may post, the addressee reads.
    "letters": (f"({_OWN} or {_MSP_VISIBLE.format(column='letters.partner_id')})", "true", "select, insert, update"),
    "letter_attempts": (
        "exists (select from letters l where l.id = letter_attempts.letter_id)",
        None,
        "select, insert",
    ),
    "events": (_OWN, "true", "select, insert, update"),
    "audit_log": (_CHAIN, "true", _APPEND),
    "users": (_OWN, None, "select, insert, update"),
    "recovery_codes": (_OF_USER.format(table="recovery_codes"), None, "select, insert, delete"),
    "known_networks": (_OF_USER.format(table="known_networks"), None, "select, insert, update"),
    "user_sessions": (_OF_USER.format(table="user_sessions"), None, "select, insert, update"),
    "password_resets": (_OF_USER.format(table="password_resets"), None, "select, insert, update"),
    "invitations": (_OWN, None, "select, insert, update"),
    "admin_replacements": (f"msp_id = {PARTNER}", None, "select, insert, update"),
    "registrations": ("false", None, "select, insert, update, delete"),
    "api_tokens": (_OWN, None, "select, insert, update"),
    "idempotency_keys": (_OWN, None, "select, insert, update, delete"),
    "webhook_endpoints": (_OWN, None, "select, insert, update"),
    "webhook_deliveries": (_OF_ENDPOINT, None, "select, insert, update"),
    "webhook_attempts": (
        "exists (select from webhook_deliveries d where d.id = webhook_attempts.delivery_id)",
        None,
        "select, insert",
    ),
}


def upgrade() -> None:
    make_role("tidemark_tenant")
    make_role("tidemark_service")
    make_vendor_role()
    op.execute("grant select on pulse_stretches, alembic_version to tidemark_tenant")
    op.execute("grant select, insert, update, delete on pulse_stretches, lease_keys to tidemark_service")
    op.execute("grant select on alembic_version to tidemark_service")
    for table, (using, check, grants) in _GUARDED.items():
        guard(table, using, check, grants)
    for table in _SITE_TABLES:
        guard_site_table(table)
    guard_site_table("key_events", grants=_APPEND)
    _make_append_only("audit_log")


def _make_append_only(table: str) -> None:
    op.execute(
        """create function refuse_change() returns trigger language plpgsql as
        $$ begin raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege'; end $$"""
    )
    op.execute(
        f"create trigger append_only before update or delete or truncate on {table} "
        "for each statement execute function refuse_change()"
    )


def downgrade() -> None:
    op.execute("drop trigger append_only on audit_log")
    op.execute("drop function refuse_change()")
    for table in (*_GUARDED, *_SITE_TABLES, "key_events"):
        unguard(table)
    op.execute("revoke all on pulse_stretches, lease_keys, alembic_version from tidemark_tenant, tidemark_service")
    op.execute("revoke usage on schema public from tidemark_tenant, tidemark_vendor, tidemark_service")
