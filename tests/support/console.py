"""The console as a person has it: signed in, in a language, with a browser or with bare HTTP."""

import hashlib
import html
import re
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from license_api.console.route import TOKEN_FIELD
from services.partners import VENDOR_ID, PartnerKind, Role, User
from tests.support.people import person, session_of
from tests.support.world import World

COOKIE = "tidemark_session"


@dataclass
class Pages:
    """Bare HTTP with a person's session: what a browser without script sends."""

    client: httpx.AsyncClient
    secret: str
    user: User | None = None

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form as the page would, with its token."""
        return await self.client.post(path, data={TOKEN_FIELD: token_of(self.secret), **fields})


def token_of(secret: str) -> str:
    """The token that the forms of a session carry."""
    return hashlib.sha256(b"form " + secret.encode()).hexdigest()


async def secret_of(world: World, user: User) -> str:
    """The secret of a new session of a person."""
    return (await session_of(world, user))["Authorization"].removeprefix("Bearer ")


async def pages_of(app: FastAPI, world: World, user: User, language: str = "en") -> Pages:
    """Bare HTTP as a person; its language is what pages are in."""
    async with world.sessions.begin() as db:
        (await db.get_one(User, user.id)).language = language
    secret = await secret_of(world, user)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 1))
    client = httpx.AsyncClient(transport=transport, base_url="http://tidemark.test", cookies={COOKIE: secret})
    return Pages(client, secret, user)


async def somebody(
    app: FastAPI, world: World, kind: PartnerKind = PartnerKind.MSP, role: Role = Role.ADMIN, language: str = "en"
) -> Pages:
    """Bare HTTP as a new person of the world's own partner of a kind."""
    own = {PartnerKind.MSP: world.msp.id, PartnerKind.DISTRIBUTOR: world.distributor.id, PartnerKind.VENDOR: VENDOR_ID}
    return await pages_of(app, world, await person(world, kind, own[kind], role), language)


def text_of(answer: httpx.Response) -> str:
    """What a page says, without its tags."""
    bare = re.sub(r"<(script|style|svg)[^>]*>.*?</\1>", " ", answer.text, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())
