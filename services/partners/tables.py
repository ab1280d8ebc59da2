"""Tables of the partners. They grow with partners, not with sites, but for `site_tenures`."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row


class Distributor(Row):
    """One per territory; its zone bounds the months of its MSPs, until a `ZoneChange` does."""

    __tablename__ = "distributors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    zone: Mapped[str]
    created_at: Mapped[datetime]
    language: Mapped[str] = mapped_column(server_default="it")
    territory: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    legal_name: Mapped[str | None]
    address: Mapped[str | None]
    vat_number: Mapped[str | None]
    email: Mapped[str | None]
    # The end of its last period; may lie ahead.
    closed_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("name"),)


class ZoneChange(Row):
    """From when on a distributor's months are another zone's than `Distributor.zone`, in which it began."""

    __tablename__ = "zone_changes"

    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"), primary_key=True)
    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    zone: Mapped[str]


class Msp(Row):
    """A reseller; approved by the vendor before its keys do anything. SDI code and PEC are Italy's for e-invoices."""

    __tablename__ = "msps"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    suspended_reason: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default="it")
    legal_name: Mapped[str | None]
    address: Mapped[str | None]
    country: Mapped[str | None]
    vat_number: Mapped[str | None]
    tax_code: Mapped[str | None]
    sdi_code: Mapped[str | None]
    pec: Mapped[str | None]
    customer_code: Mapped[str | None]
    technical_email: Mapped[str | None]
    billing_email: Mapped[str | None]
    closed_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("name"),)


class PartnerLabel(Row):
    """What an MSP or a distributor was called until an instant, and the language it read. Never changed."""

    __tablename__ = "partner_labels"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID]
    until_at: Mapped[datetime]
    name: Mapped[str]
    language: Mapped[str]

    __table_args__ = (Index(None, "partner_id", "until_at"),)


class MspTenure(Row):
    """Which distributor an MSP was under, and when (half-open)."""

    __tablename__ = "msp_tenures"

    msp_id: Mapped[UUID] = mapped_column(ForeignKey("msps.id"), primary_key=True)
    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    until_at: Mapped[datetime | None]
    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"))

    __table_args__ = (
        CheckConstraint("until_at is null or until_at > from_at", name="interval"),
        Index(None, "distributor_id"),
    )


class SiteTenure(Row):
    """Which MSP a site was with, and when (half-open): the root of who sees it."""

    __tablename__ = "site_tenures"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    until_at: Mapped[datetime | None]
    msp_id: Mapped[UUID]

    __table_args__ = (
        CheckConstraint("until_at is null or until_at > from_at", name="interval"),
        Index(None, "msp_id", "site_id"),
    )


class ApiToken(Row):
    """A program that acts for a partner; only the hash of its token is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_kind: Mapped[str]
    partner_id: Mapped[UUID]
    name: Mapped[str]
    hint: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String))
    token_sha256: Mapped[bytes]
    created_at: Mapped[datetime]
    created_by: Mapped[str]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("partner_kind in ('vendor', 'distributor', 'msp')", name="kind"),
        UniqueConstraint("token_sha256"),
        Index(None, "partner_id", "id"),
    )


class PolicyRow(Row):
    """One level's own values; a column that is null leaves the level above in force.

    `spread_due_at` is when the sites below are to be told, as long as they are not; `spread_after` how far it has come.
    """

    __tablename__ = "policies"

    level: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    heartbeat_seconds: Mapped[int | None]
    warn_after_seconds: Mapped[int | None]
    final_before_seconds: Mapped[int | None]
    disable_after_seconds: Mapped[int | None]
    close_grace_seconds: Mapped[int | None]
    standalone_seats: Mapped[int | None]
    spread_due_at: Mapped[datetime | None]
    spread_after: Mapped[UUID | None]

    __table_args__ = (CheckConstraint("level in ('programme', 'distributor', 'msp')", name="level"),)


class PolicyBound(Row):
    """The least and the most that the vendor allows of a knob; without a row its first bounds hold."""

    __tablename__ = "policy_bounds"

    knob: Mapped[str] = mapped_column(primary_key=True)
    least: Mapped[int]
    most: Mapped[int]
