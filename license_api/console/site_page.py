"""One site: how it is doing, what needs it, its agents over the month, and everything that it has told."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from license_api.console import charts
from license_api.console.flags import TYPES
from license_api.console.language import N_
from license_api.console.route import PageRoute
from license_api.console.visit import Signed, SignedIn
from license_api.v1.fields import Message, Name
from license_api.v1.pages import named
from services import ids, keys, partners, sites, usage
from services.db import keep_plans
from services.errors import Absent
from services.keys import Key
from services.partners import Right
from services.sites import SiteView

router = APIRouter(prefix="/sites/{site_id}", route_class=PageRoute)
_PAGE = "sites/site.html"
_TIMELINE, _COMMANDS, _AGENTS = 30, 10, 50
KINDS: dict[str, str] = {
    "send_inventory": N_("Send the inventory"),
    "run_backup": N_("Run a backup"),
    "rename": N_("Rename the Site Manager"),
}


class Snooze(Message):
    """For how many days no warning is sent."""

    days: int = Field(ge=1, le=366)


class Order(Message):
    """What the site is asked to do. Changing its credential is grave, and has a page of its own."""

    kind: Literal["send_inventory", "run_backup", "rename"]
    name: Name | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A type's chart of the month, with its peak."""

    type: str
    chart: charts.Chart
    peak: int | None
    peak_at: datetime | None


@router.get("")
async def show_site(visit: SignedIn, site_id: str) -> Response:
    """The page of a site."""
    visit.require(Right.SITES_READ)
    return await page(visit, named("site", site_id))


@router.get("/agents")
async def list_agents(visit: SignedIn, site_id: str, last_backup: str = "", after: str = "") -> Response:
    """The agents of a site, as it named them last."""
    visit.require(Right.SITES_READ)
    site = await sites.site_of(visit.db, visit.principal, named("site", site_id), visit.now)
    wanted: Any = last_backup if last_backup in ("ok", "warning", "failed") else None
    rows = await sites.inventory.agents_of(
        visit.db, visit.principal, site.site_id, after=_place(after), limit=_AGENTS, last_backup=wanted
    )
    last = f"{rows[-1].installation_id}.{rows[-1].agent_id}" if len(rows) == _AGENTS else None
    return visit.page("sites/agents.html", site=site, rows=rows, asked=last_backup, after=after, last=last, types=TYPES)


@router.post("/snooze")
async def snooze(visit: SignedIn, site_id: str) -> Response:
    """Send no warning for some days."""
    key, given = await own_key(visit, site_id, Right.KEYS_WRITE), visit.form.read(Snooze)
    if given is not None:
        await visit.attempt(_snooze(visit, key, visit.now + timedelta(days=given.days)))
    if visit.form.right:
        return visit.go(f"/sites/{site_id}", N_("Warnings are snoozed. The other dates stay as they are."))
    return await page(visit, key.site_id)


@router.post("/wake")
async def wake(visit: SignedIn, site_id: str) -> Response:
    """Send warnings again."""
    await _snooze(visit, await own_key(visit, site_id, Right.KEYS_WRITE), None)
    return visit.go(f"/sites/{site_id}", N_("Warnings are sent again."))


async def _snooze(visit: Signed, key: Key, until: datetime | None) -> None:
    await sites.orders.snooze(visit.db, key.site_id, until=until, actor=visit.principal.actor, now=visit.now)
    await visit.note("key.snoozed", ids.show("key", key.id), until=until and until.isoformat())


@router.post("/commands")
async def give_command(visit: SignedIn, site_id: str) -> Response:
    """Ask the site to do something; it rides in the answer to the next heartbeat."""
    site, given = (await own_key(visit, site_id, Right.SITES_WRITE)).site_id, visit.form.read(Order)
    if given is not None:
        order, actor = sites.commands.Order(given.kind, given.name), visit.principal.actor
        command = await visit.attempt(sites.commands.give(visit.db, site, order, actor=actor, now=visit.now))
        if command is not None:
            shown = ids.show("command", command.id)
            await visit.note("command.created", site_id, kind=given.kind, name=given.name, command=shown)
    if visit.form.right:
        return visit.go(f"/sites/{site_id}#commands", N_("The site is asked with its next heartbeat."))
    return await page(visit, site)


@router.post("/commands/{command_id}/cancel")
async def cancel_command(visit: SignedIn, site_id: str, command_id: str) -> Response:
    """Cancel a command that still waits."""
    site, command = (await own_key(visit, site_id, Right.SITES_WRITE)).site_id, named("command", command_id)
    await visit.attempt(sites.commands.cancel(visit.db, site, command, now=visit.now))
    if not visit.form.right:
        return await page(visit, site)
    await visit.note("command.cancelled", site_id, command=command_id)
    return visit.go(f"/sites/{site_id}#commands", N_("It is cancelled."))


async def own_key(visit: Signed, site_id: str, right: Right) -> Key:
    """Give the key of a site that is the visitor's own now; one that has moved away is to be read, not changed."""
    visit.require(right)
    key = await keys.key_of_site(visit.db, visit.principal, named("site", site_id))
    if key.msp_id != visit.principal.msp_id:
        raise Absent
    return key


async def own_key_of(visit: Signed, key_id: UUID, right: Right) -> Key:
    """Give a key that is the visitor's own now."""
    visit.require(right)
    key = await keys.visible_key(visit.db, visit.principal, key_id)
    if key.msp_id != visit.principal.msp_id:
        raise Absent
    return key


async def page(visit: Signed, site_id: UUID) -> Response:
    """Show a site."""
    db, caller, now = visit.db, visit.principal, visit.now
    await keep_plans(db)
    site = await sites.site_of(db, caller, site_id, now)
    key = await keys.key_of_site(db, caller, site_id)
    machines = await sites.machines_of(db, caller, site_id)
    commands = await sites.commands.commands_of(db, caller, site_id, after=None, limit=_COMMANDS)
    told = await sites.last_told(db, caller, site_id)
    timeline = (await keys.timeline(db, key, _TIMELINE))[::-1]
    return visit.page(
        _PAGE,
        site=site,
        key=key,
        own=key.msp_id == caller.partner_id,
        msp=(await partners.names_of_msps(db, caller, [key.msp_id])).get(key.msp_id),
        opens=_opens(site.console_url),
        machines=machines,
        twins=await _twins(visit, site, machines),
        refused=await sites.refusals.refused_of(db, caller, after=None, limit=5, site_id=site_id),
        same=await _namesakes(visit, site),
        curves=await _curves(visit, site),
        backups=await sites.backups.backups_of(db, caller, site_id),
        inventories=await sites.inventory.inventories_of(db, caller, site_id),
        commands=[(one, sites.commands.state_of(one, now)) for one in commands],
        command_kinds=KINDS,
        timeline=timeline,
        people=await partners.names_of_actors(db, caller, [one.actor for one in timeline]),
        told=[(one, _entry(one.last_entry)) for one in told],
        types=TYPES,
    )


def _opens(address: str | None) -> str | None:
    """Give the site's own console if it is a web address: a site says what it wants, and only these are links."""
    return address if address and address.lower().startswith(("https://", "http://")) else None


async def _twins(visit: Signed, site: SiteView, machines: Sequence[Any]) -> Sequence[Any]:
    if sites.flags.CLONE not in site.flags:
        return []
    return [
        twin
        for machine in machines
        if machine.ended_at is None
        for twin in await sites.clones.twins_of(visit.db, site.site_id, machine.installation_id)
    ]


async def _namesakes(visit: Signed, site: SiteView) -> Sequence[sites.Namesake]:
    """Give the other sites on a machine of this name: often new hardware, whose old key wanted a release."""
    if site.hostname is None:
        return []
    machine = (site.msp_id, site.hostname, site.site_id)
    return (await sites.namesakes(visit.db, [machine]))[machine]


async def _curves(visit: Signed, site: SiteView) -> list[Curve]:
    """Draw the running month, in the distributor's zone, by type; a type that never was is left out."""
    db, now = visit.db, visit.now
    distributor_id = await partners.distributor_of(db, site.msp_id, now)
    zone = (await partners.one_distributor(db, visit.principal, distributor_id)).zone
    period = usage.period_containing(zone, now)
    found = await usage.curve_of(db, site.site_id, site.msp_id, usage.Span(period.starts_at, period.ends_at, now))
    if not found.steps:
        return []
    start, end = period.starts_at, (period.ends_at - period.starts_at).total_seconds()

    def x(at: datetime) -> float:
        return (at - start).total_seconds()

    days = [(x(at) + 43_200, number) for number, at in enumerate(usage.day_starts(period), 1)]
    # What is to come is not missing.
    known = [*((x(first), x(last)) for first, last in found.known), (x(now), end)]
    curves = []
    for number, name in enumerate(TYPES):
        peak = found.peaks.get(name)
        if peak is not None and peak.value > 0:
            steps = [(x(at), counts[number]) for at, counts in found.steps]
            chart = charts.curve(days, steps, known, end, (x(peak.at), peak.value))
            curves.append(Curve(name, chart, peak.value, peak.at))
    return curves


def _entry(entry: bytes | None) -> str | None:
    return json.dumps(json.loads(entry), indent=2, sort_keys=True) if entry else None


def _place(after: str) -> tuple[UUID, str] | None:
    installation, _, agent = after.replace("\x00", "").partition(".")
    try:
        return (UUID(installation), agent) if after else None
    except ValueError:
        raise Absent from None
