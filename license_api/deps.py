"""What routes are handed: the transaction of the request, the instant, and who calls.

All are `async`, also what waits for nothing: FastAPI sends every other function to a thread and back.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from license_api.addresses import Network, client_address
from license_api.attempts import Attempts
from license_api.problems import request_id_of
from license_api.shared_commits import SharedCommits
from services import partners, sites
from services.clock import Clock
from services.db import Sessions
from services.errors import Invalid, TooManyAttempts, TooManyRequests, Unauthenticated
from services.partners import Origin, Principal, RightMissing, TotpRequired
from services.sites import Bearer, Desk

_api_token = HTTPBearer(
    auto_error=False,
    scheme_name="apiToken",
    description="A token of a partner's program, or a person's session: `Authorization: Bearer tdm_…` or `tds_…`.",
)
_site_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="installation",
    description="An installation: `Authorization: Bearer <site_id>.<installation_id>.<secret>`.",
)


@dataclass(frozen=True, slots=True)
class Service:
    """The things with a life that the app made at its start."""

    sessions: Sessions
    clock: Clock
    desk: Desk
    heartbeats: SharedCommits
    attempts: Attempts
    trusted_proxies: Sequence[Network] = ()
    private_webhooks: bool = False
    public_url: str = ""


async def service(request: Request) -> Service:
    """Give what the app made at its start."""
    made: Service = request.app.state.service
    return made


TheService = Annotated[Service, Depends(service)]


async def transaction(made: TheService) -> AsyncIterator[AsyncSession]:
    """Open the transaction of a request, and commit it before the answer goes out."""
    async with made.sessions.begin() as db:
        yield db


# Without scope="function" FastAPI would commit after the answer has gone.
Db = Annotated[AsyncSession, Depends(transaction, scope="function")]


async def present(made: TheService) -> datetime:
    """Ask the time, once a request."""
    return made.clock()


Now = Annotated[datetime, Depends(present)]


async def origin(request: Request, made: TheService) -> Origin:
    """Tell where the request comes from."""
    return Origin(client_address(request, made.trusted_proxies), request_id_of(request.scope))


From = Annotated[Origin, Depends(origin)]


async def caller(
    request: Request,
    db: Db,
    now: Now,
    made: TheService,
    come_from: From,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_api_token)],
) -> Principal:
    """Tell who calls, count the request, and put the transaction under row-level security for it."""
    if given is None:
        raise Unauthenticated
    reading = partners.principal_of_session if given.credentials.startswith("tds_") else partners.principal_of
    try:
        principal = await reading(db, given.credentials, now, come_from)
    except Unauthenticated:
        await made.attempts.wrong_token(come_from.address)
        raise
    window = await made.attempts.request(str(principal.credential_id))
    request.scope["state"]["headers"] = window.headers
    await partners.guard(db, principal)
    return principal


Caller = Annotated[Principal, Depends(caller, scope="function")]
# What every operation of a caller may be refused with.
CALLER_REFUSALS = (Invalid, Unauthenticated, RightMissing, TotpRequired, TooManyAttempts, TooManyRequests)


async def public(request: Request, made: TheService, come_from: From) -> None:
    """Count a request that anybody may make, by network."""
    window = await made.attempts.public(come_from.address)
    request.scope["state"]["headers"] = window.headers


Public = Depends(public)


async def site_bearer(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_site_bearer)]) -> Bearer:
    """Tell which installation calls; whether its secret is right is found with its line."""
    if given is None:
        raise Unauthenticated
    return sites.read_bearer(given.credentials)


SiteBearer = Annotated[Bearer, Depends(site_bearer)]
