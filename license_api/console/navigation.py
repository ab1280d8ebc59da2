"""The way round: every room that a person may enter, in the groups in which the menu shows them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from license_api.console.language import N_
from services.partners import PartnerKind, Right

if TYPE_CHECKING:
    from license_api.console.visit import Visit

_EVERYBODY = frozenset(PartnerKind)
_MSP = frozenset({PartnerKind.MSP})
_VENDOR = frozenset({PartnerKind.VENDOR})
_DISTRIBUTOR = frozenset({PartnerKind.DISTRIBUTOR})
_ABOVE = frozenset({PartnerKind.VENDOR, PartnerKind.DISTRIBUTOR})


@dataclass(frozen=True, slots=True)
class Room:
    """A line of the menu."""

    name: str
    path: str
    right: Right | None = None
    kinds: frozenset[PartnerKind] = _EVERYBODY


@dataclass(frozen=True, slots=True)
class Group:
    """Rooms that belong together."""

    name: str
    rooms: tuple[Room, ...]


GROUPS = (
    Group(
        N_("Operations"),
        (
            Room(N_("Needs you"), "/", Right.SITES_READ),
            Room(N_("Sites"), "/sites", Right.SITES_READ),
            Room(N_("Keys"), "/keys", Right.KEYS_READ),
            Room(N_("Moves"), "/moves", Right.KEYS_READ, _MSP),
        ),
    ),
    Group(
        N_("Accounts"),
        (
            Room(N_("Reports"), "/reports", Right.REPORTS_READ),
            Room(N_("Disputes"), "/disputes", Right.REPORTS_READ),
            Room(N_("Voids"), "/voids", Right.REPORTS_READ),
            Room(N_("Statements"), "/statements", Right.REPORTS_READ, _ABOVE),
            Room(N_("Prices"), "/prices", Right.REPORTS_READ, _ABOVE),
        ),
    ),
    Group(
        N_("Programme"),
        (
            Room(N_("Registrations"), "/registrations", Right.PARTNERS_READ, _VENDOR),
            Room(N_("MSPs"), "/msps", Right.PARTNERS_READ, _ABOVE),
            Room(N_("Distributors"), "/distributors", Right.PARTNERS_READ, _VENDOR),
            Room(N_("Held sweeps"), "/held", Right.SITES_READ, _VENDOR),
            Room(N_("Policies"), "/policies", Right.PARTNERS_READ),
            Room(N_("Documents"), "/documents", Right.PARTNERS_READ),
        ),
    ),
    Group(
        N_("Company"),
        (
            Room(N_("Company data"), "/msps/own", Right.PARTNERS_READ, _MSP),
            Room(N_("Company data"), "/distributors/own", Right.PARTNERS_READ, _DISTRIBUTOR),
            Room(N_("People"), "/people", Right.PEOPLE_READ),
            Room(N_("API tokens"), "/tokens", Right.PEOPLE_READ),
            Room(N_("Webhooks"), "/webhooks", Right.WEBHOOKS_READ),
            Room(N_("Letters"), "/letters", Right.EVENTS_READ),
            Room(N_("Audit log"), "/audit-log", Right.AUDIT_READ),
        ),
    ),
    Group(N_("You"), (Room(N_("Your account"), "/account"),)),
)


def menu(visit: "Visit") -> list[Group]:
    """Give the groups and rooms that the visitor may enter; none before it is signed in."""
    shown = [Group(group.name, tuple(room for room in group.rooms if _open(visit, room))) for group in GROUPS]
    return [group for group in shown if group.rooms]


def has_room(groups: list[Group], path: str) -> bool:
    """Tell whether a room is among those that the visitor may enter: a page links only into these."""
    return any(room.path == path for group in groups for room in group.rooms)


def is_here(path: str, room: Room) -> bool:
    """Tell whether a page lies in a room."""
    base = room.path.removesuffix("/own")
    return path == room.path or (base != "/" and path.startswith(base + "/"))


def _open(visit: "Visit", room: Room) -> bool:
    return visit.kind in room.kinds and (room.right is None or room.right in visit.rights)
