"""Policies of the programme, a distributor, an MSP, a key: what is set, where it comes from, and what it would do."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.pages import named
from services import ids, keys, partners, sites
from services.errors import Absent
from services.partners import PROGRAMME_ID, Bound, Level, PartnerKind, Right, Trial
from services.sites import DryRun, PolicyView

router = APIRouter(prefix="/policies", route_class=PageRoute)
_HERE = "/policies"
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class Knob(NamedTuple):
    """A value of a policy as a person sets it."""

    name: str
    label: str
    unit: str
    seconds: int
    hint: str


KNOBS = (
    Knob("heartbeat_seconds", N_("Heartbeat every"), N_("minutes"), _MINUTE, N_("How often a site calls.")),
    Knob("warn_after_seconds", N_("Warn after"), N_("hours"), _HOUR, N_("Of silence: a letter to the MSP.")),
    Knob(
        "final_before_seconds",
        N_("Last warning"),
        N_("hours before"),
        _HOUR,
        N_("Before disabling; to the distributor too."),
    ),
    Knob("disable_after_seconds", N_("Disable after"), N_("days"), _DAY, N_("Of silence: no new agents and backups.")),
    Knob(
        "close_grace_seconds", N_("Close the month after"), N_("hours"), _HOUR, N_("Time for what spools still hold.")
    ),
    Knob("standalone_seats", N_("Standalone seats"), N_("a key"), 1, N_("Server Plus installations that stand alone.")),
)
_OF_MSP = frozenset({"warn_after_seconds", "standalone_seats"})
_LEVELS: Mapping[str, Level] = {"programme": "programme", "distributor": "distributor", "msp": "msp", "key": "key"}


@router.get("")
async def list_policies(visit: SignedIn) -> Response:
    """The levels that concern the visitor."""
    visit.require(Right.PARTNERS_READ)
    above = await partners.distributors(visit.db, visit.principal, after=None, limit=500)
    own = await partners.one_msp(visit.db, visit.principal, visit.principal.msp_id) if visit.kind == "msp" else None
    view = await sites.policy_view(visit.db, visit.principal, "programme", PROGRAMME_ID, visit.now)
    return visit.page("policies/list.html", distributors=above, own=own, view=view, knobs=KNOBS, shown_as=shown_as)


@router.get("/bounds")
async def show_bounds(visit: SignedIn) -> Response:
    """What may be set at all."""
    _vendor(visit)
    return await _bounds_page(visit)


@router.post("/bounds")
async def set_bounds(visit: SignedIn) -> Response:
    """What was set outside comes to the nearer bound."""
    _vendor(visit)
    least, most = _read(visit, KNOBS, ".least"), _read(visit, KNOBS, ".most")
    if visit.form.right and await visit.confirmed(Right.PEOPLE_ADMIN):
        wanted = {knob.name: Bound(least[knob.name] or 0, most[knob.name] or 0) for knob in KNOBS}
        await visit.attempt(sites.change_bounds(visit.db, visit.principal, wanted, visit.now))
        if visit.form.right:
            return visit.go(f"{_HERE}/bounds", N_("The bounds are set."))
    return await _bounds_page(visit)


@router.get("/{level}/{subject}")
async def show_policy(level: str, subject: str, visit: SignedIn) -> Response:
    """One level's own values, those in force, and where each comes from."""
    visit.require(Right.PARTNERS_READ)
    return await _page(visit, _level(level), _subject(level, subject), None)


@router.post("/{level}/{subject}")
async def change_policy(level: str, subject: str, visit: SignedIn) -> Response:
    """Set the values, or only try what they would do."""
    at, subject_id = _level(level), _subject(level, subject)
    right = _right(at)
    visit.require(right)
    values = _read(visit, _mine(visit, at))
    if not visit.form.right:
        return await _page(visit, at, subject_id, None)
    if visit.form.get("act") == "try":
        return await _page(visit, at, subject_id, await visit.attempt(_try(visit, Trial(at, subject_id, values))))
    if at == "key" or await visit.confirmed(right):
        changing = sites.change_policy(visit.db, visit.principal, at, subject_id, values, visit.now)
        await visit.attempt(changing)
        if visit.form.right:
            return visit.go(
                f"{_HERE}/{level}/{subject}", N_("The policy is set: sites learn of it with their answers.")
            )
    return await _page(visit, at, subject_id, None)


def shown_as(knob: Knob, value: int | None) -> str:
    """Write a value in its unit, as a field has it."""
    return "" if value is None else f"{Decimal(value) / knob.seconds:.4f}".rstrip("0").rstrip(".")


def _read(visit: Signed, knobs: Iterable[Knob], end: str = "") -> dict[str, int | None]:
    """Read values in their units; an empty field is None."""
    values: dict[str, int | None] = {}
    for knob in knobs:
        text = visit.form.get(knob.name + end).replace(",", ".")
        try:
            value = Decimal(text) * knob.seconds if text else None
            values[knob.name] = None if value is None else int(value)
        except (InvalidOperation, ValueError, OverflowError):
            visit.form.mistake(knob.name + end, N_("This is no number."))
    return values


async def _try(visit: Signed, trial: Trial) -> DryRun:
    partners.check_values(trial.values, await partners.bounds(visit.db))
    return await sites.dry_run(visit.db, visit.principal, visit.now, trial)


def _level(level: str) -> Level:
    if level not in _LEVELS:
        raise Absent
    return _LEVELS[level]


def _subject(level: str, subject: str) -> UUID:
    return PROGRAMME_ID if level == "programme" else named(level, subject)


def _right(level: Level) -> Right:
    if level == "programme":
        return Right.PEOPLE_ADMIN
    return Right.KEYS_WRITE if level == "key" else Right.PARTNERS_WRITE


def _mine(visit: Signed, level: Level) -> list[Knob]:
    """Give what the visitor may change at a level."""
    kind = visit.principal.kind
    if not visit.may(_right(level)) or (level == "programme" and kind is not PartnerKind.VENDOR):
        return []
    if level == "distributor" and kind is PartnerKind.MSP:
        return []
    named_here = _OF_MSP if kind is PartnerKind.MSP else {knob.name for knob in KNOBS}
    # A period is closed for a whole distributor.
    nowhere = {"close_grace_seconds"} if level in ("msp", "key") else set()
    return [knob for knob in KNOBS if knob.name in named_here - nowhere]


async def _page(visit: Signed, level: Level, subject_id: UUID, found: DryRun | None) -> Response:
    view = await sites.policy_view(visit.db, visit.principal, level, subject_id, visit.now)
    bounds = await partners.bounds(visit.db)
    name, back = await _about(visit, view)
    return visit.page(
        "policies/policy.html",
        view=view,
        name=name,
        back=back,
        knobs=KNOBS,
        mine=_mine(visit, level),
        bounds=bounds,
        shown_as=shown_as,
        found=found,
        grave=level != "key",
    )


async def _about(visit: Signed, view: PolicyView) -> tuple[str, str]:
    """Give whose policy it is, and where one goes back to."""
    if view.level == "distributor":
        row = await partners.one_distributor(visit.db, visit.principal, view.subject_id)
        return row.name, _HERE
    if view.level == "msp":
        return (await partners.one_msp(visit.db, visit.principal, view.subject_id)).name, _HERE
    if view.level == "key":
        key = await keys.visible_key(visit.db, visit.principal, view.subject_id)
        return key.name, f"/sites/{ids.show('site', key.site_id)}"
    return "", _HERE


async def _bounds_page(visit: Signed) -> Response:
    bounds = await partners.bounds(visit.db)
    return visit.page("policies/bounds.html", bounds=bounds, knobs=KNOBS, shown_as=shown_as)


def _vendor(visit: Signed) -> None:
    visit.require(Right.PEOPLE_ADMIN)
    visit.principal.one_of(PartnerKind.VENDOR)
