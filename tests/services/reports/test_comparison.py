"""A page of a report's lines says what the document says, without reading it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from services import ids, reports
from services.partners import Principal
from services.reports import shelf
from services.reports.comparison import Comparison, compare
from services.reports.document import TYPES, cover_of, line_in, write
from services.reports.tables import Report
from tests.support.month_end import APRIL, DAY, excused, month_end
from tests.support.world import World

ASKED: dict[str, Any] = {"text": "", "order": "name", "shown": "all", "skip": 0, "limit": 100, "named": 5}


async def compared(world: World, number: int, **asked: Any) -> tuple[dict[str, Any], Comparison]:
    """The document of a report, and it beside the one before as the MSP asks for it."""
    async with world.sessions() as db:
        rows = list(await db.scalars(select(Report).order_by(Report.starts_at)))
        caller = Principal(world.msp.id, world.msp.id)
        opened = await shelf.opened(db, caller, rows[number].id, world.clock())
        before = rows[number - 1].id if number else None
        return json.loads(rows[number].document or b""), await compare(db, opened, before, **{**ASKED, **asked})


def charged_before(document: dict[str, Any]) -> dict[str, int]:
    return {line["site_id"]: line["charged"]["total"] for line in document["lines"]}


async def test_every_line_is_the_document_s_beside_the_month_before(world: World) -> None:
    at = await month_end(world, stated=False)
    await excused(world, at.hotel)
    march, first = await compared(world, 0)
    april, second = await compared(world, 1)
    assert [line.before for line in first.lines] == [None] * len(march["lines"]) != []
    assert second.found == len(april["lines"]) > 0
    for line, facts in zip(second.lines, april["lines"], strict=True):
        assert ids.show("site", line.site_id) == facts["site_id"]
        assert (line.site, line.reference, list(line.flags)) == (facts["site"], facts["reference"], facts["flags"])
        assert [*line.charged, line.total] == [facts["charged"][name] for name in (*TYPES, "total")]
        assert f"{line.coverage:.4%}"[:-3] == facts["coverage_percent"]
        assert line.before == charged_before(march).get(facts["site_id"])
        peaks = [facts[name] for name in TYPES]
        assert line.idle == sum(one["peak"] - one["active"] for one in peaks if one and one["active"] is not None)
    assert second.idle == sum(line.idle for line in second.lines) > 0
    assert second.incomplete == len(second.least_known) == sum(line.coverage < 1 for line in second.lines) > 0
    assert second.gone == []


async def test_a_site_that_has_no_line_any_more_is_named(world: World) -> None:
    at = await month_end(world, stated=False)
    async with world.sessions() as db:
        rows = list(await db.scalars(select(Report).order_by(Report.starts_at)))
        opened = await shelf.opened(db, Principal(world.msp.id, world.msp.id), rows[0].id, world.clock())
        found = await compare(db, opened, rows[1].id, **ASKED)
    assert [(one.name, one.charged) for one in found.gone] == [("Officina Verdi", (1, 2, 0))]
    assert at.april.id == rows[1].id


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"order": "charged"}, ["Hotel Adria", "Officina Verdi", "Studio Bassi"]),
        ({"order": "difference"}, ["Studio Bassi", "Officina Verdi", "Hotel Adria"]),
        ({"order": "charged", "skip": 1, "limit": 1}, ["Officina Verdi"]),
        ({"text": "OFFICINA"}, ["Officina Verdi"]),
        ({"text": "100%"}, []),
    ],
)
async def test_lines_are_found_and_ordered(world: World, asked: dict[str, Any], names: list[str]) -> None:
    await month_end(world, stated=False)
    _, found = await compared(world, 1, **asked)
    assert [line.site for line in found.lines] == names


@pytest.mark.parametrize("shown", ["changed", "incomplete", "flagged"])
async def test_only_lines_of_a_kind_are_shown(world: World, shown: str) -> None:
    await month_end(world, stated=False)
    march, april = (await compared(world, 0))[0], (await compared(world, 1))[0]
    before = charged_before(march)
    like: Callable[[Any], bool] = {
        "changed": lambda line: before.get(line["site_id"]) != line["charged"]["total"],
        "incomplete": lambda line: line["coverage_percent"] != "100.00",
        "flagged": lambda line: line["flags"] != [],
    }[shown]
    _, found = await compared(world, 1, shown=shown)
    wanted = [line["site"] for line in april["lines"] if like(line)]
    assert ([line.site for line in found.lines], found.found) == (wanted, len(wanted))
    assert wanted


async def test_a_flag_that_was_decided_with_the_charge_is_found_though_no_row_has_it(world: World) -> None:
    machine = await world.running((3, 0, 0), "Hotel Adria")
    async with world.sessions.begin() as db:
        stretch = reports.Stretch(machine.site_id, APRIL - 20 * DAY, APRIL - 19 * DAY, "Laboratorio proprio")
        await reports.excuse(db, stretch, actor="anna", now=world.clock())
    world.clock.now = APRIL + DAY
    await world.close()
    document, found = await compared(world, 0, shown="flagged")
    [line] = document["lines"]
    assert "excused" in line["flags"]
    assert [list(one.flags) for one in found.lines] == [line["flags"]]


async def test_the_cover_is_the_document_without_its_lines(world: World) -> None:
    at = await month_end(world, stated=False)
    for report in (at.march, at.april):
        document = json.loads(report.document or b"")
        assert report.cover == cover_of(document)
        assert "lines" not in report.cover
        assert {name: report.cover[name] for name in document if name != "lines"} == {
            name: value for name, value in document.items() if name != "lines"
        }


async def test_one_line_is_read_out_of_the_bytes_whatever_its_texts_say(world: World) -> None:
    at = await month_end(world, stated=False)
    document = json.loads(at.april.document or b"")
    hotel, other = (ids.show("site", one) for one in (at.hotel.site_id, at.studio.site_id))
    trick = f'{{"activated_at":"x","site_id":"{hotel}"}}],"lines_sha256":'
    lines = [{**line, "site": trick, "reference": trick} for line in document["lines"]]
    correction = {"site": trick, "site_id": hotel, "month": "2026-03"}
    written = write({**document, "lines": lines, "corrections": [correction]})
    for line in lines:
        site_id = ids.read("site", line["site_id"])
        assert site_id is not None
        assert line_in(written, site_id) == line
    assert other in {line["site_id"] for line in lines}
    without = write(
        {**document, "lines": [line for line in lines if line["site_id"] != hotel], "corrections": [correction]}
    )
    assert line_in(without, at.hotel.site_id) is None
    assert line_in(write({**document, "lines": []}), at.hotel.site_id) is None
