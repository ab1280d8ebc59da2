"""What sends a letter: a mail server by SMTP, or a maildir on this machine where there is none."""

import asyncio
import mailbox
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.delivery.tables import Letter
from services.delivery.writing import Written

_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a letter."""

    name: str
    media_type: str
    content: bytes


class NotSent(Exception):
    """The letter was not taken; `final` if trying again would not help."""

    def __init__(self, reason: str, *, final: bool) -> None:
        """Say why."""
        super().__init__(reason)
        self.final = final


class Mailer(Protocol):
    """Takes a message, or raises `NotSent`."""

    async def send(self, message: EmailMessage) -> None:
        """Hand the message over."""


class SmtpMailer:
    """Sends by a mail server: `smtp://user:password@host:587` (STARTTLS if it offers it) or `smtps://…:465`."""

    def __init__(self, url: str) -> None:
        """Send by the server that the URL names."""
        parts = urlsplit(url)
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or (465 if self._tls else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, message: EmailMessage) -> None:
        """Hand the message over; a 5xx of the server is final."""
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                use_tls=self._tls,
                username=self._user,
                password=self._password,
                timeout=_TIMEOUT_SECONDS,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            raise NotSent(f"{refused.code} {refused.message}"[:500], final=refused.code >= 500) from error
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"{error.code} {error.message}"[:500], final=error.code >= 550) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotSent(f"{type(error).__name__}: {error}"[:500], final=False) from error


class FolderMailer:
    """Puts letters into a maildir."""

    def __init__(self, folder: Path) -> None:
        """Make the maildir if it is not there."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._maildir = mailbox.Maildir(folder)

    async def send(self, message: EmailMessage) -> None:
        """Put the message there."""
        await asyncio.to_thread(self._maildir.add, message)


def make_message(letter: Letter, written: Written, sender: str, attachments: Sequence[Attachment] = ()) -> EmailMessage:
    """Make the message of a letter: however often it is sent, it has one id."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.recipient
    message["Subject"] = written.subject
    message["Date"] = format_datetime(letter.posted_at)
    message["Message-ID"] = f"<{letter.id}@{sender.rpartition('@')[2].strip('> ')}>"
    message["Content-Language"] = letter.language
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(written.text)
    for one in attachments:
        main, _, sub = one.media_type.partition("/")
        message.add_attachment(one.content, maintype=main, subtype=sub.partition(";")[0], filename=one.name)
    return message
