"""The second count equals the forty lines of plain Python too, over the same random ledgers, and so the first."""

from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.usage import recount
from services.usage.entries import Counts
from services.usage.figures import TYPES
from services.usage.recount import Said, ToldLine
from tests.services.usage.test_figures_oracle import (
    END,
    Off,
    Step,
    Told,
    _at,
    _minute,
    function,
    ledgers,
    offs,
    oracle,
)

INSTALLATION = UUID(int=3)
DAY = 12
DAYS = [_at(minute) for minute in range(0, END, DAY)]


def raw(number: int, line: Told, off: list[Off] | None = None) -> ToldLine:
    entries = [Said(n, _at(step.at), step.counts) for n, step in enumerate(line.steps, start=1) if not step.late]
    known = None if line.known_until is None else _at(line.known_until)
    uncounted = [(_at(start), _at(end)) for start, end in sorted(off or ())]
    return ToldLine(INSTALLATION, number, _at(line.begins), known, line.base, entries=entries, uncounted=uncounted)


@settings(max_examples=400, deadline=None)
@given(lines=ledgers, off=offs)
@example(lines=[Told(0, END + 1, None, (Step(0, Counts(1, 0, 0)), Step(9, Counts(9, 0, 0))))], off=[(5, END)])
def test_the_second_count_equals_the_oracle(lines: list[Told], off: list[Off]) -> None:
    found = recount([raw(*one, off) for one in enumerate(lines)], _at(0), _at(END), days=DAYS)
    peaks = {name: (peak.value, _minute(peak.at)) for name, peak in found.peaks.items()}
    known = {minute for start, end in found.known for minute in range(_minute(start), _minute(end))}
    assert (peaks, known) == oracle(lines, off)


@settings(max_examples=200, deadline=None)
@given(lines=ledgers)
def test_a_day_s_peak_is_the_highest_of_the_day_also_when_it_was_carried_in(lines: list[Told]) -> None:
    found = recount([raw(*one) for one in enumerate(lines)], _at(0), _at(END), days=DAYS)
    for day, shown in enumerate(found.daily):
        said = [function(lines, minute) for minute in range(day * DAY, (day + 1) * DAY)]
        told = [counts for counts in said if counts is not None]
        expected = tuple(max(getattr(counts, name) for counts in told) for name in TYPES) if told else None
        assert shown == expected


@settings(max_examples=200, deadline=None)
@given(lines=ledgers, start=st.integers(0, END), length=st.integers(1, END))
def test_what_may_be_charged_is_the_peak_outside_of_what_is_excluded(
    lines: list[Told], start: int, length: int
) -> None:
    found = recount(
        [raw(*one) for one in enumerate(lines)], _at(0), _at(END), excluded=[(_at(start), _at(start + length))]
    )
    said = [function(lines, minute) for minute in range(END) if not start <= minute < start + length]
    told = [counts for counts in said if counts is not None]
    assert found.outside == tuple(max((getattr(counts, name) for counts in told), default=0) for name in TYPES)


def test_a_peak_names_the_entry_that_made_it_and_an_inherited_one_its_parent_s() -> None:
    line = ToldLine(
        INSTALLATION, 0, _at(0), _at(END), entries=[Said(4, _at(-5), _three(2)), Said(5, _at(9), _three(7))]
    )
    [maker] = recount([line], _at(0), _at(END)).peaks["server"].made_by
    assert (maker.line, maker.n) == (0, 5)
    resumed = ToldLine(INSTALLATION, 1, _at(0), _at(END), (3, 0, 0), parent=0, parent_through=8)
    [maker] = recount([resumed], _at(0), _at(END)).peaks["server"].made_by
    assert (maker.line, maker.n) == (0, 8)


def _three(server: int) -> tuple[int, int, int]:
    return server, 0, 0
