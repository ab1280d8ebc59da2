"""Row-level security for whole fleets: the vendor's role sees all at no cost, a tenant's sites are a set or a look-up."""

from alembic import op
from sqlalchemy import text

from migrations.guards import KIND, PARTNER, make_vendor_role, of_site

revision = "0110"
down_revision = "0100"
branch_labels = None
depends_on = None

_SITE_TABLES = (
    "contact_gaps",
    "dispute_decisions",
    "exclusions",
    "installations",
    "key_events",
    "key_policies",
    "lines",
    "silence_timers",
    "site_flags",
    "line_sightings",
    "uncounted_stretches",
    "usage_conflicts",
    "usage_entries",
    "void_decisions",
)
_OVERLAPPING = f"""exists (select from msp_tenures m where m.msp_id = site_tenures.msp_id and m.distributor_id = {PARTNER}
    and m.from_at < coalesce(site_tenures.until_at, 'infinity')
    and coalesce(m.until_at, 'infinity') > site_tenures.from_at)"""
# Two tenures that are both open overlap, which one look at a small set tells of nearly all.
_OPEN = f"""(until_at is null and msp_id in (select m.msp_id from msp_tenures m
    where m.distributor_id = {PARTNER} and m.until_at is null))"""
_BEFORE = f"case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then {_OVERLAPPING} end"
_NOW = f"case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then {_OPEN} or {_OVERLAPPING} end"


def upgrade() -> None:
    make_vendor_role()
    for table in _guarded_without("vendor"):
        op.execute(f"create policy vendor on {table} to tidemark_vendor using (true) with check (true)")
    for table in _SITE_TABLES:
        op.execute(f"alter policy tenant on {table} using ({of_site(table)}) with check ({of_site(table)})")
    op.execute(f"alter policy tenant on keys using ({of_site('keys')})")
    op.execute(f"alter policy tenant on site_tenures using ({_NOW}) with check ({_BEFORE})")


def _guarded_without(policy: str) -> list[str]:
    """Name the tables whose tenant policy was made before this one was."""
    return list(
        op.get_bind().scalars(
            text(
                "select tablename from pg_policies where schemaname = 'public' and policyname = 'tenant' except "
                "select tablename from pg_policies where schemaname = 'public' and policyname = :policy"
            ),
            {"policy": policy},
        )
    )


def downgrade() -> None:
    """Leave it: the policies say the same, and the migrations below take them away with their tables."""
