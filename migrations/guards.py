"""Row-level security, table by table: what a migration says of each table that it makes.

Group roles that own nothing and cannot bypass. `tidemark_tenant` is what a partner's request runs as, and sees what the
policies let it see; `tidemark_vendor`, a member of it, is what the Partner Team's runs as, and sees every row for one
policy that is true, which costs nothing; `tidemark_service` is what heartbeats and jobs run as, as freely.
"""

from alembic import op

KIND = "(select nullif(current_setting('tidemark.kind', true), ''))"
PARTNER = "(select nullif(current_setting('tidemark.partner', true), '')::uuid)"
ALL = "select, insert, update, delete"


def make_role(role: str) -> None:
    """Make a group role unless it is there. Roles are the cluster's: another database may be making it now."""
    op.execute(
        f"""do $$ begin
            if not exists (select from pg_roles where rolname = '{role}') then
                create role {role} nologin;
            end if;
            if not (select rolsuper from pg_roles where rolname = current_user) then
                execute format('grant {role} to %I', current_user);
            end if;
        exception when duplicate_object or unique_violation then null; end $$"""
    )
    op.execute(f"grant usage on schema public to {role}")


def make_vendor_role() -> None:
    """Make the Partner Team's role, which has every grant of a tenant's."""
    make_role("tidemark_vendor")
    op.execute("grant tidemark_tenant to tidemark_vendor")


def guard(table: str, using: str, check: str | None = None, grants: str = ALL) -> None:
    """Put a table under row-level security: a tenant sees the rows of `using`, and writes those of `check`."""
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"grant {grants} on {table} to tidemark_tenant")
    op.execute(f"grant {grants} on {table} to tidemark_service")
    op.execute(f"create policy tenant on {table} to tidemark_tenant using ({using}) with check ({check or using})")
    for role in ("vendor", "service"):
        op.execute(f"create policy {role} on {table} to tidemark_{role} using (true) with check (true)")


def guard_site_table(table: str, grants: str = ALL) -> None:
    """Guard a table that has `site_id`: its rows are seen by those who have, or had, the site."""
    guard(table, f"exists (select from site_tenures t where t.site_id = {table}.site_id)", grants=grants)


def unguard(table: str) -> None:
    """Take back what `guard` did."""
    for role in ("tenant", "vendor", "service"):
        op.execute(f"drop policy if exists {role} on {table}")
    op.execute(f"alter table {table} disable row level security")
    op.execute(f"revoke all on {table} from tidemark_tenant, tidemark_service")
