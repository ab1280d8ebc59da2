"""Tables of the reports: closed periods, their lines, the reports made of them, and the files issued."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row


class ClosedPeriod(Row):
    """A period of a distributor whose figures have been taken. Periods of a distributor tile time."""

    __tablename__ = "closed_periods"

    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"), primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    ends_at: Mapped[datetime]
    month: Mapped[str]
    zone: Mapped[str]
    zone_data: Mapped[str]
    # The period's end and the grace: what had been received by then counts.
    cut_off_at: Mapped[datetime]


class ReportLine(Row):
    """The figures of one site in one closed period, as they were taken. Never changed."""

    __tablename__ = "report_lines"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    distributor_id: Mapped[UUID] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    msp_id: Mapped[UUID]
    key_id: Mapped[UUID]
    name: Mapped[str]
    reference: Mapped[str | None]
    key_masked: Mapped[str]
    state: Mapped[str]
    activated_at: Mapped[datetime]
    server: Mapped[int | None]
    server_at: Mapped[datetime | None]
    server_active: Mapped[int | None]
    workstation: Mapped[int | None]
    workstation_at: Mapped[datetime | None]
    workstation_active: Mapped[int | None]
    server_plus: Mapped[int | None]
    server_plus_at: Mapped[datetime | None]
    server_plus_active: Mapped[int | None]
    total: Mapped[int | None]
    total_at: Mapped[datetime | None]
    covered_seconds: Mapped[float]
    span_seconds: Mapped[float]
    gaps: Mapped[list[list[str]]] = mapped_column(JSONB)
    flags: Mapped[list[str]] = mapped_column(ARRAY(String))

    __table_args__ = (Index(None, "distributor_id", "starts_at", "msp_id"),)


class Report(Row):
    """The Deployed Agents Report of one MSP and period: announced at the close, then written, then issued.

    `document` is the canonical JSON; once written it never changes.
    """

    __tablename__ = "reports"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    distributor_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    msp_id: Mapped[UUID]
    msp_name: Mapped[str]
    number: Mapped[str | None]
    document: Mapped[bytes | None]
    document_sha256: Mapped[bytes | None]
    issued_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["distributor_id", "starts_at"], ["closed_periods.distributor_id", "closed_periods.starts_at"]
        ),
        UniqueConstraint("distributor_id", "starts_at", "msp_id"),
        UniqueConstraint("distributor_id", "number"),
        Index(None, "msp_id", "starts_at"),
        Index("ix_reports_unissued", "distributor_id", "starts_at", postgresql_where="issued_at is null"),
    )


class ReportFile(Row):
    """One form of an issued report: the very bytes."""

    __tablename__ = "report_files"

    report_id: Mapped[UUID] = mapped_column(ForeignKey("reports.id"), primary_key=True)
    form: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[bytes]
    sha256: Mapped[bytes]


class ReportCounter(Row):
    """The last number given to a report of a distributor in a year."""

    __tablename__ = "report_counters"

    distributor_id: Mapped[UUID] = mapped_column(ForeignKey("distributors.id"), primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    last: Mapped[int]
