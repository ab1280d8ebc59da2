"""A page that is kept open: it changes by itself, says so politely, can be paused, and ends with its session."""

import asyncio

import httpx
from fastapi import FastAPI
from playwright.async_api import Page, Route
from sqlalchemy import update

from license_api.console.live import Watch, pause_after
from services.ids import show
from services.partners import PartnerKind, User, UserSession
from tests.console.conftest import Opened
from tests.support.browser import Door
from tests.support.console import COOKIE, secret_of
from tests.support.machine import Machine
from tests.support.people import person
from tests.support.world import World

_COUNTS_WHAT_IS_TOLD = """
window.told = 0;
window.EventSource = class extends EventSource {
  constructor(url) { super(url); this.addEventListener("changed", () => { window.told += 1; }); }
};
"""


async def maria(world: World) -> User:
    return await person(world, PartnerKind.MSP, world.msp.id)


async def listening(page: Page) -> None:
    """Wait until the page has its stream, which is when its bar shows."""
    await page.locator(".live").wait_for()


async def test_a_page_kept_open_sees_a_site_go_offline_and_another_msp_s_page_sees_nothing(
    world: World, open_window: Opened
) -> None:
    await world.policy(warn_after_seconds=3600)
    await world.pulse()
    await world.running((3, 0, 0), "Hotel Adria")
    stranger = await person(world, PartnerKind.MSP, (await world.another_msp("Altra")).id)
    theirs, mine = await open_window(stranger), await open_window(await maria(world))
    for window in (theirs, mine):
        await window.open("/")
        await listening(window.page)
        assert await window.says("Nothing needs you")
    await world.pass_time(hours=2)
    await mine.page.get_by_role("heading", name="Offline").wait_for()
    assert "Hotel Adria: Silent" in (await mine.page.locator(".live [role=status]").inner_text())
    assert await mine.page.evaluate("performance.getEntriesByType('navigation').length") == 1
    assert not await mine.faults()
    await theirs.page.evaluate("fetch('/').then(answer => answer.text()).then(text => window.seen = text)")
    await theirs.page.wait_for_function("window.seen")
    assert "Hotel Adria" not in await theirs.page.evaluate("window.seen") + await theirs.page.content()


async def test_a_key_is_made_and_the_page_sees_its_site_come_alive(world: World, open_window: Opened) -> None:
    window = await open_window(await maria(world), language="it")
    await window.open("/keys/new")
    await window.page.get_by_label("Nome del sito").fill("Pensione Miramare")
    await window.page.get_by_role("button", name="Crea la chiave").click()
    await listening(window.page)
    code = await window.page.inner_text("#copied")
    machine = Machine(code, hostname="miramare-srv")
    await world.activate(machine)
    await world.beat(machine, (1, 4, 0))
    await window.page.locator("strong", has_text="È arrivato: miramare-srv").wait_for()
    assert await window.says(code)
    await window.picture("key-came-alive")


async def test_it_can_be_paused_and_catches_up_when_resumed(world: World, open_window: Opened) -> None:
    await world.running((3, 0, 0), "Hotel Adria")
    window = await open_window(await maria(world))
    await window.open("/sites")
    await listening(window.page)
    await window.page.get_by_role("button", name="Live: pause").click()
    await world.key("Studio Bassi")
    await window.page.evaluate("fetch('/sites')")
    assert not await window.says("Studio Bassi")
    await window.page.get_by_role("button", name="Paused: resume").click()
    await window.page.get_by_role("link", name="Studio Bassi").wait_for()


async def test_without_a_stream_the_page_asks_by_itself(world: World, open_window: Opened) -> None:
    window = await open_window(await maria(world))
    await window.page.clock.install()
    await window.page.route("**/live/*", lambda route: route.abort())
    await window.open("/sites")
    await listening(window.page)
    await world.key("Studio Bassi")
    await window.page.clock.fast_forward("00:16")
    await window.page.get_by_role("link", name="Studio Bassi").wait_for()


async def test_a_change_that_is_told_while_the_page_reads_itself_is_read_too(world: World, open_window: Opened) -> None:
    window = await open_window(await maria(world))
    await window.page.add_init_script(_COUNTS_WHAT_IS_TOLD)
    await window.open("/keys/new")
    await window.page.get_by_label("Name of the site").fill("Pensione Miramare")
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        """Answer the first reading with what was so before the site came, after the page has been told that it came."""
        answer = await route.fetch()
        if not held.is_set():
            held.set()
            await window.page.wait_for_function("() => window.told >= 2")
        await route.fulfill(response=answer)

    await window.page.route("**/coming", hold)
    await window.page.get_by_role("button", name="Make the key").click()
    machine = Machine(await window.page.inner_text("#copied"), hostname="miramare-srv")
    await held.wait()
    await world.activate(machine)
    await world.beat(machine, (1, 4, 0))
    await window.page.locator("strong", has_text="miramare-srv").wait_for()


async def test_an_open_page_does_not_keep_its_session_alive_and_ends_with_it(world: World, open_window: Opened) -> None:
    window = await open_window(await maria(world))
    async with window.page.expect_request_finished(lambda one: one.resource_type == "fetch"):
        await window.open("/")  # and it has read itself once more, as it does when its stream opens
    async with world.sessions.begin() as db:
        await db.execute(update(UserSession).values(ended_at=world.clock()))
    await world.key("Studio Bassi")  # something changes, and the stream looks who is there
    await window.page.get_by_role("button", name="Paused: resume").wait_for()
    assert "signed out" in await window.page.locator(".live [role=status]").inner_text()
    assert not await window.says("Studio Bassi")


async def test_a_stream_holds_no_connection_and_is_not_there_for_strangers(
    world: World, app: FastAPI, door: Door
) -> None:
    door.app = app
    theirs = await world.running((1, 0, 0), "Altrove", await world.another_msp("Altra"))
    cookies = {COOKIE: await secret_of(world, await maria(world))}
    pool = app.state.service.sessions.kw["bind"].sync_engine.pool
    async with httpx.AsyncClient(base_url=door.url, cookies=cookies) as client:
        assert (await client.get(f"/live/{show('site', theirs.site_id)}")).status_code == 404
        async with client.stream("GET", "/live/fleet") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            assert await anext(lines) == "event: changed"  # it looks now: the page reads itself, and has missed nothing
            assert pool.checkedout() == 0
            assert len(app.state.live._watches) == 1
    async with httpx.AsyncClient(base_url=door.url) as nobody:
        assert (await nobody.get("/live/fleet")).status_code == 303


async def test_a_change_that_comes_while_a_stream_is_busy_is_told_when_it_waits_again() -> None:
    changed = asyncio.Event()

    async def look() -> str:
        if watch.looked.is_set():
            changed.set()
        return "otherwise" if changed.is_set() else "at first"

    watch = Watch(look)
    await watch.looked.wait()
    seen = watch.turn
    await changed.wait()
    assert await watch.next_turn(seen, 5) == seen + 1
    watch.end()


def test_a_watch_looks_less_often_the_longer_it_takes_and_yet_within_ten_seconds() -> None:
    assert pause_after(0.01) < pause_after(0.2) < pause_after(60) < 10
