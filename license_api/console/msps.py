"""MSPs: the roll, one's page with its data, and what is done to it: suspend, resume, move, close, a new admin."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import StringConstraints
from starlette.responses import Response

from license_api.console.asking import Ask, Reason, ask, do
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import PRINTABLE, Email, Language, Message
from license_api.v1.msps import MspChange
from license_api.v1.pages import cursor, named
from services import ids, partners, sites, usage
from services.errors import Absent
from services.partners import Enrolled, PartnerKind, Right, Standing

router = APIRouter(prefix="/msps", route_class=PageRoute)
_ROWS, _HERE = 50, "/msps"
_ABOVE = (PartnerKind.VENDOR, PartnerKind.DISTRIBUTOR)
_Note = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=PRINTABLE)]


class Move(Message):
    """Where to."""

    distributor_id: str


class Replacement(Message):
    """Who becomes admin of an MSP that lost its own, and why."""

    email: Email
    language: Language
    reason: _Note


@router.get("")
async def list_msps(
    visit: SignedIn, q: str = "", standing: str = "", distributor: str = "", after: str | None = None
) -> Response:
    """A distributor's own, or all."""
    visit.require(Right.PARTNERS_READ)
    visit.principal.one_of(*_ABOVE)
    rows = await partners.roll(
        visit.db,
        visit.principal,
        visit.now,
        after=cursor("msp", after or None),
        limit=_ROWS,
        text=q.replace("\x00", "")[:200] or None,
        standing=Standing(standing) if standing in set(Standing) else None,
        distributor_id=ids.read("distributor", distributor) if distributor else None,
    )
    last = ids.show("msp", rows[-1].msp.id) if len(rows) == _ROWS else None
    above = await partners.distributors(visit.db, visit.principal, after=None, limit=500)
    asked = {"q": q, "standing": standing, "distributor": distributor}
    return visit.page("partners/msps.html", rows=rows, asked=asked, after=after, last=last, distributors=above)


@router.get("/own")
async def own(visit: SignedIn) -> Response:
    """An MSP's own page."""
    return visit.go(f"{_HERE}/{ids.show('msp', visit.principal.msp_id)}")


@router.get("/{msp_id}")
async def show_msp(msp_id: str, visit: SignedIn) -> Response:
    """One, with its data."""
    visit.require(Right.PARTNERS_READ)
    return await _page(visit, await _one(visit, msp_id))


@router.post("/{msp_id}")
async def change_msp(msp_id: str, visit: SignedIn) -> Response:
    """Change what is one's own to change; an empty field takes away what was there."""
    visit.require(Right.PARTNERS_WRITE)
    one, wanted = await _one(visit, msp_id), visit.form.read(MspChange)
    if wanted is not None:
        msp = await partners.one_msp(visit.db, visit.principal, one.msp.id, lock=True)
        sent = {name: getattr(wanted, name) for name in _allowed(visit) if visit.form.has(name)}
        values = {name: value for name, value in sent.items() if value != getattr(msp, name)}
        if values:
            await visit.attempt(partners.change_msp(visit.db, visit.principal, msp, values, visit.now))
        if visit.form.right:
            return visit.go(f"{_HERE}/{msp_id}", N_("The change is made."))
    # Read again: what a refused change had touched is expired.
    return await _page(visit, await _one(visit, msp_id))


@router.get("/{msp_id}/suspend")
async def ask_suspension(msp_id: str, visit: SignedIn) -> Response:
    """Say what it stops."""
    _above(visit, Right.KEYS_WRITE)
    return ask(visit, _suspension(await _one(visit, msp_id)))


@router.post("/{msp_id}/suspend")
async def suspend(msp_id: str, visit: SignedIn) -> Response:
    """All its keys at once, and those it gets later."""
    _above(visit, Right.KEYS_WRITE)
    one, why = await _one(visit, msp_id), visit.form.read(Reason)
    if why is None:
        return ask(visit, _suspension(one))
    act = sites.suspend_msp(visit.db, visit.principal, one.msp.id, reason=why.reason, now=visit.now)
    return await do(visit, _suspension(one), Right.KEYS_WRITE, act, N_("The MSP is suspended with all its keys."))


@router.get("/{msp_id}/resume")
async def ask_resumption(msp_id: str, visit: SignedIn) -> Response:
    """Say what stays suspended."""
    _above(visit, Right.KEYS_WRITE)
    return ask(visit, _resumption(await _one(visit, msp_id)))


@router.post("/{msp_id}/resume")
async def resume(msp_id: str, visit: SignedIn) -> Response:
    """Take the suspension back."""
    _above(visit, Right.KEYS_WRITE)
    one = await _one(visit, msp_id)
    said = N_("The MSP is no longer suspended.")
    act = sites.resume_msp(visit.db, visit.principal, one.msp.id, now=visit.now)
    return await do(visit, _resumption(one), Right.KEYS_WRITE, act, said)


@router.get("/{msp_id}/close")
async def ask_closing(msp_id: str, visit: SignedIn) -> Response:
    """Say that it is for good."""
    _vendor(visit)
    return ask(visit, _closing(await _one(visit, msp_id)))


@router.post("/{msp_id}/close")
async def close(msp_id: str, visit: SignedIn) -> Response:
    """It makes no more keys, and none of its keys activates."""
    _vendor(visit)
    one, why = await _one(visit, msp_id), visit.form.read(Reason)
    if why is None:
        return ask(visit, _closing(one))
    act = partners.close_msp(visit.db, visit.principal, one.msp.id, reason=why.reason, now=visit.now)
    return await do(visit, _closing(one), Right.PEOPLE_ADMIN, act, N_("The MSP is closed."))


@router.get("/{msp_id}/move")
async def ask_move(msp_id: str, visit: SignedIn) -> Response:
    """Ask where to."""
    _vendor(visit)
    return await _move_page(visit, await _one(visit, msp_id))


@router.post("/{msp_id}/move")
async def move(msp_id: str, visit: SignedIn) -> Response:
    """To another distributor, at the end of the present period."""
    _vendor(visit)
    one, wanted = await _one(visit, msp_id), visit.form.read(Move)
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        at = usage.period_at(await partners.zones_of(visit.db, one.distributor_id), visit.now).ends_at
        to = named("distributor", wanted.distributor_id)
        moving = partners.move_msp(visit.db, visit.principal, one.msp.id, distributor_id=to, at=at, now=visit.now)
        await visit.attempt(moving)
        if visit.form.right:
            return visit.go(f"{_HERE}/{msp_id}", N_("The move is planned."))
    return await _move_page(visit, one)


@router.get("/{msp_id}/replacement")
async def ask_replacement(msp_id: str, visit: SignedIn) -> Response:
    """Ask whom."""
    _vendor(visit)
    return visit.page("partners/replacement.html", one=await _one(visit, msp_id))


@router.post("/{msp_id}/replacement")
async def replace_admin(msp_id: str, visit: SignedIn) -> Response:
    """Its people are told by letter, and have a day to object."""
    _vendor(visit)
    one, wanted = await _one(visit, msp_id), visit.form.read(Replacement)
    if wanted is not None and await visit.confirmed(Right.PEOPLE_ADMIN):
        asking = partners.request_replacement(
            visit.db,
            visit.principal,
            one.msp.id,
            email=wanted.email,
            language=wanted.language,
            reason=wanted.reason,
            now=visit.now,
        )
        await visit.attempt(asking)
        if visit.form.right:
            return visit.go(f"{_HERE}/{msp_id}", N_("Announced: the invitation goes out in 24 hours."))
    return visit.page("partners/replacement.html", one=one)


@router.get("/{msp_id}/replacements/{replacement_id}/withdraw")
async def ask_withdrawal(msp_id: str, replacement_id: str, visit: SignedIn) -> Response:
    """Say that all stays as it is."""
    _vendor(visit)
    named("replacement", replacement_id)
    return ask(visit, _withdrawal(await _one(visit, msp_id)))


@router.post("/{msp_id}/replacements/{replacement_id}/withdraw")
async def withdraw_replacement(msp_id: str, replacement_id: str, visit: SignedIn) -> Response:
    """As long as it has not happened."""
    _vendor(visit)
    one, wanted = await _one(visit, msp_id), named("replacement", replacement_id)
    act = partners.withdraw_replacement(visit.db, visit.principal, one.msp.id, wanted, visit.now)
    return await do(visit, _withdrawal(one), Right.PEOPLE_ADMIN, act, N_("The new admin is called off."))


def _above(visit: Signed, right: Right) -> None:
    visit.require(right)
    visit.principal.one_of(*_ABOVE)


def _vendor(visit: Signed) -> None:
    visit.require(Right.PEOPLE_ADMIN)
    visit.principal.one_of(PartnerKind.VENDOR)


def _allowed(visit: Signed) -> list[str]:
    return sorted(partners.may_change(visit.principal.kind))


async def _one(visit: Signed, msp_id: str) -> Enrolled:
    wanted = named("msp", msp_id)
    rows = await partners.roll(visit.db, visit.principal, visit.now, after=None, limit=1, msp_id=wanted)
    if not rows:
        raise Absent
    return rows[0]


async def _page(visit: Signed, one: Enrolled) -> Response:
    replacements = await partners.replacements_of(visit.db, one.msp.id) if visit.may(Right.PEOPLE_READ) else []
    allowed = _allowed(visit) if visit.may(Right.PARTNERS_WRITE) else []
    return visit.page("partners/msp.html", one=one, msp=one.msp, allowed=allowed, replacements=replacements)


async def _move_page(visit: Signed, one: Enrolled) -> Response:
    rows = await partners.distributors(visit.db, visit.principal, after=None, limit=500)
    return visit.page(
        "partners/move.html",
        one=one,
        distributors=[row for row in rows if row.id != one.distributor_id and row.closed_at is None],
    )


def _asked(one: Enrolled, title: str, label: str, reason: str, *consequences: str) -> Ask:
    back = f"{_HERE}/{ids.show('msp', one.msp.id)}"
    return Ask(title, label, back, one.msp.name, consequences, reason)


def _suspension(one: Enrolled) -> Ask:
    return _asked(
        one,
        N_("Suspend the MSP"),
        N_("Suspend"),
        N_("Its sites are told."),
        N_("All its keys are suspended, and those it gets later: no new agents."),
        N_("Backups go on until the leases in hand end. Restores never stop."),
        N_("It can be resumed at any time; keys that were suspended of themselves stay so."),
    )


def _resumption(one: Enrolled) -> Ask:
    return _asked(
        one,
        N_("Resume the MSP"),
        N_("Resume"),
        "",
        N_("Its keys allow agents again; keys that were suspended of themselves stay so."),
    )


def _closing(one: Enrolled) -> Ask:
    return _asked(
        one,
        N_("Close the MSP"),
        N_("Close for good"),
        N_("It goes into the audit log."),
        N_("It makes no more keys, and none of its keys activates."),
        N_("Its reports stay readable. This cannot be taken back."),
    )


def _withdrawal(one: Enrolled) -> Ask:
    return _asked(
        one, N_("Call the new admin off"), N_("Call off"), "", N_("Nobody is invited, and the people of the MSP stay.")
    )
