"""Webhook endpoints: where events are posted, what was delivered and what was not, tests, replays, new keys."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, StringConstraints
from starlette.responses import Response

from license_api.console.asking import Ask, ask, do
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import PRINTABLE, Email, Message
from license_api.v1.pages import cursor, named
from services import delivery, ids, partners
from services.delivery import WebhookEndpoint
from services.partners import Right

router = APIRouter(prefix="/webhooks", route_class=PageRoute)
_ROWS, _HERE = 50, "/webhooks"


def _check_kinds(words: str) -> str:
    if not set(words.split()) <= delivery.KINDS:
        raise ValueError("there is no such kind of event")
    return words


class Endpoint(Message):
    """Where to post events, and how they are signed. Kinds are words apart; none: all."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=1000)]
    description: Annotated[str, StringConstraints(max_length=200, pattern=PRINTABLE)] = ""
    kinds: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_check_kinds)] = ""
    scheme: Literal["ed25519", "hmac"] = "ed25519"
    contact: Email | None = None


@router.get("")
async def list_endpoints(visit: SignedIn) -> Response:
    """Twenty at most."""
    visit.require(Right.WEBHOOKS_READ)
    rows = await delivery.endpoints_of(visit.db, visit.principal.partner_id)
    return visit.page("webhooks/list.html", rows=rows)


@router.get("/new")
async def show_new(visit: SignedIn) -> Response:
    """Ask where."""
    visit.require(Right.WEBHOOKS_WRITE)
    return visit.page("webhooks/new.html")


@router.post("")
async def create(visit: SignedIn) -> Response:
    """Make it, and show its key."""
    visit.require(Right.WEBHOOKS_WRITE)
    wanted = visit.form.read(Endpoint)
    row = await visit.attempt(_create(visit, wanted)) if wanted is not None else None
    return _key(visit, row) if row is not None else visit.page("webhooks/new.html")


@router.get("/{endpoint_id}")
async def show_endpoint(endpoint_id: str, visit: SignedIn, after: str | None = None) -> Response:
    """One, with what was delivered."""
    visit.require(Right.WEBHOOKS_READ)
    return await _page(visit, await _own(visit, endpoint_id), after)


@router.post("/{endpoint_id}")
async def change(endpoint_id: str, visit: SignedIn) -> Response:
    """Where, what and whom to tell when it fails."""
    visit.require(Right.WEBHOOKS_WRITE)
    row, wanted = await _own(visit, endpoint_id), visit.form.read(Endpoint)
    if wanted is not None:
        await visit.attempt(_change(visit, row, wanted))
        if visit.form.right:
            return visit.go(f"{_HERE}/{endpoint_id}", N_("The change is made."))
    return await _page(visit, row, None)


@router.post("/{endpoint_id}/switch")
async def switch(endpoint_id: str, visit: SignedIn) -> Response:
    """On again, or off."""
    visit.require(Right.WEBHOOKS_WRITE)
    row = await _own(visit, endpoint_id)
    was_off = row.off_at is not None
    if was_off:
        delivery.switch_on(row)
    else:
        await delivery.switch_off(visit.db, row, "by you", visit.now)
    await _note(visit, "endpoint.changed", row, on=was_off)
    return visit.go(f"{_HERE}/{endpoint_id}", N_("It is on.") if was_off else N_("It is off."))


@router.post("/{endpoint_id}/test")
async def test(endpoint_id: str, visit: SignedIn) -> Response:
    """Send an event of the kind `test`."""
    visit.require(Right.WEBHOOKS_WRITE)
    await delivery.send_test(visit.db, await _own(visit, endpoint_id), visit.now)
    return visit.go(f"{_HERE}/{endpoint_id}", N_("A test is on its way: see the deliveries in a moment."))


@router.post("/{endpoint_id}/deliveries/{delivery_id}/replay")
async def replay(endpoint_id: str, delivery_id: str, visit: SignedIn) -> Response:
    """Deliver an event once more, under the same id."""
    visit.require(Right.WEBHOOKS_WRITE)
    row = await _own(visit, endpoint_id)
    await delivery.replay_delivery(visit.db, row, named("delivery", delivery_id), visit.now)
    return visit.go(f"{_HERE}/{endpoint_id}", N_("It is delivered once more."))


@router.get("/{endpoint_id}/rotate")
async def ask_rotation(endpoint_id: str, visit: SignedIn) -> Response:
    """Say that both sign for a day."""
    visit.require(Right.WEBHOOKS_WRITE)
    return ask(visit, _rotation(await _own(visit, endpoint_id)))


@router.post("/{endpoint_id}/rotate")
async def rotate(endpoint_id: str, visit: SignedIn) -> Response:
    """Give it a new signing key, and show it."""
    visit.require(Right.WEBHOOKS_WRITE)
    row = await _own(visit, endpoint_id)
    if not await visit.confirmed(Right.WEBHOOKS_WRITE):
        return ask(visit, _rotation(row))
    await delivery.rotate_secret(visit.db, visit.made.desk.vault, row, visit.now)
    await _note(visit, "endpoint.rotated", row)
    return _key(visit, row)


@router.get("/{endpoint_id}/remove")
async def ask_removal(endpoint_id: str, visit: SignedIn) -> Response:
    """Say what is given up."""
    visit.require(Right.WEBHOOKS_WRITE)
    return ask(visit, _removal(await _own(visit, endpoint_id)))


@router.post("/{endpoint_id}/remove")
async def remove(endpoint_id: str, visit: SignedIn) -> Response:
    """Its deliveries stay on record."""
    visit.require(Right.WEBHOOKS_WRITE)
    row = await _own(visit, endpoint_id)
    said = N_("The endpoint is removed.")
    return await do(visit, _removal(row), Right.WEBHOOKS_WRITE, _remove(visit, row), said, to=_HERE)


async def _own(visit: Signed, endpoint_id: str) -> WebhookEndpoint:
    return await delivery.endpoint_of(visit.db, visit.principal.partner_id, named("endpoint", endpoint_id))


async def _create(visit: Signed, wanted: Endpoint) -> WebhookEndpoint:
    row = await delivery.add_endpoint(
        visit.db,
        visit.made.desk.vault,
        partner_id=visit.principal.partner_id,
        url=delivery.checked_url(wanted.url, private=visit.made.private_webhooks),
        description=wanted.description,
        kinds=wanted.kinds.split(),
        scheme=wanted.scheme,
        contact=wanted.contact,
        language="en" if visit.language == "en" else "it",
        now=visit.now,
    )
    await _note(visit, "endpoint.created", row, url=row.url)
    return row


async def _change(visit: Signed, row: WebhookEndpoint, wanted: Endpoint) -> None:
    row.url = delivery.checked_url(wanted.url, private=visit.made.private_webhooks)
    row.description, row.contact, row.kinds = wanted.description, wanted.contact, sorted(set(wanted.kinds.split()))
    await _note(visit, "endpoint.changed", row, url=row.url, kinds=row.kinds)


async def _remove(visit: Signed, row: WebhookEndpoint) -> None:
    await delivery.remove_endpoint(visit.db, row, visit.now)
    await _note(visit, "endpoint.removed", row)


async def _note(visit: Signed, action: str, row: WebhookEndpoint, **after: object) -> None:
    shown = ids.show("endpoint", row.id)
    await partners.note(visit.db, visit.principal, action, shown, after=after or None, now=visit.now)


async def _page(visit: Signed, row: WebhookEndpoint, after: str | None) -> Response:
    page = cursor("delivery", after or None)
    rows = await delivery.deliveries_of(visit.db, row.id, after=page, limit=_ROWS)
    last = ids.show("delivery", rows[-1][0].id) if len(rows) == _ROWS else None
    secret = delivery.secrets_of(visit.made.desk.vault, row, visit.now)[0]
    public_key = delivery.shown_key(row.scheme, secret) if row.scheme == "ed25519" else None
    values = {"public_key": public_key, "after": after, "last": last}
    return visit.page("webhooks/endpoint.html", row=row, rows=rows, **values)


def _key(visit: Signed, row: WebhookEndpoint) -> Response:
    secret = delivery.secrets_of(visit.made.desk.vault, row, visit.now)[0]
    return visit.page("webhooks/key.html", row=row, key=delivery.shown_key(row.scheme, secret))


def _rotation(row: WebhookEndpoint) -> Ask:
    return Ask(
        title=N_("Give the endpoint a new key"),
        label=N_("Make a new key"),
        back=f"{_HERE}/{ids.show('endpoint', row.id)}",
        about=row.url,
        consequences=(N_("For a day both keys sign, so that the receiver can change over without a gap."),),
    )


def _removal(row: WebhookEndpoint) -> Ask:
    return Ask(
        title=N_("Remove the endpoint"),
        label=N_("Remove"),
        back=f"{_HERE}/{ids.show('endpoint', row.id)}",
        about=row.url,
        consequences=(N_("What waits for it is given up. What was delivered stays on record."),),
    )
