"""The tables of reports and statements under row-level security."""

from migrations.guards import KIND, PARTNER, guard, guard_site_table, unguard

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_CHAIN = f"case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then distributor_id = {PARTNER} end"
_OWN = f"distributor_id = {PARTNER}"
_TERMS = "exists (select from distributors d where d.id = billing_terms.distributor_id)"
_OF_REPORT = "exists (select from reports r where r.id = report_alarms.report_id)"
_OF_STATEMENT = "exists (select from statements s where s.id = {table}.statement_id)"
_APPEND = "select, insert"

_SITE_TABLES = ("contact_gaps", "dispute_decisions", "exclusions", "void_decisions")
_GUARDED: dict[str, str] = {
    "adjustments": _CHAIN,
    "charges": _CHAIN,
    "disputes": _CHAIN,
    "void_requests": _CHAIN,
    "billing_terms": _TERMS,
    "price_lists": _OWN,
    "price_corrections": _OWN,
    "prices": "exists (select from price_lists l where l.id = prices.list_id)",
    "statements": _OWN,
    "statement_files": _OF_STATEMENT.format(table="statement_files"),
    "statement_lines": _OF_STATEMENT.format(table="statement_lines"),
    "invoices": _OF_STATEMENT.format(table="invoices"),
    "report_alarms": _OF_REPORT,
}
# What the close itself settles later; everything else is only ever added to.
_UPDATED = ("charges", "contact_gaps", "report_alarms", "statements", "void_requests")


def upgrade() -> None:
    for table, using in _GUARDED.items():
        guard(table, using, grants=_grants(table))
    for table in _SITE_TABLES:
        guard_site_table(table, grants=_grants(table))


def _grants(table: str) -> str:
    return f"{_APPEND}, update" if table in _UPDATED else _APPEND


def downgrade() -> None:
    for table in (*_GUARDED, *_SITE_TABLES):
        unguard(table)
