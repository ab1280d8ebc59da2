"""Row-level security, table by table: what a migration says of each table that it makes.

Two group roles that own nothing and cannot bypass: `tidemark_tenant` is what a partner's request runs as, and sees what
the policies let it see; `tidemark_service` is what heartbeats and jobs run as, without that cost.
"""

from alembic import op

KIND = "(select nullif(current_setting('tidemark.kind', true), ''))"
PARTNER = "(select nullif(current_setting('tidemark.partner', true), '')::uuid)"
VENDOR = f"{KIND} = 'vendor'"
ALL = "select, insert, update, delete"


def guard(table: str, using: str, check: str | None = None, grants: str = ALL) -> None:
    """Put a table under row-level security: a tenant sees the rows of `using`, and writes those of `check`."""
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"grant {grants} on {table} to tidemark_tenant")
    op.execute(f"grant {grants} on {table} to tidemark_service")
    for_check = check or using
    op.execute(
        f"create policy tenant on {table} to tidemark_tenant using ({VENDOR} or {using}) "
        f"with check ({VENDOR} or {for_check})"
    )
    op.execute(f"create policy service on {table} to tidemark_service using (true) with check (true)")


def guard_site_table(table: str, grants: str = ALL) -> None:
    """Guard a table that has `site_id`: its rows are seen by those who have, or had, the site."""
    guard(table, f"exists (select from site_tenures t where t.site_id = {table}.site_id)", grants=grants)


def unguard(table: str) -> None:
    """Take back what `guard` did."""
    op.execute(f"drop policy tenant on {table}")
    op.execute(f"drop policy service on {table}")
    op.execute(f"alter table {table} disable row level security")
    op.execute(f"revoke all on {table} from tidemark_tenant, tidemark_service")
