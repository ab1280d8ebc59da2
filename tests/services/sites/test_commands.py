"""Commands ride in one answer and its repeats, to the installation concerned, and are done at most once."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services import ids
from services.errors import Invalid, Unauthenticated
from services.partners import Principal
from services.sites import Answer, Command, commands, perhaps_idle
from services.sites.commands import CommandSent, NoInstallation, Order, TooManyCommands
from services.sites.echo import Echo
from services.sites.tables import Installation
from services.usage import Line
from tests.support.clock import START
from tests.support.machine import Machine
from tests.support.world import World

ONE = (1, 0, 0)


async def give(
    world: World, machine: Machine, kind: Any = "send_inventory", name: str | None = None, **more: Any
) -> Command:
    async with world.sessions.begin() as db:
        return await commands.give(db, machine.site_id, Order(kind, name, **more), actor="test", now=world.clock())


async def again(world: World, command: Command) -> tuple[str, str]:
    """How a command stands now, and what was said of it."""
    async with world.sessions() as db:
        row = await db.get_one(Command, (command.site_id, command.id))
        return commands.state_of(row, world.clock()), row.said


def result(command: Command, outcome: str = "done", text: str = "") -> dict[str, str]:
    return {"command": ids.show("command", command.id), "outcome": outcome, "text": text}


def ids_of(answer: Answer) -> list[Any]:
    return [command.id for command in answer.commands]


async def waiting(world: World, machine: Machine) -> list[bool]:
    async with world.sessions() as db:
        return list(await db.scalars(select(Line.waiting).where(Line.site_id == machine.site_id).order_by(Line.line)))


@pytest.fixture
async def machine(world: World) -> Machine:
    return await world.running(ONE)


# --- riding -----------------------------------------------------------------------------------------------------


async def test_a_command_rides_in_the_next_answer_and_in_no_other(world: World, machine: Machine) -> None:
    command = await give(world, machine, "run_backup", "Nightly")
    assert await waiting(world, machine) == [True]
    assert ids_of(await world.beat(machine, ONE)) == [command.id]
    assert await waiting(world, machine) == [False]  # the next one is idle again
    assert (await again(world, command))[0] == "sent"
    assert ids_of(await world.beat(machine, ONE)) == []


async def test_the_repeat_of_a_lost_answer_holds_its_commands_again(world: World, machine: Machine) -> None:
    first, second = await give(world, machine), await give(world, machine, "rename", "Hotel Adria")
    body = machine.body(world.clock(), ONE)
    for _ in range(3):
        answer = await world.hear(machine, body)
        assert isinstance(answer, Answer)
        assert ids_of(answer) == [first.id, second.id]
    assert isinstance(answer, Answer)
    machine.learn(answer)
    later = await give(world, machine, "run_backup", "Nightly")
    again = await world.hear(machine, body)
    assert isinstance(again, Answer)
    assert ids_of(again) == [first.id, second.id]  # the repeat is the same answer: what came later waits for the next
    assert ids_of(await world.beat(machine, ONE)) == [later.id]


async def test_a_copy_of_the_disk_is_never_given_what_the_other_one_was(world: World, machine: Machine) -> None:
    image = machine.image()
    await give(world, machine)
    await world.beat(machine, ONE)  # sent on the old line
    resumed = await world.beat(image, ONE, [], resume=True)
    assert ids_of(resumed) == []


async def test_only_the_installation_concerned_is_given_it(world: World, machine: Machine) -> None:
    other = await world.running(ONE, "Other")
    beside = Machine(machine.license_key)
    await world.activate(beside, product="server_plus", version="5.1")
    command = await give(world, machine)
    assert ids_of(await world.beat(other, ONE)) == []
    assert ids_of(await world.beat(beside, ONE)) == []
    assert ids_of(await world.beat(machine, ONE)) == [command.id]
    to_beside = await give(world, machine, installation_id=beside.installation_id)
    assert ids_of(await world.beat(machine, ONE)) == []
    assert ids_of(await world.beat(beside, ONE)) == [to_beside.id]


async def test_one_that_has_expired_or_was_cancelled_is_not_sent(world: World, machine: Machine) -> None:
    expired = await give(world, machine, lasts=timedelta(minutes=5))
    world.clock.advance(minutes=5)
    cancelled = await give(world, machine)
    async with world.sessions.begin() as db:
        for _ in range(2):
            await commands.cancel(db, machine.site_id, cancelled.id, now=world.clock())
    assert ids_of(await world.beat(machine, ONE)) == []
    assert (await again(world, expired))[0] == "expired"
    assert (await again(world, cancelled))[0] == "cancelled"


async def test_what_was_sent_cannot_be_cancelled(world: World, machine: Machine) -> None:
    command = await give(world, machine)
    await world.beat(machine, ONE)
    async with world.sessions.begin() as db:
        with pytest.raises(CommandSent):
            await commands.cancel(db, machine.site_id, command.id, now=world.clock())


# --- giving -----------------------------------------------------------------------------------------------------


async def test_the_same_command_is_given_once_while_it_waits(world: World, machine: Machine) -> None:
    first = await give(world, machine, "run_backup", "Nightly")
    assert (await give(world, machine, "run_backup", "Nightly")).id == first.id
    assert (await give(world, machine, "run_backup", "Weekly")).id != first.id
    await world.beat(machine, ONE)
    assert (await give(world, machine, "run_backup", "Nightly")).id != first.id


async def test_a_site_has_so_many_open_commands_at_most(world: World, machine: Machine) -> None:
    for number in range(commands.OPEN_MAX):
        await give(world, machine, "run_backup", f"Definition {number}")
    with pytest.raises(TooManyCommands):
        await give(world, machine)
    world.clock.advance(days=1)
    await give(world, machine)


async def test_a_command_needs_somebody_who_could_carry_it_out(world: World) -> None:
    issued = await world.key()
    with pytest.raises(NoInstallation):
        await give(world, Machine(issued.code, site_id=issued.key.site_id))


@pytest.mark.parametrize(("kind", "name"), [("run_backup", None), ("rename", None), ("send_inventory", "x")])
async def test_a_name_belongs_to_those_that_need_one(
    world: World, machine: Machine, kind: Any, name: str | None
) -> None:
    with pytest.raises(Invalid):
        await give(world, machine, kind, name)


# --- results ----------------------------------------------------------------------------------------------------


async def test_a_result_is_kept_and_the_first_one_counts(world: World, machine: Machine) -> None:
    command = await give(world, machine, "run_backup", "Nightly")
    await world.beat(machine, ONE)
    answer = await world.beat(machine, ONE, results=[result(command, "refused", "commands are switched off")])
    assert answer.notices == []
    await world.beat(machine, ONE, results=[result(command, "done")])
    assert await again(world, command) == ("refused", "commands are switched off")


async def test_a_done_rename_is_the_installation_s_name(world: World, machine: Machine) -> None:
    command = await give(world, machine, "rename", "Hotel Adria, Rimini")
    await world.beat(machine, ONE)
    await world.beat(machine, ONE, results=[result(command)])
    async with world.sessions() as db:
        installation = await db.get_one(Installation, (machine.site_id, machine.installation_id))
        assert installation.name == "Hotel Adria, Rimini"


async def test_results_of_unknown_unsent_and_foreign_commands_are_ignored_with_a_notice(
    world: World, machine: Machine
) -> None:
    other = await world.running(ONE, "Other")
    foreign = await give(world, other)
    await world.beat(other, ONE)
    unsent = await give(world, machine, lasts=timedelta(minutes=1))
    world.clock.advance(minutes=1)
    unknown = {"command": "cmd_1", "outcome": "done", "text": ""}
    answer = await world.beat(machine, ONE, results=[result(foreign), result(unsent), unknown])
    assert [notice["code"] for notice in answer.notices] == ["command_unknown"] * 3
    assert answer.notices[2]["command"] == "cmd_1"
    assert (await again(world, foreign))[0] == "sent"


async def test_a_result_that_comes_after_the_expiry_is_ignored_with_a_notice(world: World, machine: Machine) -> None:
    command = await give(world, machine)
    await world.beat(machine, ONE)
    world.clock.advance(days=1)
    answer = await world.beat(machine, ONE, results=[result(command)])
    assert [notice["code"] for notice in answer.notices] == ["command_expired"]
    assert (await again(world, command))[0] == "expired"


async def test_a_partner_sees_the_commands_of_its_own_time_with_the_site(world: World, machine: Machine) -> None:
    command = await give(world, machine)
    other = await world.another_msp("Baltica")
    async with world.sessions() as db:
        for msp_id, expected in ((world.msp.id, [command.id]), (other.id, [])):
            principal = Principal(msp_id, msp_id, at=world.clock())
            rows = await commands.commands_of(db, principal, machine.site_id, after=None, limit=10)
            assert [row.id for row in rows] == expected


# --- the credential ---------------------------------------------------------------------------------------------


def offering(machine: Machine) -> tuple[Machine, str]:
    """The machine as it will be with its next secret, and what it offers of it."""
    following = machine.image()
    following.secret = machine.secret[::-1]
    return following, hashlib.sha256(following.secret.encode()).hexdigest()


async def test_the_old_credential_holds_until_the_offered_one_was_used_once(world: World, machine: Machine) -> None:
    command = await give(world, machine, "rotate_credential")
    await world.beat(machine, ONE)
    following, offered = offering(machine)
    await world.beat(machine, ONE, next_credential_sha256=offered)
    await world.beat(machine, ONE)  # the old one still holds
    following.learn({"sequence": machine.sequence, "echo": machine.echo, "through": 1, "receipt": machine.receipt})
    await world.beat(following, ONE)
    assert (await again(world, command))[0] == "done"
    refused = await world.hear(machine, following.body(world.clock(), ONE))
    assert isinstance(refused, Unauthenticated)
    await world.activate(following)  # a repeat of the activation is one with the new credential
    assert ("credential_changed", world.clock(), "site") in await world.timeline(machine)


async def test_the_repeat_of_a_request_may_come_with_the_next_credential(world: World, machine: Machine) -> None:
    await give(world, machine, "rotate_credential")
    await world.beat(machine, ONE)
    following, offered = offering(machine)
    body = machine.body(world.clock(), ONE, next_credential_sha256=offered)
    await world.hear(machine, body)
    answer = await world.hear(following, body)
    assert isinstance(answer, Answer)
    following.learn(answer)
    await world.beat(following, ONE)


async def test_an_offer_that_nobody_asked_for_is_ignored(world: World, machine: Machine) -> None:
    following, offered = offering(machine)
    answer = await world.beat(machine, ONE, next_credential_sha256=offered)
    assert [notice["code"] for notice in answer.notices] == ["credential_ignored"]
    assert isinstance(await world.hear(following, machine.body(world.clock(), ONE)), Unauthenticated)


async def test_a_new_line_knows_the_offered_credential_too(world: World, machine: Machine) -> None:
    await give(world, machine, "rotate_credential")
    await world.beat(machine, ONE)
    following, offered = offering(machine)
    image = following.image()
    await world.beat(machine, ONE, next_credential_sha256=offered)
    await world.beat(image, ONE, [], resume=True)
    assert isinstance(await world.hear(machine, machine.body(world.clock(), ONE)), Unauthenticated)


# --- the cost ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "idle"),
    [
        ({}, True),
        ({"backups": {"ok": 1, "warning": 0, "failed": 0, "overdue": 0}}, True),
        ({"results": [{"command": "c", "outcome": "done"}]}, False),
        ({"next_credential_sha256": "0" * 64}, False),
    ],
)
def test_what_brings_something_is_not_tried_as_idle(more: dict[str, Any], idle: bool) -> None:
    machine = Machine("", sequence=4)
    body = machine.body(START, ONE, **more)
    assert perhaps_idle(machine.heartbeat(body), Echo(0, 4, 1)) is idle
