"""A visit: one request of a person, with what its page needs. `Visitor` is anybody; `SignedIn` is somebody."""

from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from license_api.console import answers, cookies, language
from license_api.console.form import Form
from license_api.console.language import N_
from license_api.deps import Db, From, Now, Service, TheService
from services import partners
from services.errors import Absent, Refusal, Unauthenticated, Unavailable
from services.partners import Origin, Principal, Profile, Right, TotpRequired
from services.usage import zone_info

T = TypeVar("T")
# What a form cannot mend: these go on to a page of their own.
_BEYOND_THE_FORM = (Absent, Unavailable, TotpRequired)
_UTC = "UTC"
READS_AGAIN = "tidemark-reads-again"


@dataclass
class Visit:
    """One request: its transaction, its instant, and the language and zone of its page."""

    request: Request
    db: AsyncSession
    made: Service
    now: datetime
    origin: Origin
    language: str
    form: Form
    zone: ZoneInfo = field(default_factory=lambda: zone_info(_UTC))
    # Of a person that is signed in; a page of anybody has none.
    profile: Profile | None = None
    rights: frozenset[Right] = frozenset()
    kind: str | None = None

    async def attempt(self, doing: Awaitable[T]) -> T | None:
        """Do what a form asks for; a refusal is kept in the form, and nothing of it is done. See `form.right`."""
        try:
            async with self.db.begin_nested():
                return await doing
        except Refusal as refusal:
            if isinstance(refusal, _BEYOND_THE_FORM) or type(refusal) is Unauthenticated:
                raise
            self.form.refuse(refusal)
            return None

    def page(self, template: str, **values: Any) -> Response:
        """Answer with a page; its status is that of what its form was refused with."""
        return answers.page(self, template, values)

    def go(self, path: str, said: str | None = None) -> Response:
        """Answer a change: go on to a page, which then says a text of the catalogue."""
        return answers.go(self.request, path, said)


@dataclass(kw_only=True)
class Signed(Visit):
    """A visit of a person that is signed in; its transaction is under row-level security for it."""

    principal: Principal
    profile: Profile

    def require(self, right: Right) -> None:
        """Let through who has the right; raises a refusal that says which."""
        self.principal.require(right)

    def may(self, right: str) -> bool:
        """Tell whether the person has a right, for what a page offers."""
        return right in self.rights

    async def note(self, action: str, subject: str, **after: Any) -> None:
        """Write what was done into the audit log."""
        await partners.note(self.db, self.principal, action, subject, after=after or None, now=self.now)

    async def confirmed(self, right: Right | None = None) -> bool:
        """Tell whether a grave act may go on: with a fresh sign-in, or with the password that its form brought."""
        if right is not None:
            self.principal.require(right)
        if self.principal.fresh:
            return True
        if not self.form.get("password"):
            self.form.mistake("password", N_("Please confirm with your password."))
            return False
        await self.attempt(self._confirm())
        return self.form.right

    async def _confirm(self) -> None:
        await self.made.attempts.confirm(str(self.principal.credential_id))
        await partners.confirm_session(
            self.db,
            self.made.desk.vault,
            self.principal,
            password=self.form.get("password"),
            code=self.form.get("code") or None,
            now=self.now,
        )
        self.principal = replace(self.principal, fresh=True)


async def _visitor(request: Request, db: Db, made: TheService, now: Now, come_from: From) -> Visit:
    visit = Visit(request, db, made, now, come_from, _of_browser(request), Form(request.state.form))
    request.state.visit = visit
    return visit


async def _public(request: Request, db: Db, made: TheService, now: Now, come_from: From) -> Visit:
    """Count a visit that anybody may make, by network."""
    await made.attempts.public(come_from.address)
    return await _visitor(request, db, made, now, come_from)


async def _signed(request: Request, db: Db, made: TheService, now: Now, come_from: From) -> Signed:
    """Tell who visits, count the visit, and put the transaction under row-level security for it."""
    secret = cookies.session_secret(request)
    if secret is None:
        raise Unauthenticated
    try:
        # A page that reads itself again is nobody's act: it does not keep its session alive.
        seen = request.headers.get(READS_AGAIN) is None
        principal = await partners.principal_of_session(db, secret, now, come_from, seen=seen)
    except Unauthenticated:
        await made.attempts.wrong_token(come_from.address)
        raise
    await made.attempts.request(str(principal.credential_id))
    profile = await partners.profile_of(db, principal)
    await partners.guard(db, principal)
    visit = Signed(
        request=request,
        db=db,
        made=made,
        now=now,
        origin=come_from,
        language=profile.language,
        form=Form(request.state.form),
        zone=zone_info(profile.zone),
        principal=principal,
        profile=profile,
        rights=principal.rights,
        kind=str(principal.kind),
    )
    request.state.visit = visit
    return visit


def of_request(request: Request) -> Visit | None:
    """Give the visit of a request that went wrong, if it came so far; its transaction is over."""
    return getattr(request.state, "visit", None)


def _of_browser(request: Request) -> str:
    return language.of_browser(request.headers.get("accept-language", ""))


Visitor = Annotated[Visit, Depends(_public, scope="function")]
SignedIn = Annotated[Signed, Depends(_signed, scope="function")]
