"""Webhooks: signed, in order, retried for days, switched off, replayed; and never to a private address."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import select
from standardwebhooks import Webhook

from services import delivery
from services.delivery import Carrier, Parcel, WebhookDelivery, WebhookEndpoint
from services.delivery.carrier import is_public
from services.delivery.retry import WEBHOOK_DELAYS
from services.delivery.signatures import make_secret, shown_key, signature
from services.delivery.tables import Letter
from services.errors import Invalid
from tests.support.mail import deliver_webhooks
from tests.support.world import World


class Receiver:
    """A small HTTP server that keeps what it is sent and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        self.answers: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:]) if name
        }
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        self.got.append((headers, body))
        answer = self.answers.pop(0) if self.answers else "200 OK"
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    def kinds(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    made = Carrier(private=True)
    yield made
    await made.close()


async def endpoint(world: World, url: str, *, scheme: Any = "ed25519", kinds: tuple[str, ...] = ()) -> WebhookEndpoint:
    async with world.sessions.begin() as db:
        return await delivery.add_endpoint(
            db,
            world.desk.vault,
            partner_id=world.msp.id,
            url=url,
            description="",
            kinds=kinds,
            scheme=scheme,
            contact="ops@adriatica.example",
            language="it",
            now=world.clock(),
        )


async def happen(world: World, *kinds: Any) -> None:
    async with world.sessions.begin() as db:
        for kind in kinds:
            delivery.emit(db, partner_id=world.msp.id, kind=kind, subject={"key": "key_1"}, now=world.clock())
            await db.flush()


async def deliveries(world: World) -> list[WebhookDelivery]:
    async with world.sessions() as db:
        return list(await db.scalars(select(WebhookDelivery).order_by(WebhookDelivery.id)))


async def endpoint_now(world: World, made: WebhookEndpoint) -> WebhookEndpoint:
    async with world.sessions() as db:
        return await db.get_one(WebhookEndpoint, made.id)


def verified(public_key: str, headers: dict[str, str], body: str) -> bool:
    """Verify as a receiver would: one of the ed25519 signatures is the endpoint's."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    for one in headers["webhook-signature"].split():
        version, _, value = one.partition(",")
        try:
            if version == "v1a":
                key.verify(base64.b64decode(value), signed)
                return True
        except InvalidSignature:
            continue
    return False


async def test_an_event_is_told_to_those_who_want_its_kind_signed_with_their_key(
    world: World, receiver: Receiver, carrier: Carrier
) -> None:
    made = await endpoint(world, receiver.url, kinds=("key.disabled",))
    await happen(world, "key.disabled", "key.enabled")
    await deliver_webhooks(world, carrier)
    assert receiver.kinds() == ["key.disabled"]
    headers, body = receiver.got[0]
    [secret] = delivery.secrets_of(world.desk.vault, made, world.clock())
    assert verified(shown_key("ed25519", secret), headers, body)
    assert not verified(shown_key("ed25519", make_secret()), headers, body)
    assert json.loads(body)["data"] == {"key": "key_1"}


def test_an_hmac_signature_is_verified_by_the_public_library() -> None:
    now, secret = datetime.now(UTC), make_secret()  # noqa: TID251 - the library asks the machine's clock
    headers = {
        "webhook-id": "event_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature("hmac", secret, "event_1", now, "{}"),
    }
    assert Webhook(shown_key("hmac", secret)).verify("{}", headers) == {}
    with pytest.raises(Exception, match="signature"):
        Webhook(shown_key("hmac", make_secret())).verify("{}", headers)


async def test_events_come_in_order_and_wait_for_the_one_before(
    world: World, receiver: Receiver, carrier: Carrier
) -> None:
    await endpoint(world, receiver.url)
    receiver.answers = ["500 no"]
    await happen(world, "one.a", "two.a", "three.a")
    await deliver_webhooks(world, carrier)
    assert receiver.kinds() == ["one.a"]
    world.clock.advance(seconds=WEBHOOK_DELAYS[0].total_seconds())
    await deliver_webhooks(world, carrier)
    assert receiver.kinds() == ["one.a", "one.a", "two.a", "three.a"]
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


async def test_one_that_is_stuck_lets_the_others_pass_in_the_end(
    world: World, receiver: Receiver, carrier: Carrier
) -> None:
    await endpoint(world, receiver.url)
    receiver.answers = ["500 no"] * 4
    await happen(world, "stuck.a", "next.a")
    for delay in WEBHOOK_DELAYS[:4]:
        await deliver_webhooks(world, carrier)
        world.clock.advance(seconds=delay.total_seconds())
    assert receiver.kinds()[:5] == ["stuck.a"] * 4 + ["next.a"]


async def test_410_ends_it_with_a_letter(world: World, receiver: Receiver, carrier: Carrier) -> None:
    made = await endpoint(world, receiver.url)
    receiver.answers = ["410 Gone"]
    await happen(world, "one.a", "two.a")
    await deliver_webhooks(world, carrier)
    world.clock.advance(days=4)
    await deliver_webhooks(world, carrier)
    assert receiver.kinds() == ["one.a"]
    assert (await endpoint_now(world, made)).off_reason == "gone"
    async with world.sessions() as db:
        [letter] = await db.scalars(select(Letter))
    assert (letter.kind, letter.recipient) == ("webhook_off", "ops@adriatica.example")


async def test_an_endpoint_that_refuses_connections_for_three_days_is_switched_off_with_a_letter(
    world: World, carrier: Carrier
) -> None:
    made = await endpoint(world, "http://127.0.0.1:1/hook")
    await happen(world, "one.a")
    for delay in (*WEBHOOK_DELAYS, timedelta()):
        await deliver_webhooks(world, carrier)
        world.clock.advance(seconds=delay.total_seconds())
    [one] = await deliveries(world)
    assert one.gave_up_at is not None
    assert (await endpoint_now(world, made)).off_reason == "failing"
    async with world.sessions() as db:
        [(_, attempts)] = await delivery.deliveries_of(db, made.id, after=None, limit=10)
        assert len(attempts) == len(WEBHOOK_DELAYS) + 1
        assert all("ConnectError" in (attempt.failure or "") for attempt in attempts)
        assert [letter.kind for letter in await db.scalars(select(Letter))] == ["webhook_off"]


async def test_a_delivery_is_replayed_under_its_id(world: World, receiver: Receiver, carrier: Carrier) -> None:
    made = await endpoint(world, receiver.url)
    await happen(world, "one.a")
    await deliver_webhooks(world, carrier)
    [first] = await deliveries(world)
    async with world.sessions.begin() as db:
        row = await delivery.endpoint_of(db, world.msp.id, made.id)
        await delivery.replay_delivery(db, row, first.id, world.clock())
    await deliver_webhooks(world, carrier)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [receiver.got[0][0]["webhook-id"]] * 2


async def test_for_a_day_after_a_rotation_both_keys_sign(world: World, receiver: Receiver, carrier: Carrier) -> None:
    made = await endpoint(world, receiver.url)
    [old] = delivery.secrets_of(world.desk.vault, made, world.clock())
    async with world.sessions.begin() as db:
        row = await delivery.endpoint_of(db, world.msp.id, made.id)
        await delivery.rotate_secret(db, world.desk.vault, row, world.clock())
    await happen(world, "one.a")
    await deliver_webhooks(world, carrier)
    world.clock.advance(hours=24)
    await happen(world, "two.a")
    await deliver_webhooks(world, carrier)
    assert [verified(shown_key("ed25519", old), *got) for got in receiver.got] == [True, False]


async def test_a_redirect_is_not_followed(world: World, receiver: Receiver, carrier: Carrier) -> None:
    receiver.answers = [f"302 Found\r\nLocation: {receiver.url}"]
    outcome = await carrier.carry(Parcel(world.msp.id, receiver.url, "{}", {}))
    assert (outcome.status, outcome.failure, len(receiver.got)) == (302, "answered 302", 1)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::",
        "ff02::1",
    ],
)  # fmt: skip
async def test_no_parcel_goes_to_an_address_that_is_not_on_the_internet(receiver: Receiver, address: str) -> None:
    assert not is_public(address)

    async def leads_there(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", address]

    carrier = Carrier(resolver=leads_there)
    outcome = await carrier.carry(Parcel(None, "https://innocent.example/hook", "{}", {}))  # type: ignore[arg-type]
    await carrier.close()
    assert outcome.failure == "the address is not on the internet"


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"])
def test_an_address_on_the_internet_is_one(address: str) -> None:
    assert is_public(address)


async def test_the_connection_goes_to_the_address_that_was_looked_at(receiver: Receiver) -> None:
    """The name is asked once: what it says a moment later does not matter."""
    asked: list[str] = []

    async def changes(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    carrier = Carrier(private=True, resolver=changes)
    url = receiver.url.replace("127.0.0.1", "rebinding.example")
    outcome = await carrier.carry(Parcel(None, url, "{}", {"x": "y"}))  # type: ignore[arg-type]
    await carrier.close()
    assert (outcome.status, asked) == (200, ["rebinding.example"])
    assert receiver.got[0][0]["host"].startswith("rebinding.example:")


@pytest.mark.parametrize(
    "url", ["http://example.org/", "https://u:p@example.org/", "https://example.org/#x", "ftp://x"]
)
def test_an_endpoint_is_an_https_url_without_user_and_fragment(url: str) -> None:
    with pytest.raises(Invalid):
        delivery.checked_url(url, private=False)
