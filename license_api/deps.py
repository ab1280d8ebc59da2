"""What routes are handed: the transaction of the request, the instant, and who calls."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from license_api.attempts import Attempts
from license_api.shared_commits import SharedCommits
from services import partners, sites
from services.clock import Clock
from services.db import Sessions
from services.errors import Unauthenticated
from services.partners import Principal
from services.sites import Bearer, Desk

_api_token = HTTPBearer(
    auto_error=False,
    scheme_name="apiToken",
    description="A token of an MSP's program: `Authorization: Bearer tdm_…`.",
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


def service(request: Request) -> Service:
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


def present(made: TheService) -> datetime:
    """Ask the time, once a request."""
    return made.clock()


Now = Annotated[datetime, Depends(present)]


async def caller(
    db: Db, now: Now, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_api_token)]
) -> Principal:
    """Tell which partner's program calls."""
    if given is None:
        raise Unauthenticated
    return await partners.principal_of(db, given.credentials, now)


Caller = Annotated[Principal, Depends(caller, scope="function")]


def site_bearer(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_site_bearer)]) -> Bearer:
    """Tell which installation calls; whether its secret is right is found with its line."""
    if given is None:
        raise Unauthenticated
    return sites.read_bearer(given.credentials)


SiteBearer = Annotated[Bearer, Depends(site_bearer)]
