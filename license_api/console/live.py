"""Live changes: an open page is told that something of what it shows has changed, and reads itself again.

Only that it changed goes over the stream, so nothing is said there that the page itself would not show. One watch of a
partner (or of one of its sites) serves all windows that are open on it: a short look at the database every few seconds,
less often the longer it takes, yet always within seconds. A stream holds no connection to the database, and ends with
its session.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from license_api.console import answers, cookies
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.deps import Service
from license_api.v1.pages import named
from services import delivery, ids, keys, partners, sites
from services.errors import Unauthenticated
from services.partners import Principal, Right

router = APIRouter(route_class=PageRoute)
_EVERY_SECONDS, _SHARE, _SELDOM_SECONDS = 2.0, 20, 8.0
_PING_SECONDS, _LIFE_SECONDS = 10.0, 240.0
_STREAMS_MAX = 12
_LATELY = timedelta(hours=24)
_Look = Callable[[], Awaitable[str]]
_Subject = tuple[UUID, UUID | None]


def pause_after(seconds: float) -> float:
    """Give how long to pause after a look that took so many seconds."""
    return min(max(_EVERY_SECONDS, _SHARE * seconds), _SELDOM_SECONDS)


class Watch:
    """Looks again and again for as long as somebody waits for a change."""

    def __init__(self, look: _Look) -> None:
        """Begin to look; `look` says in a few characters how things stand."""
        self.windows = 0
        self.turn = 0
        self.looked = asyncio.Event()
        self._turned = asyncio.Event()
        self._task = asyncio.create_task(self._go_on(look))

    async def next_turn(self, seen: int, seconds: float) -> int:
        """Wait for a change after the turn that was seen last, so many seconds at most; gives the turn of now."""
        if self.turn == seen:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turned.wait(), seconds)
        return self.turn

    def wake(self) -> None:
        """Let nobody wait any longer, though nothing has changed."""
        self.looked.set()
        self._turned.set()

    def end(self) -> None:
        """Look no more."""
        self._task.cancel()

    async def _go_on(self, look: _Look) -> None:
        loop, before = asyncio.get_running_loop(), ""
        while True:
            began = loop.time()
            try:
                stands = await look()
            except Exception:
                stands = before
            if before and stands != before:
                self.turn += 1
                self._turned.set()
                self._turned = asyncio.Event()
            before = stands
            self.looked.set()
            await asyncio.sleep(pause_after(loop.time() - began))


class Live:
    """The watches of this process, and how many streams each session has."""

    def __init__(self) -> None:
        """Begin with none."""
        self.ended = False
        self._watches: dict[_Subject, Watch] = {}
        self._streams: Counter[UUID] = Counter()

    def full(self, credential_id: UUID) -> bool:
        """Tell whether a session has as many streams as it may have, or may have none any more."""
        return self.ended or self._streams[credential_id] >= _STREAMS_MAX

    def end(self) -> None:
        """End all streams, for the process ends: their browsers come again, to another one."""
        self.ended = True
        for watch in self._watches.values():
            watch.wake()

    @contextmanager
    def watching(self, subject: _Subject, credential_id: UUID, look: _Look) -> Iterator[Watch]:
        """Take part in the watch of a subject; the last one to leave ends it."""
        watch = self._watches.get(subject)
        if watch is None:
            watch = self._watches[subject] = Watch(look)
        watch.windows += 1
        self._streams[credential_id] += 1
        try:
            yield watch
        finally:
            watch.windows -= 1
            self._streams -= Counter({credential_id: 1})
            if watch.windows == 0:
                watch.end()
                del self._watches[subject]


@router.get("/live/{of}")
async def stream(visit: SignedIn, of: str) -> Response:
    """Tell a page of changes; one too many is told to ask by itself."""
    visit.require(Right.SITES_READ)
    live: Live = visit.request.app.state.live
    if live.full(visit.principal.credential_id):
        return Response(status_code=204)
    site_id = await _site_in(visit, of)
    headers = {**answers.HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(_tell(visit, live, site_id), media_type="text/event-stream", headers=headers)


async def _tell(visit: Signed, live: Live, site_id: UUID | None) -> AsyncIterator[str]:
    """Write the stream. It lasts some minutes; then the browser comes again, and is asked who it is again."""
    principal, loop = visit.principal, asyncio.get_running_loop()
    until = loop.time() + _LIFE_SECONDS
    with live.watching((principal.partner_id, site_id), principal.credential_id, _look(visit, site_id)) as watch:
        # The page reads itself once somebody looks: what changes after that is told, and nothing falls in between.
        await watch.looked.wait()
        seen = watch.turn
        yield "retry: 2000\nevent: changed\ndata:\n\n"
        while loop.time() < until:
            turn = await watch.next_turn(seen, _PING_SECONDS)
            if live.ended:
                return
            if not await _still_there(visit):
                yield "event: ended\ndata:\n\n"
                return
            yield ":\n\n" if turn == seen else "event: changed\ndata:\n\n"
            seen = turn


def _look(visit: Signed, site_id: UUID | None) -> _Look:
    made, principal = visit.made, visit.principal

    async def look() -> str:
        now = made.clock()
        async with made.sessions.begin() as db:
            await partners.guard(db, principal)
            own = Principal(principal.partner_id, principal.credential_id, principal.kind, at=now)
            if site_id is not None:
                return await sites.site_stands(db, own, site_id, now)
            last = await delivery.latest_events(db, principal.partner_id, since=now - _LATELY, limit=1)
            return f"{await sites.fleet_stands(db, own, now)} {last[0].id if last else ''}"

    return look


async def _still_there(visit: Signed) -> bool:
    """Tell whether the session still stands, without being seen: an open page does not keep a session alive."""
    made: Service = visit.made
    try:
        async with made.sessions.begin() as db:
            secret = cookies.session_secret(visit.request) or ""
            await partners.principal_of_session(db, secret, made.clock(), seen=False)
    except Unauthenticated:
        return False
    return True


async def _site_in(visit: Signed, of: str) -> UUID | None:
    """Give the site that a page is about, by its id or its key's; None for `fleet`. Raises `Absent`."""
    if of == "fleet":
        return None
    if (key_id := ids.read("key", of)) is not None:
        return (await keys.visible_key(visit.db, visit.principal, key_id)).site_id
    return (await keys.key_of_site(visit.db, visit.principal, named("site", of))).site_id
