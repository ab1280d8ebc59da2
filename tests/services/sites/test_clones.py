"""Clones and restores: which of them a flag goes up for, and down again; and how long a machine's address is kept."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from services import sites
from services.delivery import Letter
from services.errors import Absent
from services.partners import Msp, PartnerKind, Principal, Right, WrongPartner
from services.sites import Answer, LineBroken, letters
from services.sites.addresses import KEPT
from services.sites.tables import Installation, LineSighting, SiteFlag
from services.usage import Line
from tests.support.machine import Body, Machine
from tests.support.mail import Mailbox, deliver_letters
from tests.support.world import World


async def up(world: World) -> list[str]:
    async with world.sessions() as db:
        return list(await db.scalars(select(SiteFlag.flag).where(SiteFlag.until_at.is_(None))))


async def lines(world: World) -> int:
    async with world.sessions() as db:
        return len(list(await db.scalars(select(Line.line))))


async def take_down(
    world: World, machine: Machine, flag: sites.flags.Flag, kind: PartnerKind = PartnerKind.MSP
) -> None:
    own = {PartnerKind.MSP: world.msp.id, PartnerKind.DISTRIBUTOR: world.distributor.id}
    caller = Principal(own[kind], own[kind], kind, frozenset(Right), at=world.clock())
    async with world.sessions.begin() as db:
        key = await sites.standing.lock(db, machine.site_id)
        await sites.flags.take_down(db, caller, key, flag, reason="one was switched off", now=world.clock())


async def cloned(world: World) -> tuple[Machine, Machine]:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    await world.beat(image, (3, 0, 0), resume=True)
    await world.pass_time(minutes=15)
    await world.beat(machine, (2, 0, 0))
    assert await up(world) == ["clone_suspected"]
    return machine, image


async def test_two_machines_restored_from_one_image_are_a_clone_too(world: World) -> None:
    machine = await world.running((1, 0, 0))
    images = [machine.image(), machine.image()]
    await world.beat(machine, (2, 0, 0))  # and is gone
    for image in images:
        await world.pass_time(minutes=15)
        await world.beat(image, (3, 0, 0), resume=True)
    assert await up(world) == []
    await world.pass_time(minutes=15)
    await world.beat(images[0], (3, 0, 0))
    assert await up(world) == ["clone_suspected"]


async def test_one_restore_after_another_is_no_clone(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    for count in (2, 3, 4):
        await world.beat(machine, (count, 0, 0))
        machine = image.image()
        await world.pass_time(minutes=15)
        await world.beat(machine, (count, 0, 0), resume=True)
        await world.beat(machine, (count, 0, 0))
    assert await up(world) == []


async def test_a_clone_s_flag_is_taken_down_by_the_msp_and_goes_up_again_if_both_still_speak(world: World) -> None:
    machine, image = await cloned(world)
    for _ in range(2):
        await take_down(world, machine, "clone_suspected")
    for _ in range(2):
        await world.pass_time(minutes=15)
        await world.beat(machine, (2, 0, 0))
        assert await up(world) == []
    await world.pass_time(minutes=15)
    await world.beat(image, (3, 0, 0))
    assert await up(world) == ["clone_suspected"]


async def test_what_is_implausible_is_taken_down_by_those_who_invoice_by_it(world: World) -> None:
    machine = await world.running((1, 0, 0))
    with pytest.raises(Absent):
        await take_down(world, machine, "implausible", PartnerKind.DISTRIBUTOR)
    too_many = {"ok": 9, "warning": 0, "failed": 0, "overdue": 0}
    await world.beat(machine, (1, 0, 0), backups=too_many)
    assert await up(world) == ["implausible"]
    with pytest.raises(WrongPartner):
        await take_down(world, machine, "implausible")
    await take_down(world, machine, "implausible", PartnerKind.DISTRIBUTOR)
    assert await up(world) == []
    await world.pass_time(minutes=15)
    await world.beat(machine, (1, 0, 0), backups=too_many)
    assert await up(world) == ["implausible"]


async def test_a_late_duplicate_of_a_resume_opens_no_further_line(world: World) -> None:
    machine = await world.running((1, 0, 0))
    image = machine.image()
    await world.beat(machine, (2, 0, 0))
    resumed: Body = image.body(world.clock(), (3, 0, 0), resume=True)
    first = await world.hear(image, resumed)
    assert isinstance(first, Answer)
    copy = image.image()  # with the resume on its disk, and no answer
    image.learn(first)
    await world.beat(image, (4, 0, 0))
    assert isinstance(await world.hear(copy, resumed), LineBroken)
    assert await lines(world) == 2
    await world.beat(copy, (3, 0, 0), resume=True)  # a nonce of its own: that is a copy of the disk indeed
    assert await lines(world) == 3


async def test_a_late_duplicate_of_a_resume_that_needed_no_line_opens_none(world: World) -> None:
    machine = await world.running((1, 0, 0))
    resumed: Body = machine.body(world.clock(), (2, 0, 0), resume=True)
    answer = await world.hear(machine, resumed)
    assert isinstance(answer, Answer)
    machine.learn(answer)
    await world.beat(machine, (3, 0, 0))
    assert isinstance(await world.hear(machine, resumed), LineBroken)
    assert await lines(world) == 1


async def test_the_letter_of_a_clone_shows_both_machines_in_the_msp_s_language(world: World) -> None:
    async with world.sessions.begin() as db:
        msp = await db.get_one(Msp, world.msp.id)
        msp.technical_email, msp.language = "t@example.org", "it"
    await cloned(world)
    world.clock.advance(minutes=15)
    mailbox = Mailbox()
    await deliver_letters(world, mailbox)
    [letter] = mailbox.messages
    text = letter.get_content()
    assert text.count("sentita per la prima volta il") == 2
    assert text.count("marzo 2026") == 4
    assert " to " not in text


async def test_addresses_of_machines_are_kept_for_twelve_months_and_no_longer(world: World) -> None:
    machine = Machine((await world.key()).code)
    async with world.sessions.begin() as db:
        bound = await sites.activate(db, world.desk, machine.activation(), world.clock(), address="192.0.2.7")
        machine.learn(bound)
        await sites.clones.sighted(
            db,
            machine.site_id,
            machine.installation_id,
            0,
            address="192.0.2.8",
            hostname="backup01",
            now=world.clock(),
        )
    async with world.sessions.begin() as db:
        (await db.get_one(Msp, world.msp.id)).technical_email = "t@example.org"
        seen = {"hostname": "backup01", "first": world.clock().isoformat(), "last": world.clock().isoformat()}
        shown = [{**seen, "address": address} for address in ("192.0.2.7", "192.0.2.8")]
        await letters.tell(db, letters.CLONE, await world.key_of(machine), {"machines": shown}, world.clock())
    begun = world.clock.now
    world.clock.advance(minutes=15)
    await deliver_letters(world, Mailbox())
    world.clock.now = begun
    for length, kept in ((KEPT - timedelta(seconds=1), True), (timedelta(seconds=1), False)):
        world.clock.now += length
        async with world.sessions.begin() as db:
            await sites.addresses.erase_old(db, world.clock())
        async with world.sessions() as db:
            found = [*await db.scalars(select(Installation.address)), *await db.scalars(select(LineSighting.address))]
            [letter] = await db.scalars(select(Letter))
        assert found == (["192.0.2.7", "192.0.2.8"] if kept else [None, None])
        assert ("192.0.2.8" in str(letter.values)) is kept
        assert letter.sent_at is not None
