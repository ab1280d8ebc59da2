"""Story: the service itself is away for longer than any silence is allowed to last."""

import asyncio
from datetime import datetime, timedelta

from ops.stories.stage import Stage

TITLE = "The outage"
QUESTION = (
    "The License API is killed and stays away for sixteen days, longer than a key may be silent. Who is disabled?"
)
MORAL = "Our own absence is nobody's silence: no site is disabled for it, and nothing that happened meanwhile is lost."
_WELL = ("Officine Ferri", "Studio Bassi")
_SILENT = "Cantina Montorso"
_AWAY = timedelta(days=16)


async def play(stage: Stage) -> None:
    """Play it."""
    before = await _set_out(stage)
    await _be_away(stage)
    await _come_back(stage)
    await _look_at_the_silent(stage, before)


async def _set_out(stage: Stage) -> datetime:
    screen = stage.screen
    screen.step(stage.clock(), "Three sites are well")
    for name in (*_WELL, _SILENT):
        code, machine = await stage.site(name)
        machine.wire.shown = False
        machine.count(2, 10)
        await machine.activate(code)
        await machine.beat()
    screen.say(f"{', '.join(_WELL)} and {_SILENT} report 2 servers and 10 workstations each.")
    screen.pause()

    stage.machines[-1].wire.cut = True
    await stage.pass_time(days=10)
    screen.step(stage.clock(), f"{_SILENT} has been silent for ten days of its own")
    before = datetime.fromisoformat((await stage.view(_SILENT))["disable_at"])
    screen.sees("the MSP", f"{_SILENT} would be disabled on {before:%d %b %H:%M} UTC")
    stage.show_letters()
    screen.pause()
    return before


async def _be_away(stage: Stage) -> None:
    screen, first = stage.screen, stage.machines[0]
    screen.step(stage.clock(), "kill -9 of the License API")
    await asyncio.to_thread(stage.stack.api.kill)
    first.wire.shown = True
    await first.beat()
    first.wire.shown = False
    first.count(2, 14)
    await stage.pass_time(pulsing=False, seconds=_AWAY.total_seconds() / 2)
    first.count(2, 12)
    await stage.pass_time(pulsing=False, seconds=_AWAY.total_seconds() / 2)
    screen.say("Sixteen days pass. The worker is up all the time and sweeps. The sites count on in their spools.")
    letters = stage.show_letters()
    screen.check("nobody is warned or disabled while we are away", not letters)
    screen.why("The API commits a pulse once a minute. A gap in it is our outage, and is taken off every silence.")
    screen.pause()


async def _come_back(stage: Stage) -> None:
    screen, (first, second, _) = stage.screen, stage.machines
    screen.step(stage.clock(), "The License API is started again")
    await asyncio.to_thread(stage.stack.start_api)
    first.wire.shown = True
    for _round in range(2):  # the request that waited, and what happened meanwhile
        await first.beat()
        await second.beat()
    await stage.pass_time(hours=1)
    for name in _WELL:
        seen = await stage.view(name)
        screen.sees("the MSP", f"{name} is {seen['state']}, {seen['liveness']}")
        screen.check(f"{name} was never disabled", await _disabled(stage, name) == 0)
    line = await stage.line(_WELL[0])
    screen.check("the peak that nobody could report then is counted", line["workstation"]["peak"] == 14)
    screen.pause()


async def _look_at_the_silent(stage: Stage, before: datetime) -> None:
    screen = stage.screen
    screen.step(stage.clock(), f"And {_SILENT}, which is silent of itself?")
    after = datetime.fromisoformat((await stage.view(_SILENT))["disable_at"])
    screen.sees("the MSP", f"{_SILENT} would be disabled on {after:%d %b %H:%M} UTC")
    minutes = abs((after - before - _AWAY).total_seconds()) / 60
    screen.check("its dates have moved by just our outage", minutes < 5)
    await stage.pass_time(days=4, hours=1)
    stage.show_letters()
    screen.check("it is disabled after fourteen days of its own silence", await _disabled(stage, _SILENT) == 1)


async def _disabled(stage: Stage, name: str) -> int:
    return sum(one["event"] == "disabled" for one in await stage.timeline(name))
