"""The sample's papers: registrations that wait, a dispute, a void that is asked for, what people did to keys."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ops.sample.customers import ADRIATICA, GARDA, LARIO, Fate
from ops.sample.fleet import Fleet
from ops.sample.people import VENDOR, Staff
from ops.sample.post import token_for
from services import partners, reports, sites
from services.partners import Applicant, DocumentKind, Draft
from services.reports import Stretch
from services.signing import Vault

_BRENTA, _ALPI, _NOBODY = "info@brenta.example", "direzione@alpirete.example", "x@nobody.example"
APPLICANTS = (
    Applicant("Brenta Servizi S.r.l.", "IT", "IT00743110157", "Giulia Marin", _BRENTA, "it", "2026-01", "2026-01"),
    Applicant("Alpi Rete S.p.A.", "IT", "IT01114601006", "Pietro Walser", _ALPI, "it", "2026-01", "2026-01"),
    Applicant("Nobody Ltd", "GB", "GB980780684", "John Smith", _NOBODY, "en", "2026-01", "2026-01"),
)
REJECTED = _NOBODY
DRAFTS = (
    Draft(
        DocumentKind.PROGRAMME,
        "2026-01",
        "Il programma MSP.\n\nUna chiave a consumo per ogni Site Manager; a fine mese si contano gli agenti.",
        "The MSP programme.\n\nA metered key for each Site Manager; at month's end the most agents are counted.",
    ),
    Draft(
        DocumentKind.TERMS,
        "2026-01",
        "Condizioni.\n\n1. La registrazione è gratuita, con approvazione.\n\n2. I ripristini non si fermano mai.",
        "Terms.\n\n1. Registration is free and subject to approval.\n\n2. Restores never stop.",
    ),
    Draft(
        DocumentKind.PRIVACY,
        "2026-01",
        "Informativa.\n\nConserviamo nome e indirizzo e-mail di chi accede, finché accede.",
        "Notice.\n\nWe keep the name and e-mail address of those who sign in, as long as they do.",
    ),
)


async def act_on_keys(db: AsyncSession, staff: Staff, fleet: Fleet, now: datetime) -> None:
    """Suspend, snooze, and suspend a whole MSP."""
    actor = staff.of(ADRIATICA).actor
    await sites.orders.suspend(db, fleet.of(Fate.SUSPENDED).site_id, reason="Invoice 118 unpaid", actor=actor, now=now)
    until = now + timedelta(days=12)
    await sites.orders.snooze(db, fleet.of(Fate.SNOOZED).site_id, until=until, actor=actor, now=now)
    garda = staff.partners[GARDA].id
    await sites.orders.suspend_msp(db, garda, reason="Contract under review", actor=staff.of(VENDOR).actor, now=now)


async def revoke(db: AsyncSession, staff: Staff, site_id: UUID, now: datetime) -> None:
    """Revoke a key for good."""
    await sites.orders.revoke(db, site_id, reason="Customer has closed", actor=staff.of(ADRIATICA).actor, now=now)


async def dispute(db: AsyncSession, staff: Staff, now: datetime) -> None:
    """Have Lario dispute a line of its last report, and ask that a stretch of this month is not charged."""
    lario = replace(staff.of(LARIO), at=now)
    issued = (await reports.issued(db, lario, after=None, limit=50))[-1]
    line = (await sites.sites_of(db, lario, now, after=None, limit=1, text="Filanda"))[0]
    reason = "Three workstations were a test image, removed the same day."
    await reports.dispute(db, lario, issued.report_id, line.site_id, (2, 9, 1), reason=reason, now=now)


async def ask_void(db: AsyncSession, staff: Staff, now: datetime) -> None:
    """Have Lario ask that a stretch is not charged."""
    lario = replace(staff.of(LARIO), at=now)
    line = (await sites.sites_of(db, lario, now, after=None, limit=1, text="Comune"))[0]
    stretch = Stretch(line.site_id, now - timedelta(hours=30), now - timedelta(hours=20), "A roll-out went wrong.")
    await reports.ask_void(db, lario, stretch, now)


async def reject(db: AsyncSession, staff: Staff, now: datetime) -> None:
    """Reject one of the registrations."""
    vera = replace(staff.of(VENDOR), at=now)
    rows = await partners.registrations(db, undecided=True, after=None, limit=50)
    row = next(one for one in rows if one.email == REJECTED)
    await partners.reject(db, vera, row.id, reason="The programme is for the European Union only.", now=now)


async def register(db: AsyncSession, vault: Vault, now: datetime) -> None:
    """Have companies register."""
    for one in APPLICANTS:
        await partners.register(db, vault, one, address="198.51.100.23", now=now)


async def verify(db: AsyncSession, mail: Path, now: datetime) -> None:
    """Have them follow the link of their letters."""
    for one in APPLICANTS:
        await partners.verify_registration(db, token=token_for(mail, one.email), origin=partners.Origin(), now=now)


async def publish(db: AsyncSession, staff: Staff, now: datetime) -> None:
    """Publish the programme's documents."""
    for draft in DRAFTS:
        await partners.publish(db, staff.of(VENDOR), draft, now)
