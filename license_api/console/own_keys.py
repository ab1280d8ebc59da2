"""Keys: the list, a new one with its code and the wait for its Site Manager, and one key with all that can be done."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.key_acts import ACTS
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.site_page import own_key_of
from license_api.console.visit import Signed, SignedIn
from license_api.v1.keys import NewKey
from license_api.v1.pages import cursor, named
from services import ids, keys, partners, sites
from services.keys import IssuedKey, Key, KeyState
from services.partners import PartnerKind, Right

router = APIRouter(prefix="/keys", route_class=PageRoute)
_ROWS, _TIMELINE = 50, 100


@router.get("")
async def list_keys(visit: SignedIn, q: str = "", state: str = "", after: str = "") -> Response:
    """A page of keys, in the order in which they were made."""
    visit.require(Right.KEYS_READ)
    asked = KeyState(state) if state in set(KeyState) else None
    text, place = q.replace("\x00", "")[:200] or None, cursor("key", after or None)
    rows = await keys.visible_keys(visit.db, visit.principal, after=place, limit=_ROWS, state=asked, text=text)
    return visit.page(
        "keys/list.html",
        rows=rows,
        msps=await _msps(visit, rows),
        q=q,
        state_asked=state,
        after=after,
        last=ids.show("key", rows[-1].id) if len(rows) == _ROWS else None,
        states=list(KeyState),
    )


@router.get("/new")
async def show_form(visit: SignedIn) -> Response:
    """Where a key is made."""
    visit.require(Right.KEYS_WRITE)
    visit.principal.one_of(PartnerKind.MSP)
    return visit.page("keys/new.html")


@router.post("")
async def create_key(visit: SignedIn) -> Response:
    """Make a key, and show its code."""
    visit.require(Right.KEYS_WRITE)
    visit.principal.one_of(PartnerKind.MSP)
    given = visit.form.read(NewKey)
    issued = await visit.attempt(_create(visit, given)) if given is not None else None
    if issued is None:
        return visit.page("keys/new.html")
    return await show_code(visit, issued.key, issued.code, N_("The key is made"))


@router.get("/{key_id}")
async def show_key(visit: SignedIn, key_id: str) -> Response:
    """One key."""
    visit.require(Right.KEYS_READ)
    key = await keys.visible_key(visit.db, visit.principal, named("key", key_id))
    own = key.msp_id == visit.principal.partner_id
    seats = await sites.seats_of(visit.db, key)
    timeline = (await keys.timeline(visit.db, key, _TIMELINE))[::-1]
    policy = await keys.policy_of_key(visit.db, key, visit.now)
    move = await sites.moves.open_move_of(visit.db, key.site_id) if own else None
    offered = [act for act in ACTS.values() if own and visit.may(act.right) and act.offered(key, move)]
    return visit.page(
        "keys/key.html",
        key=key,
        own=own,
        msp=(await _msps(visit, [key])).get(key.msp_id),
        seats=seats,
        policy=policy,
        move=move,
        acts=offered,
        timeline=timeline,
        people=await partners.names_of_actors(visit.db, visit.principal, [one.actor for one in timeline]),
    )


@router.get("/{key_id}/coming")
async def show_coming(visit: SignedIn, key_id: str) -> Response:
    """Whether the Site Manager of a key has come yet: looked at again by the page that shows its code."""
    visit.require(Right.KEYS_READ)
    key = await keys.visible_key(visit.db, visit.principal, named("key", key_id))
    return visit.page("keys/coming.html", key=key, **await coming(visit, key))


@router.post("/{key_id}/code")
async def show_code_again(visit: SignedIn, key_id: str) -> Response:
    """Show a key's code again, to an admin, who finds it in the audit log."""
    key = await own_key_of(visit, named("key", key_id), Right.KEYS_ADMIN)
    if not await visit.confirmed(Right.KEYS_ADMIN):
        return visit.page("keys/confirm.html", key=key, act=ACTS["code"])
    await visit.note("key.code_shown", key_id)
    return await show_code(visit, key, keys.code_of(visit.made.desk.vault, key), N_("The key's code"))


@router.post("/{key_id}/rotate")
async def rotate_key(visit: SignedIn, key_id: str) -> Response:
    """Give a key a new code, and show it. The form names the old one, so that sent twice it is one new code."""
    key = await own_key_of(visit, named("key", key_id), Right.KEYS_ADMIN)
    if await visit.confirmed(Right.KEYS_ADMIN):
        vault, replaces, actor = visit.made.desk.vault, visit.form.get("replaces"), visit.principal.actor
        rotated = await visit.attempt(
            sites.orders.rotate(visit.db, vault, key.site_id, replaces=replaces, actor=actor, now=visit.now)
        )
        if rotated is not None:
            await visit.note("key.rotated", key_id)
            return await show_code(visit, *rotated, N_("The new code"))
    return visit.page("keys/confirm.html", key=key, act=ACTS["rotate"])


async def show_code(visit: Signed, key: Key, code: str, title: str) -> Response:
    """Show a code, and wait for the Site Manager."""
    return visit.page("keys/code.html", key=key, code=code, heading=title, **await coming(visit, key))


async def coming(visit: Signed, key: Key) -> dict[str, Any]:
    """Give how the site of a key is doing, and the other sites on a machine of its name."""
    site = await sites.site_of(visit.db, visit.principal, key.site_id, visit.now)
    machine = (key.msp_id, site.hostname or "", key.site_id)
    same = (await sites.namesakes(visit.db, [machine]))[machine] if site.hostname else []
    return {"site": site, "same": same}


async def _create(visit: Signed, given: NewKey) -> IssuedKey:
    msp_id, db, now = visit.principal.msp_id, visit.db, visit.now
    issued = await keys.create(
        db,
        visit.made.desk.vault,
        msp_id=msp_id,
        name=given.name,
        reference=given.reference,
        actor=visit.principal.actor,
        now=now,
    )
    shown = ids.show("key", issued.key.id)
    await visit.note("key.created", shown, name=given.name)
    return issued


async def _msps(visit: Signed, rows: list[Key]) -> dict[Any, str]:
    if visit.kind == PartnerKind.MSP:
        return {}
    return await partners.names_of_msps(visit.db, visit.principal, {one.msp_id for one in rows})
