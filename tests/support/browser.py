"""A real Chromium on the console, served by a real uvicorn in the suite's own loop."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from axe_playwright_python.base import AXE_FILE_PATH
from fastapi import FastAPI
from playwright.async_api import Browser, BrowserContext, Page

from services.partners import User
from tests.support.console import COOKIE, secret_of
from tests.support.world import World

CHROMIUM = Path("/usr/bin/chromium")
PICTURES = Path(__file__).parents[2] / "screens"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
]
WIDE, NARROW = 1280, 360


class Look(NamedTuple):
    """How a visitor looks at the console."""

    language: str
    width: int
    script: bool


LOOKS = (
    Look("it", WIDE, script=True),
    Look("en", NARROW, script=True),
    Look("it", NARROW, script=False),
    Look("en", WIDE, script=False),
)
_AXE = Path(AXE_FILE_PATH).read_text()


class Door:
    """Serves whichever app the present test has made."""

    def __init__(self) -> None:
        self.app: FastAPI | None = None
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@asynccontextmanager
async def opened_door() -> AsyncIterator[Door]:
    """Serve on a free port of this machine."""
    door = Door()
    config = uvicorn.Config(door, port=0, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    door.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield door
    server.should_exit = True
    await serving


@dataclass
class Window:
    """A browser window of one person."""

    page: Page
    context: BrowserContext
    name: str

    async def open(self, path: str) -> None:
        await self.page.goto(path)

    async def says(self, text: str) -> bool:
        return text in await self.page.inner_text("body")

    async def picture(self, name: str) -> None:
        """Keep a picture of the whole page, for a person to look at."""
        PICTURES.mkdir(exist_ok=True)
        await self.page.screenshot(path=PICTURES / f"{name}-{self.name}.png", full_page=True)

    async def faults(self) -> list[str]:
        """What axe finds on the page, and what does not fit its width."""
        # The page's own policy lets no foreign script in; what the driver evaluates is no script of the page's.
        if not await self.page.evaluate("typeof window.axe === 'object'"):
            await self.page.evaluate(_AXE)
        found = await self.page.evaluate("axe.run({resultTypes: ['violations']})")
        faults = [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]
        wider = await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return [*faults, *([f"{wider} px wider than the window"] if wider > 0 else [])]


async def window(
    browser: Browser,
    door: Door,
    world: World,
    user: User | None,
    *,
    language: str = "en",
    width: int = WIDE,
    script: bool = True,
    dark: bool = False,
) -> Window:
    """A window of a person (None: of nobody), in a language and width, with script or without."""
    context = await browser.new_context(
        base_url=door.url,
        viewport={"width": width, "height": 800},
        java_script_enabled=script,
        locale={"it": "it-IT", "en": "en-GB"}[language],
        color_scheme="dark" if dark else "light",
    )
    context.set_default_timeout(20_000)
    if user is not None:
        async with world.sessions.begin() as db:
            (await db.get_one(User, user.id)).language = language
        secret = await secret_of(world, user)
        await context.add_cookies([{"name": COOKIE, "value": secret, "url": door.url, "httpOnly": True}])
    name = "-".join([language, str(width), *([] if script else ["bare"]), *(["dark"] if dark else [])])
    return Window(await context.new_page(), context, name)


def id_in(url: str, prefix: str) -> str:
    """The id that an address holds."""
    found = re.search(rf"{prefix}_[0-9a-z]{{26}}", url)
    assert found is not None, url
    return found.group()
