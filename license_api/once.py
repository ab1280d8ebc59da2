"""`Idempotency-Key` on requests that create: the same one again gets the same answer, and makes nothing anew."""

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from license_api.deps import Caller, Db, Now, TheService
from services import partners
from services.partners import KeptAnswer, Principal

_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="A name of your own for this request: sent again within a day, it gets the same answer.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Claim:
    db: Any
    made: Any
    caller: Principal
    key: str


class _Answered(Exception):
    """The request was answered before."""

    def __init__(self, kept: KeptAnswer) -> None:
        super().__init__()
        self.kept = kept


async def _once(request: Request, caller: Caller, db: Db, now: Now, made: TheService, key: _Key = None) -> None:
    if key is None:
        return
    asked = f"{request.method} {request.url.path}\n".encode() + await request.body()
    kept = await partners.claim_idempotency_key(db, made.desk.vault, caller, key, hashlib.sha256(asked).digest(), now)
    if kept is not None:
        raise _Answered(kept)
    request.state.claim = _Claim(db, made, caller, key)


Once = Depends(_once, scope="function")
"""Put it among the dependencies of a creating operation, on a router of `OnceRoute`."""


class OnceRoute(APIRoute):
    """A route that keeps the answer with its idempotency key, in the transaction that did the work."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler. FastAPI commits the transaction when this has returned, before the answer goes out."""
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            try:
                response = await handle(request)
            except _Answered as answered:
                headers = {"Idempotency-Replayed": "true"}
                kept = answered.kept
                return Response(kept.body, kept.status, headers, media_type="application/json")
            claim: _Claim | None = getattr(request.state, "claim", None)
            if claim is not None and response.status_code < 300:
                answer = KeptAnswer(response.status_code, bytes(response.body))
                await partners.keep_answer(claim.db, claim.made.desk.vault, claim.caller, claim.key, answer)
            return response

        return handle_once
