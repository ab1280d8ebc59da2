"""The jobs that reach out: letters, webhooks; and the small chores of the partners. Claim, commit, send, settle."""

import asyncio
import time

import structlog

from report_worker.jobs import Context, Tools
from services import delivery, partners, sites
from services.delivery import Carrier, Letter, NotSent, Parcel, PostOffice

_WORK_SECONDS = 60.0
_log = structlog.get_logger()


async def send_letters(context: Context) -> None:
    """Send the letters that are due, one after the other, until there are none or the job has worked long enough."""
    tools: Tools = context["tools"]
    until = time.monotonic() + _WORK_SECONDS
    while tools.office is not None and time.monotonic() < until:
        async with tools.sessions.begin() as db:
            letter = await delivery.next_letter(db, tools.clock())
        if letter is None:
            return
        failure, final = await _send(tools, tools.office, letter)
        async with tools.sessions.begin() as db:
            given_up = await delivery.settle_letter(db, letter.id, tools.clock(), failure=failure, final=final)
            if given_up is not None:
                await partners.tell_undeliverable(db, given_up, tools.clock())


async def _send(tools: Tools, office: PostOffice, letter: Letter) -> tuple[str | None, bool]:
    """Try to send; gives why it failed, and whether for good. One that cannot be written is tried again."""
    try:
        async with tools.sessions() as db:
            message = await delivery.compose_letter(db, office, letter)
        await office.mailer.send(message)
    except NotSent as error:
        _log.warning("letter not sent", letter=str(letter.id), kind=letter.kind, final=error.final)
        return str(error), error.final
    except Exception as error:
        _log.exception("letter failed", letter=str(letter.id), kind=letter.kind)
        return f"not written: {type(error).__name__}", False
    return None, False


async def send_webhooks(context: Context) -> None:
    """Make deliveries of the new events and post what is due, until there is none or the job has worked long enough."""
    tools: Tools = context["tools"]
    until = time.monotonic() + _WORK_SECONDS
    while tools.carrier is not None and tools.vault is not None and time.monotonic() < until:
        async with tools.sessions.begin() as db:
            told = await delivery.fan_out(db, tools.clock())
        async with tools.sessions.begin() as db:
            parcels = await delivery.next_parcels(db, tools.vault, tools.clock())
        await asyncio.gather(*(_carry(tools, tools.carrier, parcel) for parcel in parcels))
        if not (told or parcels):
            return


async def _carry(tools: Tools, carrier: Carrier, parcel: Parcel) -> None:
    outcome = await carrier.carry(parcel)
    async with tools.sessions.begin() as db:
        await delivery.settle_parcel(
            db, parcel.delivery_id, tools.clock(), status=outcome.status, failure=outcome.failure
        )


async def look_after_people(context: Context) -> None:
    """Replace the admins whose day is over; drop registrations, refusals, answers and addresses that are past."""
    tools: Tools = context["tools"]
    replaced = tools.vault is not None
    while replaced and tools.vault is not None:
        async with tools.sessions.begin() as db:
            replaced = await partners.replace_next_admin(db, tools.vault, tools.clock())
    async with tools.sessions.begin() as db:
        await partners.drop_unverified(db, tools.clock())
        await partners.drop_old_answers(db, tools.clock())
        await sites.refusals.drop_old(db, tools.clock())
        await sites.addresses.erase_old(db, tools.clock())
