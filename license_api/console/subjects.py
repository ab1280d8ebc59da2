"""What an event is about, in words and with a page to go to: found with one query a kind of thing, for all events."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from license_api.console.visit import Signed
from services import ids, keys, partners, reports
from services.delivery import Event
from services.partners import PartnerKind

# The nearest thing first: of a dispute its site is told.
_ROOMS = ("site", "report", "statement", "registration", "msp")


class About(NamedTuple):
    """A thing by its name; no path where there is no page for it yet."""

    name: str
    path: str


async def abouts(visit: Signed, events: Sequence[Event]) -> list[About | None]:
    """Give what each event is about; None where it is nothing that the visitor sees."""
    names = await _names(
        visit, {kind: [one for one in (_id(event, kind) for event in events) if one] for kind in _ROOMS}
    )
    return [_about(event, names) for event in events]


def _about(event: Event, names: dict[UUID, str]) -> About | None:
    for kind in _ROOMS:
        thing = _id(event, kind)
        name = names.get(thing) if thing is not None else None
        # An MSP's report and a statement are called by what the event says of them.
        name = name or (event.subject.get("number") or event.subject.get("name") if thing is not None else None)
        if name:
            path = f"/{kind}s/{event.subject[kind]}"
            return About(str(name), "" if event.kind == "report.held" else path)
    return None


async def _names(visit: Signed, things: dict[str, list[UUID]]) -> dict[UUID, str]:
    db, caller, names = visit.db, visit.principal, dict[UUID, str]()
    if things["site"]:
        names |= await keys.names_of_sites(db, caller, things["site"])
    if things["msp"] and caller.kind is not PartnerKind.MSP:
        names |= await partners.names_of_msps(db, caller, things["msp"])
    if things["report"] and caller.kind is not PartnerKind.MSP:
        names |= await reports.shelf.msps_of(db, caller, things["report"])
    if things["registration"] and caller.kind is PartnerKind.VENDOR:
        names |= await partners.names_of_registrations(db, things["registration"])
    return names


def _id(event: Event, kind: str) -> UUID | None:
    return ids.read(kind, str(event.subject.get(kind, "")))
