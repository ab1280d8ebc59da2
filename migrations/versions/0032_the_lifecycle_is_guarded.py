"""The tables of the licence lifecycle under row-level security."""

from alembic import op

from migrations.guards import ALL, PARTNER, guard, guard_site_table, unguard

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_SITE_TABLES = ("line_sightings", "site_flags", "uncounted_stretches", "key_policies")
# The service's own: partners read the outages among them, for no silence counts in one.
_READ_BY_ALL = ("arrival_watch", "collapsed_stretches", "pulse_minutes")
_OF_NO_PARTNER = ("sweep_holds",)


def upgrade() -> None:
    for table in _SITE_TABLES:
        guard_site_table(table)
    guard("moves", f"(from_msp_id = {PARTNER} or to_msp_id = {PARTNER})")
    for table in (*_READ_BY_ALL, *_OF_NO_PARTNER):
        op.execute(f"grant {ALL} on {table} to tidemark_service")
    for table in _READ_BY_ALL:
        op.execute(f"grant select on {table} to tidemark_tenant")


def downgrade() -> None:
    for table in (*_SITE_TABLES, "moves"):
        unguard(table)
    for table in (*_READ_BY_ALL, *_OF_NO_PARTNER):
        op.execute(f"revoke all on {table} from tidemark_tenant, tidemark_service")
