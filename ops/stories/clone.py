"""Story: a Site Manager's machine is copied, and both go on."""

from ops.stories.stage import Stage

TITLE = "The clone"
QUESTION = "A virtual machine with a Site Manager is copied, and both run. Are the agents counted twice? Who finds out?"
MORAL = "A copy is found at its first heartbeat, shown with both machines, locked out of nothing and counted once."
_SITE = "Tessitura Crespi"


async def play(stage: Stage) -> None:
    """Play it."""
    screen = stage.screen
    screen.step(stage.clock(), "The Site Manager activates its key and reports 9 servers and 70 workstations")
    code, machine = await stage.site(_SITE)
    machine.count(9, 70)
    await machine.activate(code)
    await machine.beat()
    screen.pause()

    await stage.pass_time(hours=6)
    screen.step(stage.clock(), "The machine is copied, spool, secret and all, and the copy is started")
    copy = stage.machine("crespi-test", machine.image(stage.folder / "copy.sqlite"))
    copy.wire.shown = machine.wire.shown = False
    await stage.pass_time(minutes=30)
    machine.wire.shown = True
    await machine.beat()
    copy.wire.shown = True
    copy.count(9, 40)
    await copy.beat()
    screen.why(
        "Both hold one secret and one echo. The original has used the echo up, so the copy's heartbeat cannot be a "
        "repeat (its nonce is another) nor the next one. It resumes on a line of its own, as a restored image would."
    )
    seen = await stage.view(_SITE)
    screen.check("one that resumes is no clone yet: it may be a restore", seen["flags"] == [])
    screen.pause()

    await stage.pass_time(minutes=30)
    screen.step(stage.clock(), "The original speaks again: so both are alive")
    await machine.beat()
    await stage.pass_time(hours=1)
    await copy.beat()
    seen = await stage.view(_SITE)
    screen.sees("the MSP", f"{_SITE} is {seen['state']}, flags: {', '.join(seen['flags'])}")
    screen.check("it is flagged as a clone", seen["flags"] == ["clone_suspected"])
    letters = stage.show_letters()
    text = str(letters[0].get_content()) if letters else ""
    shown = "; ".join(line.strip() for line in text.splitlines() if ", address " in line)
    screen.sees("in the letter", shown)
    both = all(one in shown for one in (machine.hostname, copy.hostname, machine.wire.address, copy.wire.address))
    screen.check("both hostnames and addresses are named, with their times", both)
    answers = (machine.answered, copy.answered)
    screen.check("nobody is locked out", all(one is not None and one.state == "active" for one in answers))
    screen.pause()

    await stage.pass_time(days=2)
    screen.step(stage.clock(), "Two days later")
    line = await stage.line(_SITE)
    peak = line["workstation"]["peak"]
    screen.sees("the report if it closed now", f"{peak} workstations; flags: {', '.join(line['flags'])}")
    screen.check("the two are never added: 70 and 40 are 70", peak == 70)
