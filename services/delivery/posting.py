"""Sending what is in the outbox: claim, commit, send, settle. A letter whose sender died is sent again under its id."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.delivery.mailers import Attachment, Mailer, make_message
from services.delivery.outbox import LINK_CONTEXT
from services.delivery.retry import LETTER_DELAYS, next_attempt_at
from services.delivery.tables import Letter, LetterAttempt
from services.delivery.writing import write_letter
from services.signing import Vault

_LEASE = timedelta(minutes=10)

Attach = Callable[[AsyncSession, Letter], Awaitable[Sequence[Attachment]]]
"""Gives the files that go with a letter, which its values name."""


@dataclass(frozen=True, slots=True)
class PostOffice:
    """What sending letters needs: a mailer, who they are from, where links lead, and the files that go with them."""

    mailer: Mailer
    vault: Vault
    sender: str
    public_url: str
    attach: Attach | None = None


async def next_letter(db: AsyncSession, now: datetime) -> Letter | None:
    """Claim a letter that is due: it is due again if its sender does not settle it. None: there is none."""
    letter = await db.scalar(
        select(Letter)
        .where(Letter.next_attempt_at <= now)
        .order_by(Letter.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if letter is not None:
        letter.attempts += 1
        letter.next_attempt_at = now + _LEASE
        await db.flush()
    return letter


async def compose_letter(db: AsyncSession, office: PostOffice, letter: Letter) -> EmailMessage:
    """Write a letter as it goes out."""
    values = dict(letter.values)
    sealed = values.pop("link_sealed", None)
    if sealed is not None:
        token = office.vault.open(bytes.fromhex(sealed), LINK_CONTEXT).decode()
        values["link"] = f"{office.public_url.rstrip('/')}{values['link_path']}?token={token}"
    attachments = await office.attach(db, letter) if office.attach else ()
    return make_message(letter, write_letter(letter.kind, letter.language, values), office.sender, attachments)


async def settle_letter(
    db: AsyncSession, letter_id: UUID, now: datetime, *, failure: str | None = None, final: bool = False
) -> Letter | None:
    """Record an attempt. Gives the letter if it is given up with this: its address is undeliverable."""
    letter = await db.get_one(Letter, letter_id, with_for_update=True, populate_existing=True)
    if letter.sent_at is not None:
        return None
    db.add(LetterAttempt(letter_id=letter.id, n=letter.attempts, at=now, failure=failure))
    letter.failure = failure
    if failure is None:
        letter.sent_at, letter.next_attempt_at = now, None
        letter.values = {name: value for name, value in letter.values.items() if name != "link_sealed"}
    else:
        letter.next_attempt_at = None if final else next_attempt_at(letter.attempts, LETTER_DELAYS, now)
    await db.flush()
    return letter if failure is not None and letter.next_attempt_at is None else None


async def empty_letters(db: AsyncSession, kind: str, before: datetime) -> None:
    """Take out of old letters what was written in them; that they were sent, when and to whom, stays."""
    of_kind = Letter.kind == bindparam("of_kind", kind, literal_execute=True)  # as the index has it
    old = (of_kind, Letter.posted_at <= before, Letter.next_attempt_at.is_(None), Letter.values != {})
    await db.execute(update(Letter).where(*old).values(values={}).execution_options(synchronize_session=False))


async def undeliverable_letters(db: AsyncSession, partner_id: UUID, limit: int = 200) -> Sequence[Letter]:
    """Give a partner's letters that were given up, newest first."""
    query = select(Letter).where(
        Letter.partner_id == partner_id,
        Letter.failure.is_not(None),
        Letter.sent_at.is_(None),
        Letter.next_attempt_at.is_(None),
    )
    return (await db.scalars(query.order_by(Letter.id.desc()).limit(limit))).all()


async def letters_of(
    db: AsyncSession, partner_id: UUID | None, *, after: UUID | None, limit: int, failed: bool = False
) -> Sequence[tuple[Letter, Sequence[LetterAttempt]]]:
    """Give a page of a partner's letters (None: everybody's), newest first, each with its attempts.

    `failed`: those alone that were refused at least once.
    """
    query = select(Letter).order_by(Letter.id.desc()).limit(limit)
    if partner_id is not None:
        query = query.where(Letter.partner_id == partner_id)
    if failed:
        query = query.where(Letter.failure.is_not(None))
    rows = (await db.scalars(query if after is None else query.where(Letter.id < after))).all()
    tried = select(LetterAttempt).where(LetterAttempt.letter_id.in_([row.id for row in rows]))
    attempts = (await db.scalars(tried.order_by(LetterAttempt.n))).all()
    return [(row, [one for one in attempts if one.letter_id == row.id]) for row in rows]


async def attempts_of(db: AsyncSession, letter_id: UUID) -> Sequence[LetterAttempt]:
    """Give every attempt to send a letter, in order."""
    query = select(LetterAttempt).where(LetterAttempt.letter_id == letter_id).order_by(LetterAttempt.n)
    return (await db.scalars(query)).all()
