"""Whole fleets at once: a line says whose it is, the tenants' policies ask that first, and keys lie by name.

A tenure's MSP has the site for good as far as the policies go, so a key's or a line's own MSP needs no look at the
tenures; a look a row is what whole fleets were slow by. The index has nothing in it that a heartbeat changes.
"""

from alembic import op

from migrations.guards import KIND, PARTNER

revision = "0340"
down_revision = "0333"
branch_labels = None
depends_on = None

_HELD = "exists (select from site_tenures t where t.site_id = {table}.site_id)"
_OWN = f"""case {KIND} when 'msp' then msp_id = {PARTNER} when 'distributor' then msp_id in (
    select m.msp_id from msp_tenures m where m.distributor_id = {PARTNER} and m.until_at is null) end"""
_CHECKS = {"keys": "exists (select from msps m where m.id = keys.msp_id)", "lines": _HELD.format(table="lines")}


def upgrade() -> None:
    op.execute("alter table lines add column msp_id uuid")
    op.execute(
        """update lines l set msp_id = k.msp_id from keys k, installations i
        where k.site_id = l.site_id and k.id = l.key_id and i.site_id = l.site_id
            and i.installation_id = l.installation_id and i.ended_at is null and i.product = 'site_manager'"""
    )
    op.execute("create index ix_keys_msp_id_name on keys (msp_id, lower(name), site_id)")
    for table, check in _CHECKS.items():
        op.execute(f"alter policy tenant on {table} using ({_OWN} or {_HELD.format(table=table)}) with check ({check})")


def downgrade() -> None:
    for table, check in _CHECKS.items():
        op.execute(f"alter policy tenant on {table} using ({_HELD.format(table=table)}) with check ({check})")
    op.execute("drop index ix_keys_msp_id_name")
    op.execute("alter table lines drop column msp_id")
