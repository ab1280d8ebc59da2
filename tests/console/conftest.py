"""What tests of the console stand on: one uvicorn and one Chromium for the whole session."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from fastapi import FastAPI
from playwright.async_api import Browser, async_playwright

from services.partners import User
from tests.support.browser import ARGUMENTS, CHROMIUM, Door, Window, opened_door, window
from tests.support.console import Pages, somebody
from tests.support.world import World

Opened = Callable[..., Awaitable[Window]]
Somebody = Callable[..., Awaitable[Pages]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: install Debian's package chromium")
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield made
        await made.close()


@pytest.fixture(scope="session")
async def door() -> AsyncIterator[Door]:
    async with opened_door() as made:
        yield made


@pytest.fixture
async def open_window(browser: Browser, door: Door, app: FastAPI, world: World) -> AsyncIterator[Opened]:
    """Opens a window of a person (None: of nobody); see `tests.support.browser.window`."""
    opened: list[Window] = []
    door.app = app

    async def open_one(user: User | None = None, **how: object) -> Window:
        one = await window(browser, door, world, user, **how)  # type: ignore[arg-type]
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        await one.context.close()


@pytest.fixture
async def as_somebody(app: FastAPI, world: World) -> AsyncIterator[Somebody]:
    """Signs somebody in with bare HTTP; see `tests.support.console.somebody`."""
    made: list[Pages] = []

    async def sign_in(*who: object, **how: object) -> Pages:
        pages = await somebody(app, world, *who, **how)  # type: ignore[arg-type]
        made.append(pages)
        return pages

    yield sign_in
    for pages in made:
        await pages.client.aclose()
