"""The register of keys, on a real database."""

import pytest
from sqlalchemy import func, select, update

from services import keys, partners
from services.errors import Absent
from services.keys import KeyMalformed, KeyNameTaken, KeyState, KeyUnknown
from services.keys.tables import KeyEvent
from services.partners import Msp, MspNotApproved
from tests.support.world import World


async def test_a_new_key_is_issued_and_found_by_its_code_however_it_is_typed(world: World) -> None:
    issued = await world.key("Hotel Adria", reference="C-17")
    assert (issued.key.state, issued.key.reference) == (KeyState.ISSUED, "C-17")
    async with world.sessions() as db:
        for typed in (issued.code, issued.code.lower().replace("-", " ")):
            found = await keys.find_for_update(db, keys.hash_of_code(world.desk.vault, typed))
            assert found.id == issued.key.id


async def test_the_code_is_nowhere_plain_in_the_database_but_opens_for_the_service(world: World) -> None:
    issued = await world.key()
    row = issued.key
    assert issued.code.encode() not in row.code_sealed + row.code_hash
    assert issued.code[:-5] not in row.code_masked
    assert world.desk.vault.open(row.code_sealed, row.id.bytes).decode() == issued.code


async def test_a_name_is_taken_once_an_msp_and_free_for_another(world: World) -> None:
    other = await world.another_msp("Baltica")
    await world.key("Hotel Adria")
    await world.key("Hotel Adria", other)
    with pytest.raises(KeyNameTaken) as refused:
        await world.key("Hotel Adria")
    assert refused.value.pointer == "/name"
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(keys.Key)) == 2
        assert await db.scalar(select(func.count()).select_from(KeyEvent)) == 2


async def test_an_msp_that_is_not_approved_makes_no_keys(world: World) -> None:
    async with world.sessions.begin() as db:
        await db.execute(update(Msp).values(approved_at=None))
    with pytest.raises(MspNotApproved):
        await world.key()


async def test_a_code_that_was_never_issued_is_unknown_and_a_mistyped_one_malformed(world: World) -> None:
    issued = await world.key()
    async with world.sessions() as db:
        with pytest.raises(KeyUnknown):
            await keys.find_for_update(db, keys.hash_of_code(world.desk.vault, "00000-00000-00000-0000V-V6KVH"))
    with pytest.raises(KeyMalformed):
        keys.hash_of_code(world.desk.vault, issued.code[:-1])


async def test_the_timeline_begins_with_the_issue(world: World) -> None:
    issued = await world.key()
    async with world.sessions() as db:
        [event] = await keys.timeline(db, issued.key)
    assert (event.event, event.from_state, event.to_state, event.actor) == ("issued", None, "issued", "test")
    assert event.at == event.recorded_at == world.clock()


async def test_a_site_that_does_not_exist_has_no_key(world: World) -> None:
    async with world.sessions() as db:
        with pytest.raises(Absent):
            await keys.of_site_for_update(db, world.msp.id)


async def test_events_of_one_instant_keep_the_order_in_which_they_happened(world: World) -> None:
    """A report's state and flags follow from the last event too: issued and activated at once must end active."""
    issued = await world.key()
    async with world.sessions.begin() as db:
        key = await keys.of_site_for_update(db, issued.key.site_id)
        for _ in range(6):
            keys.disable(db, key, at=world.clock(), now=world.clock())
            keys.enable(db, key, now=world.clock())
    async with world.sessions() as db:
        events = [event.event for event in await keys.timeline(db, issued.key)]
    assert events == ["issued", *["disabled", "enabled"] * 6]


async def test_a_key_is_found_by_the_state_that_it_shows_also_when_its_msp_is_suspended(world: World) -> None:
    issued = await world.key()
    principal = partners.Principal(world.msp.id, world.msp.id, at=world.clock())
    async with world.sessions.begin() as db:
        await db.execute(update(keys.Key).values(msp_suspended_at=world.clock(), msp_reason="unpaid"))
        for state in KeyState:
            found = await keys.visible_keys(db, principal, after=None, limit=10, state=state)
            assert [key.id for key in found] == ([issued.key.id] if state is KeyState.SUSPENDED else []), state
