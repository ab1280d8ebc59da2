"""What needs somebody: a plain list of kinds, the worst first. A new kind is a line here and a template of its rows.

A kind finds its rows with as many queries for many as for few, and no more of them than a page shows.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from license_api.console.language import N_
from license_api.console.site_moves import moves
from license_api.console.visit import Signed
from services import delivery, keys, partners, reports, sites
from services.partners import PartnerKind, Right
from services.sites import Fleet

ROWS_MAX = 20
_EVERYBODY = frozenset(PartnerKind)
_MSP = frozenset({PartnerKind.MSP})
_VENDOR = frozenset({PartnerKind.VENDOR})
_ABOVE = frozenset({PartnerKind.VENDOR, PartnerKind.DISTRIBUTOR})


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of thing; `needs/<name>.html` writes its rows. `find` gives at most `ROWS_MAX` and one more."""

    name: str
    title: str
    right: Right
    kinds: frozenset[PartnerKind]
    find: Callable[[Signed], Awaitable[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a kind; `more` if there are some beyond."""

    kind: Kind
    rows: Sequence[Any]
    more: bool


async def needs_of(visit: Signed) -> list[Found]:
    """Give what needs the visitor."""
    found = []
    for kind in KINDS:
        if visit.kind in kind.kinds and visit.may(kind.right):
            rows = await kind.find(visit)
            if rows:
                found.append(Found(kind, rows[:ROWS_MAX], len(rows) > ROWS_MAX))
    return found


async def msp_names(visit: Signed, msp_ids: Sequence[Any]) -> dict[Any, str]:
    """Give the names of MSPs to whoever has more than one."""
    return {} if visit.kind == PartnerKind.MSP else await partners.names_of_msps(visit.db, visit.principal, msp_ids)


async def _held(visit: Signed) -> Sequence[Any]:
    return await sites.breaker.held(visit.db)


async def fleet_of(visit: Signed) -> Fleet:
    """Give the visitor's fleet: looked over once a request, whoever asks."""
    state = visit.request.state
    if not hasattr(state, "fleet"):
        state.fleet = await sites.fleet_of(visit.db, visit.principal, visit.now, silent_max=2 * ROWS_MAX + 2)
    fleet: Fleet = state.fleet
    return fleet


async def _closing(visit: Signed) -> Sequence[Any]:
    found = (await fleet_of(visit)).closing
    names = await msp_names(visit, [one.msp_id for one in found])
    return [(one, names.get(one.msp_id)) for one in found]


async def _refused(visit: Signed) -> Sequence[Any]:
    found = await sites.refusals.refused_of(visit.db, visit.principal, after=None, limit=ROWS_MAX + 1)
    machines = [(one.msp_id, one.row.hostname, one.row.site_id) for one in found]
    same = await sites.namesakes(visit.db, machines)
    return [(one, same[machine]) for one, machine in zip(found, machines, strict=True)]


async def _backups(visit: Signed) -> Sequence[Any]:
    found = await sites.backups.troubles_of(visit.db, visit.principal, after=None, limit=ROWS_MAX + 1)
    return [one for one in found if one.backups.failed or one.backups.overdue]


async def _clones(visit: Signed) -> Sequence[Any]:
    found = await sites.flags.flagged(visit.db, visit.principal, sites.flags.CLONE, limit=ROWS_MAX + 1)
    names = await msp_names(visit, [one.msp_id for one in found])
    return [(one, names.get(one.msp_id)) for one in found]


async def _disputes(visit: Signed) -> Sequence[Any]:
    found = await reports.waiting_disputes(visit.db, visit.principal, visit.now, limit=ROWS_MAX + 1)
    names = await msp_names(visit, [one.msp_id for one in found])
    named = await keys.names_of_sites(visit.db, visit.principal, [one.site_id for one in found])
    within = reports.ANSWER_WITHIN + (reports.DECIDE_WITHIN if visit.kind == PartnerKind.VENDOR else timedelta())
    return [(one, named.get(one.site_id), names.get(one.msp_id), one.opened_at + within) for one in found]


async def _registrations(visit: Signed) -> Sequence[Any]:
    return await partners.registrations(visit.db, undecided=True, after=None, limit=ROWS_MAX + 1)


async def _letters(visit: Signed) -> Sequence[Any]:
    return await delivery.undeliverable_letters(visit.db, visit.principal.partner_id, limit=ROWS_MAX + 1)


async def _moves(visit: Signed) -> Sequence[Any]:
    own, found = visit.principal.partner_id, await moves(visit)
    return [one for one in found if one.move.to_msp_id == own and one.move.accepted_at is None][: ROWS_MAX + 1]


async def _silent(visit: Signed) -> Sequence[Any]:
    return [(one, None) for one in (await fleet_of(visit)).silent]


KINDS: tuple[Kind, ...] = (
    Kind("held", N_("Held by the breaker"), Right.SITES_READ, _VENDOR, _held),
    Kind("closing", N_("About to be disabled"), Right.SITES_READ, _EVERYBODY, _closing),
    Kind("refused", N_("Refused activations"), Right.KEYS_READ, _MSP, _refused),
    Kind("backups", N_("Failed backups"), Right.SITES_READ, _MSP, _backups),
    Kind("clones", N_("Suspected clones"), Right.SITES_READ, _EVERYBODY, _clones),
    Kind("disputes", N_("Disputes to answer"), Right.REPORTS_READ, _ABOVE, _disputes),
    Kind("registrations", N_("Registrations to decide"), Right.PARTNERS_READ, _VENDOR, _registrations),
    Kind("letters", N_("Undeliverable letters"), Right.PARTNERS_READ, _EVERYBODY, _letters),
    Kind("moves", N_("Sites offered to you"), Right.KEYS_ADMIN, _MSP, _moves),
    Kind("silent", N_("Offline"), Right.SITES_READ, _MSP, _silent),
)
