"""Bounces: a letter that a mail server took, and that came back all the same, as a message to its sender."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.delivery.tables import Letter, LetterAttempt

_REASON_MAX = 500
_OURS = re.compile(r"<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@[^>]*>", re.IGNORECASE)
_REPORTED = re.compile(rb"^message-id:\s*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Bounce:
    """Which letter came back, and what the last mail server said."""

    letter_id: UUID
    reason: str


def read_bounce(content: bytes) -> Bounce | None:
    """Read a delivery report (RFC 3464) of a letter; None if it is none, or the mail server is still trying."""
    message = message_from_bytes(content, policy=policy.default)
    failed = next((one for one in _statuses(message) if one.get("Action", "").strip().lower() == "failed"), None)
    letter_id = _letter_in(message)
    if failed is None or letter_id is None:
        return None
    said = failed.get("Diagnostic-Code", "").partition(";")[2] or failed.get("Status", "")
    return Bounce(letter_id, " ".join(said.split())[:_REASON_MAX] or "undeliverable")


async def bounced(db: AsyncSession, letter_id: UUID, *, reason: str, now: datetime) -> Letter | None:
    """Note that a letter came back: it was not sent after all, and is not tried again. None if that was known already.

    It stands beside the attempts, for whoever looks why nothing came.
    """
    letter = await db.scalar(select(Letter).where(Letter.id == letter_id).with_for_update())
    if letter is None or letter.sent_at is None:
        return None
    letter.attempts += 1
    letter.sent_at, letter.next_attempt_at, letter.failure = None, None, f"bounced: {reason}"[:_REASON_MAX]
    db.add(LetterAttempt(letter_id=letter.id, n=letter.attempts, at=now, failure=letter.failure))
    await db.flush()
    return letter


async def last_letter_to(db: AsyncSession, address: str) -> UUID | None:
    """Give the last letter that was sent to an address."""
    sent = (Letter.recipient == address, Letter.sent_at.is_not(None))
    return await db.scalar(select(Letter.id).where(*sent).order_by(Letter.sent_at.desc()).limit(1))


def _statuses(message: EmailMessage) -> Iterator[Message]:
    """Give what the report says of each recipient."""
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            yield from (one for one in part.get_payload() if isinstance(one, Message))


def _letter_in(message: EmailMessage) -> UUID | None:
    """Give the letter that the report returns: whole, or its headers."""
    for part in message.walk():
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            found = _REPORTED.search(part.as_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")[2])
            ours = _OURS.fullmatch(found[1].decode("ascii", "replace")) if found else None
            return UUID(ours[1]) if ours else None
    return None
