"""What can be done to a key: a plain list, each with the page that says its consequence before it is done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.site_page import own_key_of
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import Message, Name
from license_api.v1.lifecycle import Receiver, Why
from license_api.v1.pages import named
from services import ids, keys, partners, sites
from services.errors import Absent
from services.keys import Key
from services.partners import Right

router = APIRouter(prefix="/keys/{key_id}", route_class=PageRoute)
Asks = Literal["reason", "receiver", "name", ""]
_End = Literal["end", "reject"]
_Do = Callable[[Signed, Key], Awaitable[Any]]
_Offered = Callable[[Key, Any], bool]


class NewName(Message):
    """How a key is called."""

    name: Name
    reference: Name | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """Something to do to a key: what it is called, what follows, what the page asks for, and who may do it.

    `noted` is its word in the audit log, as the API's; without one, `do` notes it itself.
    """

    name: str
    title: str
    consequences: tuple[str, ...]
    done: str
    do: _Do
    offered: _Offered
    right: Right = Right.KEYS_WRITE
    grave: bool = False
    asks: Asks = ""
    noted: str = ""


@router.get("/acts/{act_name}")
async def show_act(visit: SignedIn, key_id: str, act_name: str) -> Response:
    """What would follow, and the button."""
    act = _act(act_name)
    key = await own_key_of(visit, named("key", key_id), act.right)
    return visit.page("keys/confirm.html", key=key, act=act)


@router.post("/acts/{act_name}")
async def do_act(visit: SignedIn, key_id: str, act_name: str) -> Response:
    """Do it."""
    act = _act(act_name)
    key = await own_key_of(visit, named("key", key_id), act.right)
    if not act.grave or await visit.confirmed(act.right):
        await act.do(visit, key)
        if visit.form.right and act.noted:
            asked = {name: visit.form.get(name) for name in ("reason", "to_msp") if visit.form.get(name)}
            await visit.note(act.noted, key_id, **asked)
    if not visit.form.right:
        return visit.page("keys/confirm.html", key=key, act=act)
    return visit.go(f"/keys/{key_id}", act.done)


@router.get("/standalones/{installation_id}/{what}")
async def show_seat_act(
    visit: SignedIn, key_id: str, installation_id: UUID, what: Literal["end", "reject"]
) -> Response:
    """What follows when a standalone's seat ends, or when it is rejected."""
    key = await own_key_of(visit, named("key", key_id), Right.KEYS_WRITE)
    return visit.page("keys/seat.html", key=key, seat=await _seat(visit, key, installation_id), what=what)


@router.post("/standalones/{installation_id}/{what}")
async def do_seat_act(visit: SignedIn, key_id: str, installation_id: UUID, what: _End) -> Response:
    """End a seat, or reject it."""
    key = await own_key_of(visit, named("key", key_id), Right.KEYS_WRITE)
    seat, acting = await _seat(visit, key, installation_id), sites.end_seat if what == "end" else sites.reject_seat
    await sites.standing.lock(visit.db, key.site_id)
    await visit.attempt(acting(visit.db, key, installation_id, actor=visit.principal.actor, now=visit.now))
    if not visit.form.right:
        return visit.page("keys/seat.html", key=key, seat=seat, what=what)
    await visit.note("seat.ended" if what == "end" else "seat.rejected", key_id, installation_id=str(installation_id))
    return visit.go(f"/keys/{key_id}#seats", N_("The seat has ended.") if what == "end" else N_("It is rejected."))


def _act(name: str) -> Act:
    if name not in ACTS:
        raise Absent
    return ACTS[name]


async def _seat(visit: Signed, key: Key, installation_id: UUID) -> sites.Seat:
    for seat in await sites.seats_of(visit.db, key):
        if seat.installation_id == installation_id:
            return seat
    raise Absent


def _order(order: Callable[..., Awaitable[Any]], *, reason: bool = False) -> _Do:
    """Give an order of `services.sites.orders`, with the reason that the form brings."""

    async def do(visit: Signed, key: Key) -> None:
        more: dict[str, Any] = {}
        if reason:
            given = visit.form.read(Why)
            if given is None:
                return
            more["reason"] = given.reason
        await visit.attempt(order(visit.db, key.site_id, actor=visit.principal.actor, now=visit.now, **more))

    return do


async def _rename(visit: Signed, key: Key) -> None:
    given = visit.form.read(NewName)
    if given is None:
        return
    locked = await keys.visible_key(visit.db, visit.principal, key.id, lock=True)
    before = {"name": locked.name, "reference": locked.reference}
    await visit.attempt(keys.rename(visit.db, locked, name=given.name, reference=given.reference, now=visit.now))
    if visit.form.right:
        shown, after = ids.show("key", key.id), {"name": given.name, "reference": given.reference}
        await partners.note(
            visit.db,
            visit.principal,
            "key.changed",
            shown,
            before=before,
            after=after,
            msp_id=key.msp_id,
            now=visit.now,
        )


async def _offer(visit: Signed, key: Key) -> None:
    given = visit.form.read(Receiver)
    to_msp_id = ids.read("msp", given.to_msp) if given is not None else None
    if to_msp_id is None:
        visit.form.mistake("to_msp", N_("This is not in the form that is expected."))
        return
    await partners.unguarded(visit.db)
    actor = visit.principal.actor
    await visit.attempt(sites.moves.offer(visit.db, key.site_id, to_msp_id, actor=actor, now=visit.now))


async def _credential(visit: Signed, key: Key) -> None:
    order, actor = sites.commands.Order("rotate_credential"), visit.principal.actor
    command = await visit.attempt(sites.commands.give(visit.db, key.site_id, order, actor=actor, now=visit.now))
    if command is not None:
        shown = ids.show("command", command.id)
        site = ids.show("site", key.site_id)
        await visit.note("command.created", site, kind="rotate_credential", command=shown)


async def _elsewhere(_visit: Signed, _key: Key) -> None:
    raise Absent


def _alive(key: Key, _move: Any) -> bool:
    return key.revoked_at is None


def _suspended(key: Key) -> bool:
    return key.suspended_at is not None


_RESTORE = N_("Restore never stops.")
ACTS: dict[str, Act] = {
    act.name: act
    for act in (
        Act(
            "rename",
            N_("Rename the key"),
            (N_("The reports of earlier months keep the name that it had."),),
            N_("It is renamed."),
            _rename,
            lambda _key, _move: True,
            asks="name",
        ),
        Act(
            "release",
            N_("Release the binding"),
            (
                N_("The next Site Manager that comes with this code may activate: for new hardware, or reinstalled."),
                N_("The old one goes on, and counts, until the new one has activated. Nobody pays twice."),
            ),
            N_("The binding is released: enter the same code at the new Site Manager."),
            _order(sites.orders.release),
            lambda key, _move: key.revoked_at is None and key.activated_at is not None,
            noted="key.released",
        ),
        Act(
            "suspend",
            N_("Suspend the key"),
            (
                N_("The site is told with its next heartbeat: no new agents. Backups go on until its lease ends."),
                _RESTORE,
                N_("What is deployed is still charged. You can resume the key at any time."),
            ),
            N_("The key is suspended."),
            _order(sites.orders.suspend, reason=True),
            lambda key, _move: key.revoked_at is None and not _suspended(key),
            asks="reason",
            noted="key.suspended",
        ),
        Act(
            "resume",
            N_("Resume the key"),
            (N_("The site is told with its next heartbeat, and goes on as before."),),
            N_("The key is resumed."),
            _order(sites.orders.resume),
            lambda key, _move: key.revoked_at is None and _suspended(key),
            noted="key.resumed",
        ),
        Act(
            "code",
            N_("Show the code"),
            (N_("Whoever has the code can activate on it. That it was shown to you is in the audit log."),),
            "",
            _elsewhere,
            lambda _key, _move: True,
            right=Right.KEYS_ADMIN,
            grave=True,
        ),
        Act(
            "rotate",
            N_("Give it a new code"),
            (
                N_("The old code is worth nothing from now on: for one that leaked, or to bring a revoked key back."),
                N_("The site goes on without a break, and stays the same line of the report."),
            ),
            "",
            _elsewhere,
            lambda _key, _move: True,
            right=Right.KEYS_ADMIN,
            grave=True,
        ),
        Act(
            "credential",
            N_("Change the site's credential"),
            (N_("The Site Manager makes itself a new secret, and nobody has to do anything there."),),
            N_("The site is asked with its next heartbeat."),
            _credential,
            lambda key, _move: key.revoked_at is None and key.activated_at is not None,
            right=Right.KEYS_ADMIN,
            grave=True,
        ),
        Act(
            "move",
            N_("Offer the site to another MSP"),
            (
                N_("Nothing changes until the other MSP accepts: the site is theirs from the next period on."),
                N_("You keep seeing your own time with it, and its reports."),
            ),
            N_("The site is offered."),
            _offer,
            lambda key, move: key.revoked_at is None and move is None,
            right=Right.KEYS_ADMIN,
            grave=True,
            asks="receiver",
            noted="move.offered",
        ),
        Act(
            "withdraw",
            N_("Withdraw the offer"),
            (N_("The site stays with you."),),
            N_("The offer is withdrawn."),
            _order(sites.moves.withdraw),
            lambda _key, move: move is not None and move.accepted_at is None,
            noted="move.withdrawn",
        ),
        Act(
            "revoke",
            N_("Revoke the key for good"),
            (
                N_("The site is told with its next heartbeat: no new agents and no new backups, for good."),
                _RESTORE,
                N_("It is charged until the site has been told, at the latest until its lease ends."),
            ),
            N_("The key is revoked."),
            _order(sites.orders.revoke, reason=True),
            _alive,
            right=Right.KEYS_ADMIN,
            grave=True,
            asks="reason",
            noted="key.revoked",
        ),
    )
}
