"""The list of sites: what was looked for goes on to the next page, and a moment ago is now."""

import html

from tests.console.conftest import Somebody
from tests.support.console import text_of
from tests.support.world import World


async def test_the_next_page_looks_for_the_same(world: World, as_somebody: Somebody) -> None:
    for number in range(51):
        await world.key(f"Hotel & {number}")
    await world.key("Studio")
    pages = await as_somebody()
    first = await pages.get("/sites?q=hotel+%26&state=issued")
    assert first.text.count('scope="row"') == 50
    address = html.unescape(first.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0])
    second = await pages.get(f"/sites{address}")
    assert second.text.count('scope="row"') == 1
    assert "Studio" not in text_of(second)
    assert "First page" in text_of(second)


async def test_a_contact_of_this_minute_is_just_now(world: World, as_somebody: Somebody) -> None:
    await world.running((3, 0, 0))
    assert "just now" in text_of(await (await as_somebody()).get("/sites"))


async def test_a_nul_in_what_is_looked_for_is_left_out(world: World, as_somebody: Somebody) -> None:
    await world.key("Studio")
    assert "Studio" in text_of(await (await as_somebody()).get("/sites?q=stu%00dio"))
