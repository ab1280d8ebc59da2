"""Fit to be spread: by the database's own catalogue, whatever grows with sites can be spread by `site_id`."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# Primary keys, unique constraints and unique indexes, by their first column; foreign keys among tables with a site.
_UNIQUE = """
select i.indrelid::regclass::text as owner, i.indexrelid::regclass::text as name, a.attname as first
from pg_index i
join pg_class c on c.oid = i.indrelid and c.relnamespace = 'public'::regnamespace and not c.relispartition
join pg_attribute a on a.attrelid = i.indexrelid and a.attnum = 1
where i.indisunique and exists (select from pg_attribute s where s.attrelid = i.indrelid and s.attname = 'site_id')
"""
_FOREIGN = """
select k.conrelid::regclass::text as owner, k.conname::text as name, a.attname as first
from pg_constraint k
join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
where k.contype = 'f' and k.conparentid = 0
    and exists (select from pg_attribute s where s.attrelid = k.conrelid and s.attname = 'site_id')
    and exists (select from pg_attribute s where s.attrelid = k.confrelid and s.attname = 'site_id')
"""
# The names of an MSP's sites are unique within the MSP: a register of the partner's, which stays with the partners.
_OF_PARTNERS = {"key_names"}


async def test_whatever_grows_with_sites_has_site_id_first_wherever_something_is_unique_or_refers(
    db: AsyncSession,
) -> None:
    for statement in (_UNIQUE, _FOREIGN):
        found = (await db.execute(text(statement))).all()
        assert found
        otherwise = {(row.owner, row.name) for row in found if row.first != "site_id"}
        assert {owner for owner, _ in otherwise} <= _OF_PARTNERS, otherwise


async def test_a_heartbeats_row_has_no_index_of_what_a_heartbeat_changes_no_trigger_and_no_foreign_key(
    db: AsyncSession,
) -> None:
    indexed = await db.scalars(
        text(
            "select distinct a.attname from pg_index i join pg_attribute a on a.attrelid = i.indexrelid "
            "where i.indrelid = 'lines'::regclass"
        )
    )
    assert set(indexed) == {"site_id", "installation_id", "line", "msp_id"}
    others = "select (select count(*) from pg_trigger where tgrelid = t) + (select count(*) from pg_constraint where "
    count = text(others + "contype = 'f' and t in (conrelid, confrelid)) from (select 'lines'::regclass as t) x")
    assert await db.scalar(count) == 0
