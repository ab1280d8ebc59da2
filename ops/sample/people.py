"""The partners of the sample and their people, one password for all of them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import pyotp
from sqlalchemy.ext.asyncio import AsyncSession

from ops.sample.customers import ADRIATICA, COMPANIES, ITALY, LARIO, SPAIN, VESUVIO
from services import delivery, partners, reports
from services.partners import VENDOR_ID, Partner, PartnerKind, Principal, Role, User, rights_of
from services.reports import Tier
from services.signing import Vault

VENDOR = "Partner Team"
_ZONES = {ITALY: "Europe/Rome", SPAIN: "Europe/Madrid"}
_PRICES = {
    "server": (Tier(0, Decimal("9.50")), Tier(100, Decimal("8.25"))),
    "workstation": (Tier(0, Decimal("2.40")), Tier(500, Decimal("1.95"))),
    "server_plus": (Tier(0, Decimal("24.00")),),
}


class Person(NamedTuple):
    """Somebody who can sign in."""

    name: str
    email: str
    role: Role
    partner: str
    language: str = "it"


PEOPLE = (
    Person("Vera Conti", "vera@tidemark.example", Role.ADMIN, VENDOR),
    Person("Tom Baker", "tom@tidemark.example", Role.MEMBER, VENDOR, "en"),
    Person("Dario Greco", "dario@italia.example", Role.ADMIN, ITALY),
    Person("Inés Prado", "ines@iberia.example", Role.ADMIN, SPAIN, "en"),
    Person("Anna Vianello", "anna@adriatica.example", Role.ADMIN, ADRIATICA),
    Person("Marco Furlan", "marco@adriatica.example", Role.MEMBER, ADRIATICA),
    Person("Vittoria Zane", "vittoria@adriatica.example", Role.VIEWER, ADRIATICA, "en"),
    Person("Luca Colombo", "luca@lario.example", Role.ADMIN, LARIO),
    Person("Rosa Esposito", "rosa@vesuvio.example", Role.ADMIN, VESUVIO),
)


@dataclass(frozen=True, slots=True)
class Staff:
    """Everybody, as those who ask; and what they sign in with."""

    partners: Mapping[str, Partner]
    principals: Mapping[str, Principal]
    password: str
    totp_secret: str
    recovery_codes: Mapping[str, list[str]]  # by e-mail address

    def of(self, partner: str) -> Principal:
        """Give the admin of a partner."""
        found = next(one.email for one in PEOPLE if one.partner == partner and one.role is Role.ADMIN)
        return self.principals[found]


async def add_partners(db: AsyncSession, month: str, now: datetime) -> dict[str, Partner]:
    """Add the distributors with their prices, and the MSPs."""
    made = {VENDOR: Partner(PartnerKind.VENDOR, VENDOR_ID)}
    for name, zone in _ZONES.items():
        distributor = await partners.add_distributor(db, name=name, zone=zone, now=now)
        distributor.territory, distributor.legal_name = (["IT"], f"{name} S.p.A.") if name == ITALY else (["ES"], None)
        distributor.email = f"ufficio@{'italia' if name == ITALY else 'iberia'}.example"
        made[name] = Partner(PartnerKind.DISTRIBUTOR, distributor.id)
        await reports.set_prices(
            db, distributor.id, msp_id=None, currency="EUR", from_month=month, tiers=_PRICES, actor="sample", now=now
        )
    for company in COMPANIES:
        msp = await partners.add_msp(db, name=company.name, distributor_id=made[company.distributor].id, now=now)
        msp.technical_email = msp.billing_email = company.email
        msp.legal_name, msp.language = f"{company.name} S.r.l.", company.language
        msp.country = "IT" if company.distributor == ITALY else "ES"
        made[company.name] = Partner(PartnerKind.MSP, msp.id)
    return made


async def add_staff(db: AsyncSession, vault: Vault, made: Mapping[str, Partner], now: datetime) -> Staff:
    """Add the people; those of the vendor share their second factor too."""
    password = f"tide-{secrets.token_hex(5)}"
    hashed = await partners.hash_password(password)
    principals = {}
    secret, codes = pyotp.random_base32(), {}
    for person in PEOPLE:
        partner = made[person.partner]
        user = await partners.add_user(
            db,
            partner,
            email=person.email,
            name=person.name,
            role=person.role,
            language=person.language,
            password_hash=hashed,
            now=now,
        )
        principal = principals[person.email] = _principal(partner, user, now)
        if partner.kind is PartnerKind.VENDOR:
            codes[person.email] = await _enrol(db, vault, principal, user, secret, now)
    return Staff(made, principals, password, secret, codes)


async def add_tools(db: AsyncSession, vault: Vault, staff: Staff, now: datetime) -> str:
    """Give Adriatica's programs tokens, and its webhooks an endpoint; gives a token."""
    anna = _at(staff.of(ADRIATICA), now)
    whole = await partners.add_token(
        db, anna, name="Ticketing", scopes=partners.TOKEN_RIGHTS, now=now, expires_at=now + timedelta(days=365)
    )
    reading = [right for right in partners.TOKEN_RIGHTS if right.endswith(":read")]
    old = await partners.add_token(db, anna, name="Grafana", scopes=reading, now=now, expires_at=None)
    await partners.revoke_token(db, anna, old.token.id, now)
    await delivery.add_endpoint(
        db,
        vault,
        partner_id=anna.partner_id,
        url="https://hooks.adriatica.example/tidemark",
        description="Ticketing",
        kinds=[],
        scheme="ed25519",
        contact="tecnici@adriatica.example",
        language="it",
        now=now,
    )
    await partners.invite_colleague(
        db, vault, anna, email="elena@adriatica.example", role=Role.MEMBER, language="it", now=now
    )
    return whole.text


async def _enrol(
    db: AsyncSession, vault: Vault, principal: Principal, user: User, secret: str, now: datetime
) -> list[str]:
    await partners.begin_totp(db, vault, user)
    user.totp_sealed = vault.seal(secret.encode(), user.id.bytes)
    return await partners.confirm_totp(db, vault, principal, user, pyotp.TOTP(secret).at(now), now)


def _principal(partner: Partner, user: User, now: datetime) -> Principal:
    rights = rights_of(Role(user.role))
    return Principal(partner.id, UUID(int=0), kind=partner.kind, rights=rights, user_id=user.id, at=now)


def _at(principal: Principal, now: datetime) -> Principal:
    return replace(principal, at=now)
