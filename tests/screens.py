"""`make screens`: a picture of every page that a person of each kind can reach, of the sample that `tidemark up` shows.

They go to `screens/` for somebody to look at; three of them, as wide as README shows them, to `docs/pictures/`.
"""

import asyncio
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from playwright.async_api import Browser, Error, Page, async_playwright

from ops.ground import lay_ground
from ops.sample import Sample, make_sample
from ops.sample.customers import ADRIATICA, ITALY
from ops.sample.people import VENDOR
from ops.stack import start_stack
from services import partners
from services.clock import system_clock
from services.db import make_engine, make_sessions
from services.partners import Origin, User
from services.settings import Settings
from tests.support.browser import ARGUMENTS, CHROMIUM, NARROW, WIDE
from tests.support.console import COOKIE

ROOT = Path(__file__).parents[1]
SCREENS, PICTURES = ROOT / "screens", ROOT / "docs" / "pictures"
# What of README's pictures shows what: the first page of the MSP that has such an address.
IN_README = {"needs-you": r"/", "site": r"/sites/site_\w+", "report": r"/reports/report_\w+"}
PARTNERS = {"msp": ADRIATICA, "distributor": ITALY, "vendor": VENDOR}
_PAGES_MAX = 120
Look = tuple[str, int]
"""Language and width."""
_ID = re.compile(r"([a-z]+(?:_[a-z]+)*)_[0-9a-z]{26}")


async def secrets_of(settings: Settings, sample: Sample) -> dict[str, str | None]:
    """A session of an admin of each kind of partner, and none of a visitor."""
    engine, now = make_engine(settings.database_url), system_clock()
    found: dict[str, str | None] = {"visitor": None}
    async with make_sessions(engine).begin() as db:
        for kind, partner in PARTNERS.items():
            user = await db.get_one(User, sample.staff.of(partner).person())
            found[kind] = (await partners.begin_session(db, user, origin=Origin(), program="screens", now=now)).secret
    await engine.dispose()
    return found


async def speak(settings: Settings, sample: Sample, language: str) -> None:
    """Have pages written in a language."""
    engine = make_engine(settings.database_url)
    async with make_sessions(engine).begin() as db:
        for partner in PARTNERS.values():
            (await db.get_one(User, sample.staff.of(partner).person())).language = language
    await engine.dispose()


async def page_of(browser: Browser, url: str, secret: str | None, look: Look, height: int = 800) -> Page:
    """A window as a look has it: the narrow one is dark."""
    language, width = look
    context = await browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if width == NARROW else "light",
        locale=language,
    )
    if secret is not None:
        await context.add_cookies([{"name": COOKIE, "value": secret, "url": url, "httpOnly": True}])
    return await context.new_page()


async def walk(page: Page) -> list[str]:
    """Follow every link from the first page; of pages that differ in their ids alone, one."""
    seen, waiting, found = {"/"}, ["/"], list[str]()
    while waiting and len(found) < _PAGES_MAX:
        path = waiting.pop(0)
        try:
            answer = await page.goto(path)
        except Error:  # a download
            continue
        if answer is None or "text/html" not in answer.headers.get("content-type", ""):
            continue
        found.append(path)
        for link in links(await page.content()):
            if shape(link) not in seen:
                seen.add(shape(link))
                waiting.append(link)
    return found


def links(text: str) -> Iterator[str]:
    """The links of a page that lead to another page of the console, without downloads."""
    for link in re.findall(r'<a [^>]*href="(/[^"#?]*)[^"]*"', text):
        if not link.startswith(("/static/", "/v1/")) and "/files/" not in link:
            yield link


def shape(path: str) -> str:
    """An address without its ids."""
    return _ID.sub(r"\1", path)


async def take(browser: Browser, url: str, kind: str, secret: str | None, look: Look) -> list[str]:
    """Take the pictures of all that one kind reaches, and say which pages are wider than their window."""
    page, width = await page_of(browser, url, secret, look), look[1]
    paths = await walk(page)
    for path in paths:
        await page.goto(path)
        name = shape(path).strip("/").replace("/", "-") or "first-page"
        await page.screenshot(path=SCREENS / f"{kind}-{name}-{width}.png", full_page=True)
        wider = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if wider > 0:
            print(f"{kind} {path} at {width}: {wider} px wider than the window")
    return paths


async def picture_readme(page: Page, paths: list[str]) -> None:
    """Take README's three."""
    for name, address in IN_README.items():
        path = next((one for one in paths if re.fullmatch(address, one)), None)
        if path is not None:
            await page.goto(path)
            await page.screenshot(path=PICTURES / f"{name}.png")


def make_screens() -> None:
    """Lay the ground, make the sample, and take the pictures."""
    for folder in (SCREENS, PICTURES):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, lay_ground() as ground:
        folder = Path(name)
        (folder / "stations").mkdir()
        settings = ground.settings.model_copy(update={"mail_folder": str(folder / "mail")})
        sample = asyncio.run(make_sample(settings, folder / "stations"))
        with start_stack(replace(ground, settings=settings)) as stack:
            asyncio.run(take_all(settings, sample, stack.url))


async def take_all(settings: Settings, sample: Sample, url: str) -> None:
    """Take everybody's pictures, in both languages and widths."""
    secrets = await secrets_of(settings, sample)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for look in (("it", WIDE), ("en", NARROW)):
            await speak(settings, sample, language := look[0])
            for kind, secret in secrets.items():
                paths = await take(browser, url, kind, secret, look)
                if kind == "msp" and language == "en":
                    await picture_readme(await page_of(browser, url, secret, (language, WIDE), 820), paths)
        await browser.close()


if __name__ == "__main__":
    make_screens()
