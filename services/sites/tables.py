"""Tables of the sites: installations, silence and its timers, the service's own pulse, moves, lease keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger, text
from sqlalchemy.dialects.postgresql import JSONB, TSTZMULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from services.db import Row


class Installation(Row):
    """One machine that activated on a key; bound until released."""

    __tablename__ = "installations"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID]
    product: Mapped[str]
    credential_sha256: Mapped[bytes]
    public_key: Mapped[bytes]
    version: Mapped[str]
    hostname: Mapped[str]
    name: Mapped[str | None]
    timezone: Mapped[str | None]
    console_url: Mapped[str | None]
    activated_at: Mapped[datetime]
    # From where it activated; erased after twelve months.
    address: Mapped[str | None]
    released_at: Mapped[datetime | None]
    # From when on it is entitled to nothing, and why: succeeded, seat_ended, seat_rejected, seat_silent.
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]

    __table_args__ = (
        ForeignKeyConstraint(["site_id", "key_id"], ["keys.site_id", "keys.id"]),
        CheckConstraint("product in ('site_manager', 'server_plus')", name="product"),
        # The limit of one bound Site Manager a key, under the lock that activation takes.
        Index(
            "uq_installations_bound_site_manager",
            "site_id",
            "key_id",
            unique=True,
            postgresql_where=text("released_at is null and product = 'site_manager'"),
        ),
        Index("ix_installations_hostname", text("lower(hostname)")),
        Index("ix_installations_addressed", "activated_at", postgresql_where=text("address is not null")),
    )


class SilenceTimer(Row):
    """When to look whether an installation has fallen silent. Heartbeats never touch it: the sweep re-arms it."""

    __tablename__ = "silence_timers"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]
    # The next rung of the ladder, and the contact since which its letters count: each is sent once a silence.
    rung: Mapped[str] = mapped_column(server_default="warn")
    silent_since_at: Mapped[datetime | None]
    # Held by the breaker since; let go by an operator at.
    held_at: Mapped[datetime | None]
    let_go_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("rung in ('warn', 'final', 'disable')", name="rung"),
        Index("ix_silence_timers_due", "due_at", postgresql_where="held_at is null"),
        Index("ix_silence_timers_disable", "due_at", postgresql_where="rung = 'disable'"),
    )


class PulseStretch(Row):
    """A stretch in which the API committed its pulse without a gap of more than three minutes."""

    __tablename__ = "pulse_stretches"

    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    until_at: Mapped[datetime]

    __table_args__ = (Index(None, "until_at"),)


class PulseMinute(Row):
    """How many heartbeats were told to come in a minute, and how many came."""

    __tablename__ = "pulse_minutes"

    at: Mapped[datetime] = mapped_column(primary_key=True)
    told: Mapped[int]
    arrived: Mapped[int]


class CollapsedStretch(Row):
    """A stretch in which fewer than half of the expected heartbeats arrived: an outage of the service's."""

    __tablename__ = "collapsed_stretches"

    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    until_at: Mapped[datetime]

    __table_args__ = (Index(None, "until_at"),)


class ArrivalWatch(Row):
    """How far arrivals have been judged, and at which level (a minute) they were expected; one row."""

    __tablename__ = "arrival_watch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    judged_until_at: Mapped[datetime]
    level: Mapped[float]
    collapsed_since_at: Mapped[datetime | None]


class SweepHold(Row):
    """The breaker's alarm: the sweep disables no more, since too many sites would be disabled at once."""

    __tablename__ = "sweep_holds"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    from_at: Mapped[datetime]
    until_at: Mapped[datetime | None]
    due: Mapped[int]
    disabled: Mapped[int]
    active: Mapped[int]

    __table_args__ = (
        Index(
            "uq_sweep_holds_open", text("(until_at is null)"), unique=True, postgresql_where=text("until_at is null")
        ),
    )


class LineSighting(Row):
    """From where and under which name a line of an installation was heard; kept for lines that were forked."""

    __tablename__ = "line_sightings"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    installation_id: Mapped[UUID] = mapped_column(primary_key=True)
    line: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    address: Mapped[str | None]
    hostname: Mapped[str | None]


class SiteFlag(Row):
    """Something about a site that partners are shown: clone_suspected, implausible. A report shows it as well.

    It is up until somebody takes it down; `seen` has the stretches in which what it tells of was seen. `detail` says
    the finding in English; a flag from before findings were kept may have it alone.
    """

    __tablename__ = "site_flags"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    flag: Mapped[str] = mapped_column(primary_key=True)
    from_at: Mapped[datetime] = mapped_column(primary_key=True)
    until_at: Mapped[datetime | None]
    detail: Mapped[str]
    finding: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    seen: Mapped[Any] = mapped_column(TSTZMULTIRANGE, server_default=text("'{}'"))

    __table_args__ = (CheckConstraint("flag in ('clone_suspected', 'implausible')", name="flag"),)


class Move(Row):
    """A site on its way to another MSP: offered by the giver, accepted by the receiver, done as a period begins."""

    __tablename__ = "moves"

    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_id: Mapped[UUID]
    from_msp_id: Mapped[UUID]
    to_msp_id: Mapped[UUID]
    offered_at: Mapped[datetime]
    offered_by: Mapped[str]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None]
    effective_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "uq_moves_open",
            "site_id",
            unique=True,
            postgresql_where=text("withdrawn_at is null and done_at is null"),
        ),
        Index("ix_moves_due", "effective_at", postgresql_where=text("done_at is null and effective_at is not null")),
        Index(None, "to_msp_id"),
    )


class LeaseKey(Row):
    """An Ed25519 key that signs leases, sealed; the newest whose turn has come signs."""

    __tablename__ = "lease_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    private_sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    # It is published from the start, so that caches know it when it signs; and until no lease of it can hold.
    signs_from_at: Mapped[datetime | None]
    retires_at: Mapped[datetime | None]
