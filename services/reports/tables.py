"""Tables of the reports: closed periods, their lines, what is charged for them, the reports, the statements.

But for the state of a report on its way to being issued, every row is written once and never changed.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint
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

    `document` is the canonical JSON, `cover` what it says beside its lines; once written they never change. `held` is
    the difference between the two computations of its figures, by site, while there is one.
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
    cover: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    issued_at: Mapped[datetime | None]
    held: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    # Its place in the order in which reports were issued: whoever reads on by it misses none.
    place: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        ForeignKeyConstraint(
            ["distributor_id", "starts_at"], ["closed_periods.distributor_id", "closed_periods.starts_at"]
        ),
        UniqueConstraint("distributor_id", "starts_at", "msp_id"),
        UniqueConstraint("distributor_id", "number"),
        Index(None, "msp_id", "starts_at"),
        Index("uq_reports_place", "place", unique=True),
        Index("ix_reports_unissued", "distributor_id", "starts_at", postgresql_where="issued_at is null"),
        Index("ix_reports_uncovered", "id", postgresql_where="cover is null and document is not null"),
        Index("ix_reports_unplaced", "id", postgresql_where="place is null and issued_at is not null"),
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


class ReportAlarm(Row):
    """A report that is held, for an operator to see; `close --explain` shows both computations. Never changed."""

    __tablename__ = "report_alarms"

    report_id: Mapped[UUID] = mapped_column(ForeignKey("reports.id"), primary_key=True)
    raised_at: Mapped[datetime] = mapped_column(primary_key=True)
    difference: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Charge(Row):
    """What one report charges for one site and period: `origin` "report" once, and signed corrections later.

    The sum of a site's charges for a period is everything issued, corrected and adjusted so far.
    """

    __tablename__ = "charges"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(ForeignKey("reports.id"))
    distributor_id: Mapped[UUID]
    msp_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    origin: Mapped[str]
    server: Mapped[int]
    workstation: Mapped[int]
    server_plus: Mapped[int]
    reason: Mapped[str | None]
    actor: Mapped[str | None]
    adjustment_id: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint(
            "origin in ('report', 'late_usage', 'estimate_replaced', 'excused', 'adjustment')", name="origin"
        ),
        Index(None, "report_id"),
        Index("uq_charges_adjustment", "site_id", "adjustment_id", unique=True),
        Index("uq_charges_report", "site_id", "report_id", unique=True, postgresql_where="origin = 'report'"),
        Index(None, "distributor_id", "starts_at", "msp_id"),
    )


class Adjustment(Row):
    """A decided, signed change to what is charged for a site and period; the next report holds it as a line.

    `late_through_at`: it charges what had come by then, for usage that came later than 35 days and was approved.
    """

    __tablename__ = "adjustments"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    distributor_id: Mapped[UUID]
    msp_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    server: Mapped[int]
    workstation: Mapped[int]
    server_plus: Mapped[int]
    reason: Mapped[str]
    actor: Mapped[str]
    decided_at: Mapped[datetime]
    late_through_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "distributor_id", "decided_at"),)


class Exclusion(Row):
    """A stretch of a site that is shown and not charged: a granted void, or an excuse; a withdrawal ends one."""

    __tablename__ = "exclusions"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    from_at: Mapped[datetime]
    until_at: Mapped[datetime]
    reason: Mapped[str]
    actor: Mapped[str]
    recorded_at: Mapped[datetime]
    withdraws_id: Mapped[UUID | None]

    __table_args__ = (
        CheckConstraint("kind in ('void', 'excuse', 'withdrawal')", name="kind"),
        CheckConstraint("until_at > from_at", name="interval"),
    )


class VoidRequest(Row):
    """An MSP asks that a stretch reported by mistake is not charged. The decision is a row of its own."""

    __tablename__ = "void_requests"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    distributor_id: Mapped[UUID]
    msp_id: Mapped[UUID]
    from_at: Mapped[datetime]
    until_at: Mapped[datetime]
    reason: Mapped[str]
    actor: Mapped[str]
    asked_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("until_at > from_at", name="interval"), Index(None, "msp_id", "id"))


class VoidDecision(Row):
    """What the distributor said to a request for a void."""

    __tablename__ = "void_decisions"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    granted: Mapped[bool]
    reason: Mapped[str]
    actor: Mapped[str]
    decided_at: Mapped[datetime]


class Dispute(Row):
    """An MSP disputes one line of an issued report and says what it holds to be right."""

    __tablename__ = "disputes"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(ForeignKey("reports.id"))
    distributor_id: Mapped[UUID]
    msp_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    server: Mapped[int]
    workstation: Mapped[int]
    server_plus: Mapped[int]
    reason: Mapped[str]
    actor: Mapped[str]
    opened_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("site_id", "report_id"), Index(None, "distributor_id", "id"))


class DisputeDecision(Row):
    """What the distributor answered, or the vendor decided: the quantities that are right, and why."""

    __tablename__ = "dispute_decisions"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    dispute_id: Mapped[UUID] = mapped_column(primary_key=True)
    by: Mapped[str] = mapped_column(primary_key=True)
    upheld: Mapped[bool]
    reason: Mapped[str]
    actor: Mapped[str]
    decided_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("by in ('distributor', 'vendor')", name="by"),)
