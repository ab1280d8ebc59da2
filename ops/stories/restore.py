"""Story: a Site Manager is put back from an image of last week, as a backup product's own server will be."""

from ops.stories.stage import Stage
from site_manager import Repaired

TITLE = "The restore"
QUESTION = "A Site Manager's disk dies, and an image of four days ago is put back. What does the month's report say?"
MORAL = "A restored image goes on by itself: it erases no agent that was counted and adds none that was not."
_SITE = "Clinica San Rocco"


async def play(stage: Stage) -> None:
    """Play it."""
    screen = stage.screen
    screen.step(stage.clock(), "The Site Manager activates its key and reports 12 servers and 60 workstations")
    code, machine = await stage.site(_SITE)
    machine.count(12, 60)
    await machine.activate(code)
    await machine.beat()
    screen.pause()

    await stage.pass_time(hours=6)
    screen.step(stage.clock(), "An image of its disk is taken, as every night")
    image = machine.image(stage.folder / "image.sqlite")
    screen.pause()

    await stage.pass_time(days=2)
    screen.step(stage.clock(), "Two days later it has grown by 15 workstations")
    machine.count(12, 75)
    await machine.beat()
    screen.pause()
    await stage.pass_time(days=2)
    screen.step(stage.clock(), "Four days later, at 75 workstations, the disk dies")
    await machine.off()
    stage.machines.remove(machine)
    screen.pause()

    screen.step(stage.clock(), "The image is put back: it believes that it is four days ago")
    restored = stage.machine(machine.hostname, image)
    restored.count(12, 62)
    outcome = await restored.beat()
    screen.why(
        "The echo it holds is genuine but old, so its place in the conversation is taken. It resumes from there on a "
        "line of its own, and nobody has to do anything."
    )
    screen.check("it goes on by itself", not isinstance(outcome, Repaired) and restored.answered is not None)
    screen.pause()

    await stage.pass_time(days=3)
    screen.step(stage.clock(), "Three days later")
    seen = await stage.view(_SITE)
    screen.sees("the MSP", f"{_SITE} is {seen['state']}, {seen['liveness']}, flags: {seen['flags'] or 'none'}")
    screen.check("a restore is not taken for a clone", seen["flags"] == [])
    line = await stage.line(_SITE)
    screen.sees("the report if it closed now", f"{line['server']['peak']} servers, {_stations(line)} workstations")
    screen.check("the 75 that were there before the image was put back stay counted, once", _stations(line) == 75)
    screen.why("An installation's usage is the highest of its lines at each instant: lines are never added.")


def _stations(line: dict[str, dict[str, int]]) -> int:
    return line["workstation"]["peak"]
