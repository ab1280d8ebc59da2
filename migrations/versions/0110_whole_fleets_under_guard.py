"""Row-level security for whole fleets: the vendor's role sees all at no cost, a distributor's tenures are a set."""

from alembic import op
from sqlalchemy import text

from migrations.guards import KIND, PARTNER

revision = "0110"
down_revision = "0100"
branch_labels = None
depends_on = None

_OVERLAPPING = f"""exists (select from msp_tenures m where m.msp_id = site_tenures.msp_id and m.distributor_id = {PARTNER}
    and m.from_at < coalesce(site_tenures.until_at, 'infinity')
    and coalesce(m.until_at, 'infinity') > site_tenures.from_at)"""
# Two tenures that are both open overlap, which one look at a small set tells of nearly all.
_OPEN = f"""(until_at is null and msp_id in (select m.msp_id from msp_tenures m
    where m.distributor_id = {PARTNER} and m.until_at is null))"""
_BEFORE = f"case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then {_OVERLAPPING} end"
_NOW = f"case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then {_OPEN} or {_OVERLAPPING} end"


# Tables that were guarded before the vendor had a role.
_WITHOUT = """select tablename from pg_policies where schemaname = 'public' and policyname = 'tenant' except
    select tablename from pg_policies where schemaname = 'public' and policyname = 'vendor'"""


def upgrade() -> None:
    for table in list(op.get_bind().scalars(text(_WITHOUT))):
        op.execute(f"create policy vendor on {table} to tidemark_vendor using (true) with check (true)")
    op.execute(f"alter policy tenant on site_tenures using ({_NOW}) with check ({_BEFORE})")


def downgrade() -> None:
    """Leave it: the policies say the same, and the migrations below take them away with their tables."""
