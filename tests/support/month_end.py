"""A world at month's end: March and April of an MSP issued and stated, and what partners ask of each other."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from services import ids, partners, reports
from services.partners import VENDOR_ID, PartnerKind, Principal, User
from services.reports import Stretch, Tier
from services.reports.billing_tables import Statement
from services.reports.tables import Report
from tests.support.machine import Machine, agents, change
from tests.support.people import person
from tests.support.world import World

APRIL = datetime(2026, 3, 31, 22, tzinfo=UTC)
MAY = datetime(2026, 4, 30, 22, tzinfo=UTC)
GRACE, DAY = timedelta(hours=6), timedelta(days=1)
PRICES = {
    "server": [Tier(0, Decimal("10")), Tier(50, Decimal("8.005"))],
    "workstation": [Tier(0, Decimal("1.125"))],
    "server_plus": [Tier(0, Decimal("12.5"))],
}


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """What it is about: its machines, its reports and statements, and what was asked."""

    hotel: Machine
    studio: Machine
    march: Report
    april: Report
    statement: Statement

    @property
    def report(self) -> str:
        """April's address."""
        return f"/reports/{ids.show('report', self.april.id)}"

    @property
    def line(self) -> str:
        """The address of the hotel's line in April."""
        return f"{self.report}/lines/{ids.show('site', self.hotel.site_id)}"


async def month_end(world: World, *, stated: bool = True) -> MonthEnd:
    """Two months of three sites: the hotel grew, the studio fell silent over the close, one is new."""
    if stated:
        await prices(world)
    hotel, studio = await world.running((6, 20, 1), "Hotel Adria"), await world.running((2, 1200, 0), "Studio Bassi")
    await heard(world, hotel, APRIL - DAY, (7, 22, 1))
    await heard(world, hotel, APRIL + GRACE / 2, (7, 22, 1))
    await heard(world, studio, APRIL - 9 * DAY, (2, 1200, 0))
    world.clock.now = APRIL + GRACE
    await world.close()
    await heard(world, hotel, MAY - 3 * DAY, (9, 22, 1))
    verdi = await world.running((1, 2, 0), "Officina Verdi")
    await heard(world, verdi, MAY + GRACE / 4, (1, 2, 0))
    await heard(world, hotel, MAY + GRACE / 3, (9, 22, 1))
    world.clock.now = MAY + GRACE
    await world.close()
    march, april = await world.reports()
    async with world.sessions() as db:
        statement = (await db.scalars(select(Statement).order_by(Statement.starts_at))).all()[-1] if stated else None
    return MonthEnd(hotel, studio, march, april, statement)  # type: ignore[arg-type]


async def heard(world: World, machine: Machine, at: datetime, deployed: tuple[int, int, int]) -> None:
    """The machine is heard at an instant: what it has, since a day, of which a third is not active."""
    world.clock.now = at
    active = agents((deployed[0] - deployed[0] // 3, deployed[1] - deployed[1] // 3, deployed[2]))
    await world.beat(machine, deployed, [change(machine.through + 1, at - DAY, deployed, active=active)])


async def prices(world: World, **fields: object) -> None:
    """Prices for all MSPs from January on."""
    async with world.sessions.begin() as db:
        values = {"msp_id": None, "currency": "EUR", "from_month": "2026-01", "tiers": PRICES, "actor": "anna"}
        await reports.set_prices(db, world.distributor.id, **{**values, "now": world.clock(), **fields})  # type: ignore[arg-type]


async def dispute(world: World, at: MonthEnd) -> str:
    """The MSP disputes the hotel's line of April; gives the address of its course."""
    async with world.sessions.begin() as db:
        caller, claimed = Principal(world.msp.id, world.msp.id), (8, 22, 1)
        row = await reports.dispute(
            db, caller, at.april.id, at.hotel.site_id, claimed, reason="Un server era una prova", now=world.clock()
        )
    return f"/disputes/{ids.show('dispute', row.id)}"


async def void(world: World, machine: Machine) -> str:
    """The MSP asks that an hour of the present month is not charged; gives its address."""
    async with world.sessions.begin() as db:
        now = world.clock()
        asked = Stretch(machine.site_id, now - timedelta(hours=2), now - timedelta(hours=1), "Distribuito per errore")
        row = await reports.ask_void(db, Principal(world.msp.id, world.msp.id), asked, now)
    return f"/voids/{ids.show('void', row.id)}"


async def someone(world: World, kind: PartnerKind = PartnerKind.MSP) -> User:
    """A new person of the world's own MSP, distributor, or the vendor: a month is longer than any session."""
    own = {PartnerKind.MSP: world.msp.id, PartnerKind.DISTRIBUTOR: world.distributor.id, PartnerKind.VENDOR: VENDOR_ID}
    email = f"{kind}.{ids.new_id(world.clock())}@example.org"
    return await person(world, kind, own[kind], email=email)


async def excused(world: World, machine: Machine) -> str:
    """A stretch of a site's April is excused; gives the address where it stands."""
    async with world.sessions.begin() as db:
        asked = Stretch(machine.site_id, APRIL + DAY, APRIL + 2 * DAY, "Laboratorio proprio")
        await reports.excuse(db, asked, actor="anna", now=world.clock())
    return f"/excuses/{ids.show('site', machine.site_id)}"


async def with_identity(world: World) -> None:
    """The MSP has what an invoice to it needs."""
    async with world.sessions.begin() as db:
        msp = await db.get_one(partners.Msp, world.msp.id)
        msp.legal_name, msp.address, msp.country = "Adriatica IT S.r.l.", "Via del Porto 3, 61121 Pesaro", "IT"
        msp.vat_number, msp.sdi_code, msp.customer_code = "IT01234567890", "ABC1234", "C-0042"
