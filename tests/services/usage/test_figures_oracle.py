"""The one statement that makes the figures equals forty lines of plain Python, over random ledgers.

Time is in minutes from the period's start, so that instants coincide often.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from services.partners.tables import SiteTenure
from services.usage import FIGURES, Counts, Span, figure_parameters
from services.usage.figures import TYPES
from services.usage.tables import Line, UncountedStretch, UsageEntry

START = datetime(2026, 3, 1, tzinfo=UTC)
END = 60
CUT_OFF = 100
SITE, MSP = UUID(int=1), UUID(int=2)


@dataclass(frozen=True)
class Step:
    at: int
    counts: Counts | None  # None: lost
    late: bool = False  # received after the cut-off


@dataclass(frozen=True)
class Told:
    begins: int
    known_until: int | None
    base: Counts | None
    steps: tuple[Step, ...]


Off = tuple[int, int]
"""A stretch in which nothing of the installation counts."""


# --- the oracle ------------------------------------------------------------------------------------------------


def value(line: Told, minute: int, off: list[Off] | None = None) -> Counts | None:
    """What a line says at an instant: nothing outside the time for which it is known and counts."""
    if line.known_until is None or not line.begins <= minute <= line.known_until:
        return None
    if any(start <= minute < end for start, end in off or ()):
        return None
    heard = [step for step in line.steps if step.at <= minute and not step.late]
    return heard[-1].counts if heard else line.base


def function(lines: list[Told], minute: int, off: list[Off] | None = None) -> Counts | None:
    """The highest of the lines, type by type."""
    said = [one for one in (value(line, minute, off) for line in lines) if one is not None]
    return Counts(*map(max, zip(*said, strict=True))) if said else None


def oracle(lines: list[Told], off: list[Off] | None = None) -> tuple[dict[str, tuple[int, int]], set[int]]:
    """The peaks with their first minutes, and the minutes that are known to their end."""
    said = {minute: function(lines, minute, off) for minute in range(END)}
    peaks: dict[str, tuple[int, int]] = {}
    for minute, counts in said.items():
        for name in (*TYPES, "total"):
            if counts is not None and (name not in peaks or getattr(counts, name) > peaks[name][0]):
                peaks[name] = (getattr(counts, name), minute)
    known = {
        minute
        for minute in range(END)
        for line in lines
        if value(line, minute, off) is not None and minute < (line.known_until or 0)
    }
    return peaks, known


# --- random ledgers --------------------------------------------------------------------------------------------

counts = st.builds(Counts, *[st.integers(0, 3)] * 3)
minutes = st.integers(-15, 75)
steps = st.lists(st.builds(Step, minutes, st.none() | counts, st.integers(0, 5).map(lambda die: die == 0)), max_size=6)


@st.composite
def told(draw: st.DrawFn, *, oldest: bool) -> Told:
    begins = draw(minutes)
    length = draw(st.none() | st.integers(0, 80)) if oldest else draw(st.integers(0, 80))
    return Told(
        begins,
        None if length is None else begins + length,
        None if oldest else draw(st.none() | counts),
        tuple(sorted(draw(steps), key=lambda step: step.at)),
    )


offs = st.lists(st.tuples(minutes, st.integers(0, 40) | st.just(1000)), max_size=2, unique_by=lambda two: two[0]).map(
    lambda several: [(start, start + length) for start, length in several]
)
ledgers = st.tuples(told(oldest=True), st.lists(told(oldest=False), max_size=2)).map(lambda two: [two[0], *two[1]])


@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(lines=ledgers, off=offs)
@example(lines=[Told(0, END + 1, None, (Step(0, Counts(1, 0, 0)), Step(9, Counts(9, 0, 0))))], off=[(5, END)])
async def test_the_figures_equal_the_oracle(engine: AsyncEngine, lines: list[Told], off: list[Off]) -> None:
    async with AsyncSession(engine) as db:  # rolled back at its end
        await _store(db, lines, off)
        span = Span(_at(0), _at(END), _at(CUT_OFF))
        [row] = await db.execute(text(FIGURES), figure_parameters([MSP], span))
    names = [name for name in (*TYPES, "total") if getattr(row, name) is not None]
    found = {name: (getattr(row, name), _minute(getattr(row, f"{name}_at"))) for name in names}
    known = {m for one in row.known for m in range(_minute(one.lower), _minute(one.upper))}
    assert (found, known) == oracle(lines, off)


async def _store(db: AsyncSession, lines: list[Told], off: list[Off]) -> None:
    await db.execute(insert(SiteTenure).values(site_id=SITE, from_at=_at(-1000), until_at=None, msp_id=MSP))
    for number, line in enumerate(lines):
        await db.execute(insert(Line).values(_line(number, line)))
        rows = [_entry(number, n, step) for n, step in enumerate(line.steps, start=1)]
        if rows:
            await db.execute(insert(UsageEntry), rows)
    for start, end in off:
        stretch = {"from_at": _at(start), "until_at": None if end > CUT_OFF else _at(end), "why": "released"}
        await db.execute(insert(UncountedStretch).values(site_id=SITE, installation_id=UUID(int=3), **stretch))


def _line(number: int, line: Told) -> dict[str, object]:
    base = line.base or (None, None, None)
    return {
        **dict(zip(("base_server", "base_workstation", "base_server_plus"), base, strict=True)),
        "site_id": SITE,
        "installation_id": UUID(int=3),
        "line": number,
        "credential_sha256": b"",
        "key_id": UUID(int=4),
        "product": "site_manager",
        "told_state": "active",
        "heartbeat_seconds": 900,
        "disable_after_seconds": 86_400,
        "sequence": 0,
        "through": 0,
        "receipt": b"",
        "said_more": False,
        "last_contact_at": _at(0),
        "last_entry_at": _at(0),
        "known_until_at": None if line.known_until is None else _at(line.known_until),
        "begins_at": _at(line.begins),
        "renew_lease_at": _at(0),
        "waiting": False,
    }


def _entry(number: int, n: int, step: Step) -> dict[str, object]:
    return {
        **dict(zip(TYPES, step.counts or (None, None, None), strict=True)),
        "site_id": SITE,
        "installation_id": UUID(int=3),
        "line": number,
        "n": n,
        "kind": "lost" if step.counts is None else "change",
        "at": _at(step.at),
        "clock_suspect": False,
        "entry": b"",
        "receipt": b"",
        "received_at": _at(CUT_OFF + 1 if step.late else CUT_OFF),
    }


def _at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def _minute(instant: datetime) -> int:
    return int((instant - START).total_seconds() // 60)
