"""Story: a site falls silent, climbs the ladder, and comes back."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage

from ops.stories.machine import Machine
from ops.stories.stage import Stage

TITLE = "The ladder"
QUESTION = "A customer's line is cut for twenty days. Who is told what, when, and what stops working?"
MORAL = "Nobody is disabled without two letters that name the day, and the first heartbeat undoes it."
_SITE = "Cantina Montorso"


async def play(stage: Stage) -> None:
    """Play it."""
    screen = stage.screen
    screen.step(stage.clock(), "The Site Manager activates its key and reports 3 servers and 9 workstations")
    code, machine = await stage.site(_SITE)
    machine.count(3, 9)
    await machine.activate(code)
    await machine.beat()
    heard_at = stage.clock()
    dates = await stage.view(_SITE)
    screen.sees("the MSP", _dates(dates))
    screen.why("No hidden limits: the ladder of a silence is dated in advance, from the last contact on.")
    screen.pause()

    machine.wire.cut = True
    screen.step(stage.clock(), "The line is cut; agents come and go, and the site counts on in its spool")
    await machine.beat()
    await stage.pass_time(hours=12)
    machine.count(4, 11)
    await stage.pass_time(hours=13)
    first = stage.show_letters()
    screen.check("after a day the MSP's technical contact is warned", _to(first) == ["msp@example.it"])
    screen.pause()

    await stage.pass_time(days=11)
    screen.step(stage.clock(), "Two days before the end")
    second = stage.show_letters()
    both = _to(second) == ["distributor@example.it", "msp@example.it"]
    screen.check("the final warning goes to the distributor as well", both)
    screen.pause()

    await stage.pass_time(days=2)
    screen.step(stage.clock(), "Fourteen days of silence")
    third = stage.show_letters()
    seen = await stage.view(_SITE)
    screen.sees("the MSP", f"{_SITE} is {seen['state']}, {seen['liveness']}")
    disabled = [one for one in await stage.timeline(_SITE) if one["event"] == "disabled"]
    at = [datetime.fromisoformat(one["at"]) for one in disabled]
    screen.check("disabled once, dated at the deadline to the second", at == [heard_at + timedelta(days=14)])
    screen.check("and told by letter", _to(third) == ["msp@example.it"])
    screen.pause()

    await stage.pass_time(days=5, hours=23)
    await _come_back(stage, machine)


async def _come_back(stage: Stage, machine: Machine) -> None:
    screen = stage.screen
    screen.step(stage.clock(), "Twenty days without a line: the lease in hand has ended")
    allowed = machine.manager.permission()
    screen.say(f"At the site: new agents {_yes(allowed.new_agents)}, backups {_yes(allowed.backups)}, restore always.")
    screen.why("A lease never ends before the day that was published, and restoring is never licensed.")
    screen.check("nothing is allowed any more but restoring", not (allowed.new_agents or allowed.backups))
    screen.pause()

    machine.wire.cut = False
    screen.step(stage.clock(), "The line is mended")
    await machine.beat()
    back = machine.answered
    screen.why("That request was frozen when it was first sent; what happened meanwhile goes with the next.")
    await machine.beat()
    screen.check("the first heartbeat enables the key at once", back is not None and back.state == "active")
    peak = (await stage.line(_SITE))["workstation"]["peak"]
    screen.check("what happened in the dark is counted, to the instant", peak == 11)
    await stage.pass_time(hours=1)
    last = stage.show_letters()
    screen.check("and a letter says that the site is back", _to(last) == ["msp@example.it"])


def _to(letters: Sequence[EmailMessage]) -> list[str]:
    return sorted(str(letter["To"]) for letter in letters)


def _dates(site: dict[str, str]) -> str:
    return f"warned on {site['warn_at'][:16]}, final on {site['final_at'][:16]}, disabled on {site['disable_at'][:16]}"


def _yes(allowed: bool) -> str:
    return "yes" if allowed else "no"
