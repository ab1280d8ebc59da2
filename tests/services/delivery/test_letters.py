"""Letters: written in two languages, sent under one id, tried again, given up and told of."""

import asyncio
import re
import socket
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from ops.upkeep import letter_bounced
from services import delivery
from services.clock import system_clock
from services.delivery import Attachment, FolderMailer, Letter, NotSent, PostOffice, SmtpMailer
from services.delivery.posting import compose_letter
from services.delivery.retry import LETTER_DELAYS, WEBHOOK_DELAYS, next_attempt_at
from services.delivery.writing import kinds, write_letter
from services.settings import Settings
from tests.support.clock import START
from tests.support.mail import PUBLIC_URL, Mailbox, deliver_letters
from tests.support.world import World

# A value for every name that a template uses; a new name needs one here.
VALUES: dict[str, Any] = {
    "link": f"{PUBLIC_URL}/x?token=t",
    "role": "admin",
    "company": "Adriatica S.r.l.",
    "distributor": "Distribuzione",
    "to": "Nord",
    "at": "2026-03-31T22:00:00+00:00",
    "zone": "America/New_York",
    "reason": "gone",
    "msp": "Adriatica IT",
    "due_at": "2026-03-12T09:00:00+00:00",
    "url": "https://example.org/hook",
    "address": "a@example.org",
    "failure": "550 no such user",
    "month": "March 2026",
    "closes": "1 April 2026, 04:00 UTC",
    "number": "2026-00042",
    "statement": "2026-00007",
    "sites": 12,
    "msps": 3,
    "server": 3,
    "workstation": 140,
    "server_plus": 1,
    "charged": 144,
    "corrections": 2,
    "no_data": 1,
    "idle": 1,
    "unseen_count": 2,
    "unseen": [{"site": "Hotel Adria", "count": 2}],
    "silent_count": 1,
    "silent": ["Hotel Adria"],
    "never_connected": ["Officine Ferri"],
    "totals": ["1234.50 EUR"],
    "held": ["Baltica IT"],
    "items": [
        {
            "site": "Hotel Adria",
            "reference": "C-17",
            "key": "TMK1-*****-*****-*****-2RJPC",
            "msp": "Adriatica IT",
            "distributor": "Distribuzione",
            "to": "Nord",
            "at": "2026-03-31T22:00:00+00:00",
            "hostname": "backup01",
            "installation_id": "6a1f7c1e-5b0a-4d0e-9f0e-3f0a7b1c2d3e",
            "machines": [
                {
                    "hostname": "backup01",
                    "address": "192.0.2.7",
                    "first": "2026-03-01T09:00:00+00:00",
                    "last": "2026-03-12T09:00:00+00:00",
                }
            ],
            "last_contact_at": "2026-03-12T09:00:00+00:00",
            "back_at": "2026-03-12T09:00:00+00:00",
            "final_at": "2026-03-24T09:00:00+00:00",
            "disable_at": "2026-03-26T09:00:00+00:00",
        }
    ],
}


async def post(world: World, kind: str = "registration_received", **values: Any) -> None:
    async with world.sessions.begin() as db:
        await delivery.post(
            db,
            occasion=f"test {uuid.uuid4()}",
            kind=kind,
            recipient="maria@adriatica.example",
            language="it",
            values=values,
            now=world.clock(),
            partner_id=world.msp.id,
        )


async def letters(world: World) -> list[Letter]:
    async with world.sessions() as db:
        return list(await db.scalars(select(Letter).order_by(Letter.id)))


def test_every_kind_of_letter_exists_in_both_languages() -> None:
    assert kinds("it") == kinds("en")
    assert kinds("it")


@pytest.mark.parametrize("language", ["it", "en"])
@pytest.mark.parametrize("kind", sorted(kinds("it")))
def test_a_letter_has_a_subject_and_a_text_and_no_holes(kind: str, language: str) -> None:
    written = write_letter(kind, language, VALUES)
    assert written.subject
    assert "\n" not in written.subject
    assert "{{" not in written.text
    assert "{%" not in written.text
    assert not re.search(r"\n\n\n", written.text)


def test_a_value_that_is_missing_is_an_error_and_a_subject_has_one_line() -> None:
    with pytest.raises(Exception, match="undefined"):
        write_letter("registration_rejected", "it", {"company": "x"})
    written = write_letter("address_undeliverable", "en", {**VALUES, "msp": "Evil\r\nBcc: all@example.org"})
    assert "\n" not in written.subject
    assert "\r" not in written.subject


async def test_a_posted_letter_is_sent_once_with_its_id(world: World) -> None:
    mailbox = Mailbox()
    await post(world)
    await deliver_letters(world, mailbox)
    await deliver_letters(world, mailbox)
    [letter] = await letters(world)
    [message] = mailbox.messages
    assert message["Message-ID"] == f"<{letter.id}@tidemark.example>"
    assert (letter.sent_at, letter.attempts, letter.failure) == (world.clock(), 1, None)


async def test_a_letter_that_is_refused_for_now_is_tried_again_each_time_visibly(world: World) -> None:
    mailbox = Mailbox()
    mailbox.refusal = NotSent("451 try later", final=False)
    await post(world)
    await deliver_letters(world, mailbox)
    await deliver_letters(world, mailbox)  # not due yet
    mailbox.refusal = None
    world.clock.advance(seconds=LETTER_DELAYS[0].total_seconds())
    await deliver_letters(world, mailbox)
    [letter] = await letters(world)
    async with world.sessions() as db:
        tried = [(one.n, one.failure) for one in await delivery.attempts_of(db, letter.id)]
    assert tried == [(1, "451 try later"), (2, None)]
    assert len(mailbox.messages) == 1


async def test_a_mail_server_that_is_down_for_a_day_delays_letters_and_loses_none(world: World) -> None:
    mailbox = Mailbox()
    mailbox.refusal = NotSent("connection refused", final=False)
    for _ in range(3):
        await post(world)
    for _ in range(24):
        await deliver_letters(world, mailbox)
        world.clock.advance(hours=1)
    mailbox.refusal = None
    for _ in range(24):
        await deliver_letters(world, mailbox)
        world.clock.advance(hours=1)
    posted = await letters(world)
    assert sorted(str(message["Message-ID"]) for message in mailbox.messages) == sorted(
        f"<{letter.id}@tidemark.example>" for letter in posted
    )
    async with world.sessions() as db:
        shown = await delivery.letters_of(db, world.msp.id, after=None, limit=10)
    assert len(shown) == 3
    for letter, attempts in shown:
        assert [one.failure for one in attempts] == ["connection refused"] * (len(attempts) - 1) + [None]
        assert len(attempts) == letter.attempts >= 5


async def test_an_address_that_takes_nothing_is_told_to_the_distributor_and_shown_to_the_msp(world: World) -> None:
    async with world.sessions.begin() as db:
        distributor = await db.get_one(type(world.distributor), world.distributor.id)
        distributor.email = "ufficio@distribuzione.example"
    mailbox = Mailbox()
    mailbox.refusal, mailbox.refused = NotSent("550 no such user", final=True), "maria@adriatica.example"
    await post(world)
    await deliver_letters(world, mailbox)
    async with world.sessions() as db:
        [lost] = await delivery.undeliverable_letters(db, world.msp.id)
        told = await delivery.events_of(db, world.msp.id, after=None, limit=10)
    assert lost.failure == "550 no such user"
    assert [one.kind for one in told] == ["letter.undeliverable"]
    [message] = mailbox.messages
    assert message["To"] == "ufficio@distribuzione.example"
    assert "550 no such user" in mailbox.last()


REPORT = b"""From: MAILER-DAEMON@mx.example.org\r
To: Tidemark <noreply@tidemark.example>\r
Subject: Undelivered Mail Returned to Sender\r
Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
MIME-Version: 1.0\r
\r
--b\r
\r
I'm sorry to have to inform you that your message could not be delivered.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.org\r
\r
Final-Recipient: rfc822; maria@adriatica.example\r
Action: failed\r
Status: 5.1.1\r
Diagnostic-Code: smtp; 550 5.1.1 no such user\r
    here\r
--b\r
Content-Type: %s\r
\r
From: Tidemark <noreply@tidemark.example>\r
Message-ID: <%s@tidemark.example>\r
\r
--b--\r
"""


@pytest.mark.parametrize("part", [b"message/rfc822", b"text/rfc822-headers"])
def test_a_report_of_a_letter_that_came_back_is_read_and_nothing_else_is(part: bytes) -> None:
    letter_id = uuid.uuid4()
    report = REPORT % (part, str(letter_id).encode())
    assert delivery.read_bounce(report) == delivery.Bounce(letter_id, "550 5.1.1 no such user here")
    assert delivery.read_bounce(report.replace(b"\r\n", b"\n")) == delivery.read_bounce(report)
    for other in (
        report.replace(b"failed", b"delayed"), report.replace(b"delivery-status\r", b"x-status\r"),
        REPORT % (part, b"somebody-else"), b"Subject: Re: your report\r\n\r\nthanks", b"", b"\xff\x00",
    ):  # fmt: skip
        assert delivery.read_bounce(other) is None


async def test_a_letter_that_comes_back_is_shown_as_not_sent_and_told_as_a_refused_one(
    world: World, settings: Settings
) -> None:
    async with world.sessions.begin() as db:
        (await db.get_one(type(world.distributor), world.distributor.id)).email = "ufficio@distribuzione.example"
    mailbox = Mailbox()
    await post(world)
    await deliver_letters(world, mailbox)
    [sent] = mailbox.messages
    [letter_id] = re.findall(r"<(.*)@", sent["Message-ID"])
    report = REPORT % (b"message/rfc822", letter_id.encode())
    assert (await letter_bounced(settings, None, "", report)).startswith("Noted: ")
    assert (await letter_bounced(settings, None, "", report)).startswith("Nothing to note")
    assert "no report" in await letter_bounced(settings, None, "", b"Subject: hello")
    assert "no such letter" in await letter_bounced(settings, "nobody@example.org", "")
    world.clock.now = system_clock()  # by which an operator's command goes
    await deliver_letters(world, mailbox)
    async with world.sessions() as db:
        [lost] = await delivery.undeliverable_letters(db, world.msp.id)
        told = await delivery.events_of(db, world.msp.id, after=None, limit=10)
        attempts = await delivery.attempts_of(db, lost.id)
    assert [one.failure for one in attempts] == [None, "bounced: 550 5.1.1 no such user here"]
    assert (lost.failure, [one.kind for one in told]) == (attempts[-1].failure, ["letter.undeliverable"])
    assert [message["To"] for message in mailbox.messages[1:]] == ["ufficio@distribuzione.example"]
    assert (await letter_bounced(settings, "ufficio@distribuzione.example", "full")).endswith("bounced: full")


async def test_a_sender_that_died_leaves_the_letter_to_be_sent_again_under_its_id(world: World) -> None:
    await post(world)
    async with world.sessions.begin() as db:
        assert await delivery.next_letter(db, world.clock()) is not None
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    assert mailbox.messages == []
    world.clock.advance(minutes=10)
    await deliver_letters(world, mailbox)
    assert len(mailbox.messages) == 1


async def test_attachments_come_from_the_registry_given_at_the_root(world: World) -> None:
    async def attach(_db: Any, letter: Letter) -> list[Attachment]:
        return [Attachment(name, "application/pdf", b"%PDF") for name in letter.values["attachments"]]

    await post(world, attachments=["report.pdf"])
    office = PostOffice(Mailbox(), world.desk.vault, "a@b.example", PUBLIC_URL, attach)
    [letter] = await letters(world)
    async with world.sessions() as db:
        message = await compose_letter(db, office, letter)
    [part] = message.iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("report.pdf", b"%PDF")


@pytest.fixture
async def server() -> AsyncIterator[tuple[Controller, list[Any]]]:
    taken: list[Any] = []

    class Handler:
        async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
            if address.startswith("nobody"):
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
            taken.append(envelope)
            return "250 OK"

    with socket.socket() as probe:  # aiosmtpd cannot say which port it was given
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    await asyncio.to_thread(controller.start)
    yield controller, taken
    await asyncio.to_thread(controller.stop)


def _message(recipient: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", recipient, "Prova"
    message.set_content("Perché no?")
    return message


async def test_a_real_mail_server_takes_a_letter_and_refuses_an_address_for_good(
    server: tuple[Controller, list[Any]],
) -> None:
    controller, taken = server
    mailer = SmtpMailer(f"smtp://127.0.0.1:{controller.port}")
    await mailer.send(_message("maria@example.org"))
    assert taken[0].rcpt_tos == ["maria@example.org"]
    with pytest.raises(NotSent, match="550") as refused:
        await mailer.send(_message("nobody@example.org"))
    assert refused.value.final


async def test_without_a_mail_server_listening_it_is_not_for_good() -> None:
    with pytest.raises(NotSent) as refused:
        await SmtpMailer("smtp://127.0.0.1:1").send(_message("maria@example.org"))
    assert not refused.value.final


async def test_a_maildir_holds_the_letters_where_there_is_no_server(tmp_path: Path) -> None:
    await FolderMailer(tmp_path / "mail").send(_message("maria@example.org"))
    [file] = (tmp_path / "mail" / "new").iterdir()
    assert b"maria@example.org" in file.read_bytes()


def test_retries_last_about_three_days_and_then_end() -> None:
    assert timedelta(days=2, hours=20) <= sum(WEBHOOK_DELAYS, timedelta()) <= timedelta(days=3, hours=4)
    assert next_attempt_at(len(WEBHOOK_DELAYS), WEBHOOK_DELAYS, START) is not None
    assert next_attempt_at(len(WEBHOOK_DELAYS) + 1, WEBHOOK_DELAYS, START) is None
