"""The first page: what needs whom, worst first, and one click that lets a refused machine in."""

import re
from uuid import UUID

import pytest
from fastapi import FastAPI

from services import delivery, ids, sites
from services.partners import VENDOR_ID, PartnerKind, Registration, Role
from services.sites import KeyAlreadyBound, flags
from tests.console.conftest import Opened, Somebody
from tests.support.console import pages_of, text_of
from tests.support.machine import Machine
from tests.support.people import person
from tests.support.statements import counted
from tests.support.world import World

FAILED = {"ok": 3, "warning": 0, "failed": 2, "overdue": 1}


async def refused(world: World, name: str = "Studio Bassi") -> Machine:
    """A machine that came with a key that another holds."""
    holder = await world.running((3, 0, 0), name)
    other = Machine(holder.license_key)
    async with world.sessions.begin() as db:
        with pytest.raises(KeyAlreadyBound):
            await sites.activate(db, world.desk, other.activation(hostname="new-server"), world.clock())
    return other


async def morning(world: World) -> None:
    """A fleet with something of each kind the matter."""
    await world.running((1, 0, 0), "Albergo Adria")
    await world.pass_time(days=11)
    await world.running((2, 0, 0), "Bar Sport")
    await world.pass_time(days=2)
    broken = await world.running((3, 25, 1), "Officina Rossi")
    await world.beat(broken, (3, 25, 1), backups=FAILED)
    await refused(world)
    async with world.sessions.begin() as db:
        await flags.raise_flag(db, broken.site_id, flags.CLONE, {"kind": "clone", "machines": []}, world.clock())
    while not (await world.sweep()).idle:
        pass


async def test_a_technician_sees_what_is_wrong_worst_first(world: World, open_window: Opened) -> None:
    await morning(world)
    window = await open_window(await person(world, PartnerKind.MSP, world.msp.id), language="it", script=False)
    await window.open("/")
    titles = [
        re.sub(r"\s*\d+\+?$", "", one) for one in await window.page.locator("[data-live=needs] h2").all_inner_texts()
    ]
    assert titles == [
        "In via di disattivazione",
        "Attivazioni rifiutate",
        "Backup falliti",
        "Cloni sospetti",
        "Non raggiungibili",
    ]
    assert "Albergo Adria" in await window.page.locator("section.needs").first.inner_text()
    await window.picture("needs-you")
    await window.page.get_by_role("button", name="Sblocca e consenti: new-server").click()
    assert await window.says("La chiave è libera per quella macchina")
    assert not await window.says("Attivazioni rifiutate")


async def test_who_may_only_read_is_offered_no_act_and_one_that_is_sent_is_refused(
    world: World, as_somebody: Somebody
) -> None:
    await refused(world)
    viewer = await as_somebody(PartnerKind.MSP, Role.VIEWER)
    page = await viewer.get("/")
    assert "Refused activations" in page.text
    assert "Release and allow" not in page.text
    member = await as_somebody(PartnerKind.MSP, Role.MEMBER)
    [act] = re.findall(r'action="(/sites/[^"]+/allow)"', (await member.get("/")).text)
    assert (await viewer.post(act)).status_code == 403
    assert (await member.post(act)).status_code == 303


async def test_each_kind_of_partner_sees_what_concerns_it_and_nobody_a_stranger_s(
    world: World, app: FastAPI, as_somebody: Somebody
) -> None:
    await morning(world)
    of_distributor = text_of(await (await as_somebody(PartnerKind.DISTRIBUTOR)).get("/"))
    assert "Albergo Adria Adriatica IT" in of_distributor
    assert "Failed backups" not in of_distributor
    of_vendor = text_of(await (await as_somebody(PartnerKind.VENDOR)).get("/"))
    assert "Suspected clones" in of_vendor
    stranger = await person(world, PartnerKind.MSP, (await world.another_msp("Altra")).id)
    pages = await pages_of(app, world, stranger)
    assert "Nothing needs you" in text_of(await pages.get("/"))


async def test_what_happened_since_yesterday_says_to_what(world: World, as_somebody: Somebody) -> None:
    machine, now = await world.running((1, 0, 0), "Hotel Adria"), world.clock()
    site, msp = ids.show("site", machine.site_id), ids.show("msp", world.msp.id)
    company = Registration(
        id=ids.new_id(now), company="Brenta Servizi", country="IT", vat_number="1", contact="G", email="g@example.org",
        language="it", terms_version="1", privacy_version="1", token_sha256=b"", created_at=now, expires_at=now,
    )  # fmt: skip
    report, registration = ids.show("report", company.id), ids.show("registration", company.id)
    told: tuple[tuple[UUID, delivery.EventKind, dict[str, str]], ...] = (
        (world.msp.id, "site.disabled", {"site": site}),
        (world.msp.id, "report.issued", {"report": report, "number": "7/2026"}),
        (world.distributor.id, "letter.undeliverable", {"msp": msp}),
        (VENDOR_ID, "registration.verified", {"registration": registration}),
    )
    async with world.sessions.begin() as db:
        db.add(company)
        for partner_id, event, subject in told:
            delivery.emit(db, partner_id=partner_id, kind=event, subject=subject, now=now)
    wanted = {
        PartnerKind.MSP: [f'href="/sites/{site}">Hotel Adria</a>', f'href="/reports/{report}">7/2026</a>'],
        PartnerKind.DISTRIBUTOR: [f'href="/msps/{msp}">{world.msp.name}</a>'],
        PartnerKind.VENDOR: [f'href="/registrations/{registration}">Brenta Servizi</a>'],
    }
    for kind, links in wanted.items():
        page = (await (await as_somebody(kind)).get("/")).text.partition("Since yesterday")[2]
        assert [link for link in links if link not in page] == [], kind


async def test_as_many_queries_for_many_as_for_few(world: World, as_somebody: Somebody) -> None:
    await morning(world)
    pages = await as_somebody()
    with counted() as few:
        await pages.get("/")
    for number in range(5):
        broken = await world.running((1, 0, 0), f"Officina {number}")
        await world.beat(broken, (1, 0, 0), backups=FAILED)
        await refused(world, f"Studio {number}")
    with counted() as many:
        assert "Officina 4" in (await pages.get("/")).text
    assert len(few) == len(many)
