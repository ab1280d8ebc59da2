"""Tables of billing: a distributor's terms, its price lists, and the statements it invoices from. Append-only."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row

Money = Numeric(18, 6)


class BillingTerms(Row):
    """What a distributor chose; the newest row in force at a cut-off holds."""

    __tablename__ = "billing_terms"

    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"), primary_key=True)
    recorded_at: Mapped[datetime] = mapped_column(primary_key=True)
    no_data: Mapped[str]
    shows_amounts: Mapped[bool]
    actor: Mapped[str]

    __table_args__ = (CheckConstraint("no_data in ('nothing', 'last_known')", name="no_data"),)


class PriceList(Row):
    """A price list of a distributor, for all its MSPs or for one, in force from the period of a month on."""

    __tablename__ = "price_lists"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"))
    msp_id: Mapped[UUID | None] = mapped_column(ForeignKey("msps.id"))
    currency: Mapped[str]
    from_month: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]

    __table_args__ = (Index(None, "distributor_id", "from_month"),)


class Price(Row):
    """The price of one unit of a type once an MSP's total of it has reached `from_units`: then of all its units."""

    __tablename__ = "prices"

    list_id: Mapped[UUID] = mapped_column(ForeignKey("price_lists.id"), primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)
    from_units: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    price: Mapped[Decimal] = mapped_column(Money)

    __table_args__ = (
        CheckConstraint("from_units >= 0 and price >= 0", name="not_negative"),
        CheckConstraint("type in ('server', 'workstation', 'server_plus')", name="type"),
    )


class Statement(Row):
    """What a distributor invoices from for a period. A part after the first holds what was held before."""

    __tablename__ = "statements"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"))
    starts_at: Mapped[datetime]
    part: Mapped[int]
    issued_at: Mapped[datetime]
    document: Mapped[bytes]
    document_sha256: Mapped[bytes]

    __table_args__ = (UniqueConstraint("distributor_id", "starts_at", "part"),)


class StatementLine(Row):
    """One priced quantity of a statement, as it was stated; zeros too, for they fix the price of a correction."""

    __tablename__ = "statement_lines"

    statement_id: Mapped[UUID] = mapped_column(ForeignKey("statements.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    msp_id: Mapped[UUID] = mapped_column(ForeignKey("msps.id"))
    report_id: Mapped[UUID | None] = mapped_column(ForeignKey("reports.id"))
    starts_at: Mapped[datetime]
    origin: Mapped[str]
    type: Mapped[str | None]
    quantity: Mapped[int]
    unit_price: Mapped[Decimal | None] = mapped_column(Money)
    amount: Mapped[Decimal] = mapped_column(Money)
    currency: Mapped[str]
    price_correction_id: Mapped[UUID | None] = mapped_column(ForeignKey("price_corrections.id"))

    __table_args__ = (
        UniqueConstraint("price_correction_id"),
        Index(None, "report_id"),
        Index(None, "msp_id", "starts_at"),
    )


class StatementFile(Row):
    """One form of a statement: the very bytes."""

    __tablename__ = "statement_files"

    statement_id: Mapped[UUID] = mapped_column(ForeignKey("statements.id"), primary_key=True)
    form: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[bytes]
    sha256: Mapped[bytes]


class Invoice(Row):
    """The invoice that a distributor wrote from its statement for an MSP; the last one recorded holds."""

    __tablename__ = "invoices"

    statement_id: Mapped[UUID] = mapped_column(ForeignKey("statements.id"), primary_key=True)
    msp_id: Mapped[UUID] = mapped_column(ForeignKey("msps.id"), primary_key=True)
    recorded_at: Mapped[datetime] = mapped_column(primary_key=True)
    number: Mapped[str]
    invoiced_on: Mapped[date]
    actor: Mapped[str]


class PriceCorrection(Row):
    """A wrong price that was stated: a signed amount, naming the statement, that the next statement holds."""

    __tablename__ = "price_corrections"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"))
    msp_id: Mapped[UUID] = mapped_column(ForeignKey("msps.id"))
    statement_id: Mapped[UUID] = mapped_column(ForeignKey("statements.id"))
    amount: Mapped[Decimal] = mapped_column(Money)
    currency: Mapped[str]
    reason: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]

    __table_args__ = (Index(None, "distributor_id", "recorded_at"),)
