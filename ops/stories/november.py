"""Story: a November with late usage, a void, a dispute and a release, from the agents to the corrected report."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from ops.stories.machine import Machine
from ops.stories.screen import ZONE
from ops.stories.stage import Stage
from services import ids, reports
from services.partners import Distributor, PartnerKind, Principal
from services.usage import month_period

TITLE = "November"
QUESTION = (
    "A peak by mistake, a new server for an old key, a site that was offline over the close, a line that the MSP holds "
    "to be wrong. What does the report of November say, and what is charged in the end?"
)
MORAL = (
    "What is issued never changes. Everything issued and all its corrections together are what was true and decided."
)
_VOID, _RELEASE, _LATE, _DISPUTE = "Officine Ferri", "Hotel Adria", "Studio Bassi", "Clinica San Rocco"
_NOVEMBER, _DECEMBER = month_period(ZONE, "2026-11"), month_period(ZONE, "2026-12")
_SLOWLY = timedelta(hours=12)
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_WAIT_SECONDS = 60
Lines = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Issued:
    """An issued report as the MSP's program downloads it."""

    id: str
    content: bytes
    document: dict[str, Any]

    @property
    def lines(self) -> Lines:
        """Its lines by site."""
        return {line["site"]: line for line in self.document["lines"]}


async def play(stage: Stage) -> None:
    """Play it."""
    stage.closes = True
    machines, codes = await _set_out(stage)
    await _mistake(stage, machines[_VOID])
    await _new_server(stage, machines[_RELEASE], codes[_RELEASE])
    await _offline(stage, machines[_LATE])
    november = await _close(stage)
    await _afterwards(stage, november, machines[_LATE])
    await _correct(stage, november)


async def _set_out(stage: Stage) -> tuple[dict[str, Machine], dict[str, str]]:
    screen = stage.screen
    screen.step(stage.clock(), "Four sites, 2 servers and 10 workstations each")
    machines, codes = {}, {}
    for name in (_VOID, _RELEASE, _LATE, _DISPUTE):
        code, machine = await stage.site(name)
        machine.wire.shown = False
        machine.count(2, 10)
        await machine.activate(code)
        await machine.beat()
        machines[name], codes[name] = machine, code
    await stage.until(_NOVEMBER.starts_at + 4 * _DAY, step=_SLOWLY)
    screen.say("October passes, and is closed on the first of November with the grace of six hours.")
    screen.check("October was issued with 12 agents a site", [_charged(one) for one in await _issued(stage)] == [48])
    screen.pause()
    return machines, codes


async def _mistake(stage: Stage, machine: Machine) -> None:
    screen = stage.screen
    screen.step(stage.clock(), f"{_VOID}: a script installs 40 workstations, and they are gone within the hour")
    since = stage.clock()
    machine.count(2, 40)
    await stage.pass_time(hours=1)
    machine.count(2, 10)
    await stage.pass_time(hours=2)
    site = await stage.view(_VOID)
    stretch = {"from_at": _z(since), "until_at": _z(since + _HOUR), "reason": "installed by mistake"}
    asked = await _done(stage.http.post(f"/v1/sites/{site['id']}/voids", json=stretch))
    screen.say("The MSP asks that this hour is not charged; the distributor grants it, before the close.")
    async with stage.sessions.begin() as db:
        distributor = (await db.scalars(select(Distributor))).one()
        await reports.decide_void(
            db, distributor.id, _id("void", asked), granted=True, reason="seen", actor="distributor", now=stage.clock()
        )
    line = await stage.line(_VOID)
    screen.sees("the report if it closed now", f"peak {line['workstation']['peak']}, {_workstations(line)} charged")
    screen.check("both figures are shown", (line["workstation"]["peak"], _workstations(line)) == (40, 10))
    screen.pause()


async def _new_server(stage: Stage, old: Machine, code: str) -> None:
    screen = stage.screen
    await stage.until(_NOVEMBER.starts_at + 9 * _DAY, step=_SLOWLY)
    screen.step(stage.clock(), f"{_RELEASE}: the Site Manager moves to new hardware")
    old.count(2, 11)
    await stage.pass_time(hours=1)
    key = (await stage.view(_RELEASE))["key_id"]
    await _done(stage.http.post(f"/v1/keys/{key}/release"))
    await stage.pass_time(hours=2)
    new = stage.machine("hotel-adria-new", stage.folder / "new.sqlite")
    new.wire.shown = False
    new.count(2, 12)
    await new.activate(code)
    await new.beat()
    await stage.pass_time(hours=1)
    line = await stage.line(_RELEASE)
    screen.why("The released one counts until the next one activates; what it says later is evidence.")
    screen.check("one line, 12 workstations: the two machines are never added", _workstations(line) == 12)
    screen.pause()


async def _offline(stage: Stage, machine: Machine) -> None:
    screen = stage.screen
    await stage.until(_NOVEMBER.ends_at - 6 * _DAY, step=_SLOWLY)
    screen.step(stage.clock(), f"{_LATE}: the line is cut, and the site grows to 16 workstations in the dark")
    machine.wire.cut = True
    machine.count(2, 16)
    stage.machines[3].count(2, 14)
    screen.say(f"{_DISPUTE} has 14 workstations from now on.")
    screen.pause()


async def _close(stage: Stage) -> Issued:
    screen = stage.screen
    await stage.until(_NOVEMBER.ends_at + 7 * _HOUR, step=_SLOWLY)
    screen.step(stage.clock(), "November is closed")
    november = (await _issued(stage))[-1]
    for name, line in november.lines.items():
        screen.sees(name, f"{_workstations(line)} workstations, known {line['coverage_percent']} %, {line['flags']}")
    charged = {name: _workstations(line) for name, line in november.lines.items()}
    screen.check(
        "what is known is charged, and what is voided is not",
        charged == {_VOID: 10, _RELEASE: 12, _LATE: 10, _DISPUTE: 14},
    )
    screen.check(f"{_LATE} is shown with a gap", november.lines[_LATE]["gaps"] != [])
    screen.pause()
    return november


async def _afterwards(stage: Stage, november: Issued, machine: Machine) -> None:
    screen = stage.screen
    await stage.until(_NOVEMBER.ends_at + 3 * _DAY, step=_SLOWLY)
    screen.step(stage.clock(), f"{_LATE} is back, {_DISPUTE} is disputed")
    machine.wire.cut = False
    for _ in range(2):
        await machine.beat()
    site = await stage.view(_DISPUTE)
    claim = {"server": 2, "workstation": 12, "server_plus": 0, "reason": "two were test machines"}
    opened = await _done(stage.http.post(f"/v1/reports/{november.id}/lines/{site['id']}/dispute", json=claim))
    screen.say("The MSP holds 12 workstations to be right, not 14. The distributor agrees: it becomes an adjustment.")
    async with stage.sessions.begin() as db:
        distributor = (await db.scalars(select(Distributor))).one()
        caller = Principal(distributor.id, distributor.id, PartnerKind.DISTRIBUTOR)
        disputed = await reports.one_dispute(db, caller, _id("dispute", opened))
        await reports.decide_dispute(
            db, disputed.dispute, "distributor", upheld=True, reason="agreed", actor="distributor", now=stage.clock()
        )
    screen.pause()


async def _correct(stage: Stage, november: Issued) -> None:
    screen = stage.screen
    await stage.until(_DECEMBER.ends_at + 7 * _HOUR, step=_SLOWLY)
    screen.step(stage.clock(), "December is closed, and its report corrects November's")
    found = await _issued(stage)
    december = found[-1]
    corrections = {
        (one["site"], one["month"], one["origin"]): one["quantities"]["workstation"]
        for one in december.document["corrections"]
    }
    for (site, month, origin), quantity in corrections.items():
        screen.sees("correction", f"{site}, {month}, {origin}: {quantity:+} workstations")
    expected = {(_LATE, "2026-11", "late_usage"): 6, (_DISPUTE, "2026-11", "adjustment"): -2}
    screen.check("signed lines that name their origin, and no others", corrections == expected)
    again = next(one for one in found if one.id == november.id)
    screen.check(
        "November's bytes are what they were", sha256(again.content).digest() == sha256(november.content).digest()
    )
    total = sum(map(_workstations, november.lines.values())) + sum(corrections.values())
    screen.check(
        "issued and corrected together: 10 voided, 12 released, 16 late, 12 disputed", total == 10 + 12 + 16 + 12
    )


async def _issued(stage: Stage) -> list[Issued]:
    """Download every issued report, once the worker is done with what is due."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while True:
            async with stage.sessions() as db:
                if await reports.settled(db):
                    break
            await asyncio.sleep(0.05)
    found = []
    for item in (await _done(stage.http.get("/v1/reports"))).json()["items"]:
        answer = await _done(stage.http.get(f"/v1/reports/{item['id']}/json"))
        found.append(Issued(item["id"], answer.content, answer.json()))
    return found


async def _done(asked: Any) -> httpx.Response:
    answer: httpx.Response = await asked
    return answer.raise_for_status()


def _id(prefix: str, answer: httpx.Response) -> UUID:
    found = ids.read(prefix, answer.json()["id"])
    if found is None:
        raise ValueError(f"no id of a {prefix}")
    return found


def _charged(issued: Issued) -> int:
    charged: int = issued.document["totals"]["charged"]
    return charged


def _workstations(line: dict[str, Any]) -> int:
    charged: int = line["charged"]["workstation"]
    return charged


def _z(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
