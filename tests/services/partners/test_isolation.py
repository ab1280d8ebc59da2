"""Tenants are kept apart twice: by `visible_to()` in code, and by row-level security. Each holds without the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from services import keys, partners, sites
from services.db import Row
from services.errors import Absent
from services.keys import Key
from services.keys.tables import KeyEvent, KeyName
from services.partners import VENDOR_ID, PartnerKind, Principal
from services.partners.tables import Msp, SiteTenure
from services.sites.tables import Installation
from services.usage import Line
from services.usage.tables import UsageEntry
from tests.support.world import World

# Without policies: what is the service's own and no partner's, and what the tenant's role cannot read at all.
OF_THE_SERVICE = {
    "arrival_watch",
    "collapsed_stretches",
    "ledger_archives",
    "lease_keys",
    "pulse_minutes",
    "pulse_stretches",
    "sweep_holds",
}
OF_SITES = [Key, KeyEvent, Installation, Line, UsageEntry, SiteTenure]


@pytest.fixture
async def two(world: World) -> tuple[Principal, Principal]:
    """Two MSPs under two distributors, with a running site each."""
    other = await world.another_msp("Baltica", await world.another_distributor("Nord"))
    await world.running((1, 2, 3))
    await world.running((4, 5, 6), "Foreign", other)
    return (
        Principal(world.msp.id, world.msp.id, at=world.clock()),
        Principal(other.id, other.id, at=world.clock()),
    )


@asynccontextmanager
async def guarded(world: World, principal: Principal) -> AsyncIterator[AsyncSession]:
    """A real transaction under the policies, as the API opens it."""
    async with world.sessions() as db:
        await partners.guard(db, principal)
        yield db


@pytest.mark.parametrize("table", OF_SITES, ids=lambda table: table.__tablename__)
async def test_without_the_code_s_scope_the_database_shows_no_foreign_row(
    world: World, two: tuple[Principal, Principal], table: type[Row]
) -> None:
    seen = []
    for principal in two:
        async with guarded(world, principal) as db:
            seen.append({row.site_id for row in await db.scalars(select(table))})  # type: ignore[attr-defined]
    assert [len(sites) for sites in seen] == [1, 1]
    assert not seen[0] & seen[1]


async def test_without_the_database_s_policies_the_code_shows_no_foreign_row(
    world: World, two: tuple[Principal, Principal]
) -> None:
    ours, theirs = two
    async with world.sessions() as db:  # as the owner: no policy applies
        [key] = await keys.visible_keys(db, ours, after=None, limit=10)
        [site] = await sites.sites_of(db, theirs, world.clock(), after=None, limit=10)
        assert key.site_id != site.site_id
        with pytest.raises(Absent):
            await keys.visible_key(db, theirs, key.id)


async def test_a_distributor_sees_its_own_and_the_vendor_all(world: World, two: tuple[Principal, Principal]) -> None:
    distributor = Principal(world.distributor.id, world.distributor.id, PartnerKind.DISTRIBUTOR, at=world.clock())
    vendor = Principal(VENDOR_ID, VENDOR_ID, PartnerKind.VENDOR, at=world.clock())
    counts = []
    for principal in (distributor, vendor):
        async with guarded(world, principal) as db:
            counts.append(len((await db.scalars(select(Key))).all()))
            assert len((await db.scalars(select(Msp))).all()) == counts[-1]
        async with world.sessions() as db:
            assert len(await keys.visible_keys(db, principal, after=None, limit=10)) == counts[-1]
    assert counts == [1, 2]


async def test_a_row_cannot_be_written_for_a_stranger(world: World, two: tuple[Principal, Principal]) -> None:
    ours, theirs = two
    async with guarded(world, ours) as db:
        db.add(KeyName(msp_id=theirs.partner_id, name="taken", site_id=ours.partner_id))
        with pytest.raises(DBAPIError, match="row-level security"):
            await db.flush()


async def test_without_a_principal_set_the_tenant_s_role_sees_nothing(
    world: World, two: tuple[Principal, Principal]
) -> None:
    async with world.sessions() as db:
        await db.execute(text("set local role tidemark_tenant"))
        for table in (*OF_SITES, Msp):
            assert (await db.scalars(select(table))).first() is None


async def test_the_principal_is_gone_with_its_transaction(world: World, two: tuple[Principal, Principal]) -> None:
    async with world.sessions() as db:
        await partners.guard(db, two[0])
        await db.commit()
        assert await db.scalar(text("select current_user")) != "tidemark_tenant"
        assert await db.scalar(text("select nullif(current_setting('tidemark.partner', true), '')")) is None


async def test_the_roles_own_nothing_and_cannot_bypass(world: World) -> None:
    async with world.sessions() as db:
        roles = (
            await db.execute(
                text(
                    "select rolsuper, rolbypassrls, rolcanlogin, (select count(*) from pg_class where relowner = r.oid)"
                    " from pg_roles r where rolname in ('tidemark_tenant', 'tidemark_vendor', 'tidemark_service')"
                )
            )
        ).all()
    assert [tuple(role) for role in roles] == [(False, False, False, 0)] * 3


async def test_every_table_is_under_row_level_security(world: World) -> None:
    """A new table needs `guard` or `guard_site_table` of migrations/guards.py in the migration that makes it."""
    async with world.sessions() as db:
        tables = "select relname from pg_class where relkind in ('r', 'p') and relrowsecurity"
        guarded = set(await db.scalars(text(tables)))
        partitions = set(await db.scalars(text("select name from ledger_partitions")))
    assert partitions <= guarded
    assert set(Row.metadata.tables) - guarded == OF_THE_SERVICE


async def test_the_service_s_role_works_without_policies(world: World, two: tuple[Principal, Principal]) -> None:
    async with world.sessions() as db:
        await db.execute(text("set local role tidemark_service"))
        assert len((await db.scalars(select(Key))).all()) == 2


async def test_a_partner_sees_a_site_from_the_start_of_its_tenure_to_its_end(world: World) -> None:
    machine = await world.running((1, 0, 0))
    other = await world.another_msp("Baltica")
    moved_at = world.clock.advance(days=1)
    async with world.sessions.begin() as db:
        tenure = (await db.scalars(select(SiteTenure).where(SiteTenure.site_id == machine.site_id))).one()
        tenure.until_at = moved_at
        db.add(SiteTenure(site_id=machine.site_id, from_at=moved_at, until_at=None, msp_id=other.id))
    async with world.sessions() as db:
        for msp_id, at, expected in (
            (world.msp.id, tenure.from_at, 1),
            (other.id, tenure.from_at, 0),
            (world.msp.id, moved_at, 0),
            (other.id, moved_at, 1),
        ):
            principal = Principal(msp_id, msp_id, at=at)
            assert len(await keys.visible_keys(db, principal, after=None, limit=10)) == expected


async def test_the_api_s_requests_are_under_the_net(client: httpx.AsyncClient, world: World) -> None:
    """Taken away in the code alone, a stranger's key is still 404: the policies hide it."""
    issued = await world.key()
    other = await world.another_msp("Baltica")
    token = await world.token(other)
    async with world.sessions.begin() as db:
        principal = await partners.principal_of(db, token, world.clock())
        await partners.guard(db, principal)
        assert await db.get(Key, (issued.key.site_id, issued.key.id)) is None
    answer = await client.get("/v1/sites", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["items"] == []
