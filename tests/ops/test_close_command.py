"""`tidemark close`: what a close would charge, and both computations of a closed month."""

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from ops.cli import app
from ops.close import show_close, take_again
from services import reports
from services.reports.tables import ClosedPeriod, ReportLine
from services.settings import Settings
from tests.support.months import APRIL, GRACE
from tests.support.world import World

OURS = ("Distribuzione", "2026-03")


async def test_a_dry_run_shows_what_would_be_charged_and_stores_nothing(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.running((3, 14, 0))
    world.clock.advance(days=2)
    assert await show_close(settings, world.clock(), *OURS, explain=False)
    [row] = [line.split() for line in capsys.readouterr().out.splitlines() if "Adriatica" in line]
    assert [cell for cell in row if cell.isalnum()] == ["Adriatica", "IT", "1", "3", "14", "0", "agree"]
    async with world.sessions() as db:
        assert await db.scalar(select(func.count()).select_from(ClosedPeriod)) == 0


async def test_an_explanation_shows_both_computations_where_they_differ_and_a_held_report_is_taken_again(
    world: World, settings: Settings, owner: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.running((3, 0, 0))
    world.clock.now = APRIL + GRACE
    async with world.sessions.begin() as db:
        await reports.close(db, world.distributor.id, world.clock())
    async with owner.begin() as mistaken:
        await mistaken.execute(update(ReportLine).values(server=99))
    await world.close()
    assert not await show_close(settings, world.clock(), *OURS, explain=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "server: the statement says [99," in said
    assert "the raw ledger [3," in said
    assert await take_again(settings, *OURS) == 1
    await world.close()
    assert await show_close(settings, world.clock(), *OURS, explain=True)
    assert [report.number for report in await world.reports()] == ["2026-00001"]


def test_one_thing_is_asked_at_a_time() -> None:
    for options in ([], ["--dry-run", "--explain"]):
        command = ["close", "--period", "2026-03", "--distributor", "Distribuzione", *options]
        assert CliRunner().invoke(app, command).exit_code == 2
