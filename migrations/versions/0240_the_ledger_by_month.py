"""The ledger by month: the table as it is becomes the first partition, so no row is moved and none can be lost."""

from alembic import op

from migrations.guards import guard_site_table, unguard

revision = "0240"
down_revision = "0220"
branch_labels = None
depends_on = None

_KEY = "site_id, installation_id, line, n"
_INDEX = "ix_usage_entries_site_id_installation_id_line_at_n"
_INDEXED = "site_id, installation_id, line, at, n"

# What there is follows from the catalogue alone. The last partition has no end, the first no beginning.
_PARTITIONS = r"""
create view ledger_partitions as
select c.relname::text as name,
    coalesce(substring(b.bound from 'FROM \(''([^'']+)''\)')::timestamptz, '-infinity') as from_at,
    coalesce(substring(b.bound from 'TO \(''([^'']+)''\)')::timestamptz, 'infinity') as until_at
from pg_catalog.pg_inherits i
join pg_catalog.pg_class c on c.oid = i.inhrelid
cross join lateral (select pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound) b
where i.inhparent = 'public.usage_entries'::regclass
"""

# The service's roles own nothing, so the worker cannot make a table. It may end the open partition at an instant, and no
# more: the owner's function names the next one after the month that begins there.
_END_OPEN_PARTITION = """
create function end_open_partition(ends_at timestamptz) returns text
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
set lock_timeout = '2s'
as $$
declare
    last record;
    made text := 'usage_entries_' || to_char((ends_at + interval '14 days') at time zone 'UTC', 'YYYY_MM');
begin
    lock table public.usage_entries in access exclusive mode;
    select * into last from public.ledger_partitions where until_at = 'infinity';
    if last.from_at >= ends_at then
        return null;
    end if;
    execute format('alter table public.usage_entries detach partition public.%I', last.name);
    execute format('alter table public.usage_entries attach partition public.%I for values from (%s) to (%L)', last.name,
        case when last.from_at = '-infinity' then 'minvalue' else quote_literal(last.from_at) end, ends_at);
    execute format('create table public.%I partition of public.usage_entries for values from (%L) to (maxvalue)', made,
        ends_at);
    execute format('alter table public.%I enable row level security', made);
    return made;
end $$
"""


def upgrade() -> None:
    unguard("usage_entries")
    op.execute("alter table usage_entries rename to usage_entries_first")
    op.execute("alter table usage_entries_first enable row level security")
    op.execute("alter table usage_entries_first drop constraint pk_usage_entries")
    op.execute(f"alter table usage_entries_first add constraint pk_usage_entries_first primary key ({_KEY}, at)")
    op.execute(f"alter index {_INDEX} rename to ix_usage_entries_first")
    op.execute(
        "create table usage_entries (like usage_entries_first including defaults including constraints, "
        f"constraint pk_usage_entries primary key ({_KEY}, at)) partition by range (at)"
    )
    op.execute(f"create index {_INDEX} on usage_entries ({_INDEXED})")
    op.execute("create index ix_usage_entries_suspect on usage_entries (site_id, at) where clock_suspect")
    op.execute(
        "alter table usage_entries attach partition usage_entries_first for values from (minvalue) to (maxvalue)"
    )
    guard_site_table("usage_entries")
    op.execute(_PARTITIONS)
    op.execute(_END_OPEN_PARTITION)
    op.execute("revoke all on function end_open_partition from public")
    op.execute("grant execute on function end_open_partition to tidemark_service")
    op.execute("grant select on ledger_partitions to tidemark_service")
    op.execute(
        "create table ledger_archives (before_at timestamptz not null constraint pk_ledger_archives primary key, "
        "archived_at timestamptz not null, partitions varchar[] not null, entries bigint not null, "
        "carried bigint not null)"
    )
    op.execute("grant select on ledger_archives to tidemark_tenant, tidemark_service")
    op.execute("create schema ledger_archive")


def downgrade() -> None:
    op.execute("drop schema ledger_archive")  # refused while it holds months: they are data
    op.execute("drop table ledger_archives")
    op.execute("drop function end_open_partition")
    op.execute("drop view ledger_partitions")
    unguard("usage_entries")
    op.execute("alter table usage_entries rename to usage_entries_by_month")
    op.execute("alter table usage_entries_by_month drop constraint pk_usage_entries")
    op.execute(f"alter index {_INDEX} rename to ix_usage_entries_by_month")
    op.execute("create table usage_entries (like usage_entries_by_month including defaults including constraints)")
    op.execute("insert into usage_entries select * from usage_entries_by_month")
    op.execute("drop table usage_entries_by_month")
    op.execute(f"alter table usage_entries add constraint pk_usage_entries primary key ({_KEY})")
    op.execute(f"create index {_INDEX} on usage_entries ({_INDEXED})")
    guard_site_table("usage_entries")
