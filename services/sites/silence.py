"""Silence: how long a site has not been heard, without the service's own outages. One function for all. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Outage(NamedTuple):
    """A stretch in which the service itself could not be reached (half-open)."""

    from_at: datetime
    until_at: datetime


class Liveness(StrEnum):
    """How a site is doing, derived when read."""

    NEVER_CONNECTED = "never_connected"
    ONLINE = "online"
    LATE = "late"
    SILENT = "silent"
    OVERDUE = "overdue"


def silence(last_contact_at: datetime, now: datetime, outages: Sequence[Outage]) -> timedelta:
    """Give now - last contact - the service's own outages in between; outages are in order and apart."""
    own = sum(
        (
            min(outage.until_at, now) - max(outage.from_at, last_contact_at)
            for outage in outages
            if outage.until_at > last_contact_at and outage.from_at < now
        ),
        timedelta(),
    )
    return now - last_contact_at - own


def deadline(last_contact_at: datetime, allowed: timedelta, outages: Sequence[Outage]) -> datetime:
    """Give the instant at which the silence reaches `allowed`, as far as outages are known."""
    due = last_contact_at + allowed
    for outage in outages:
        start = max(outage.from_at, last_contact_at)
        if outage.until_at > last_contact_at and start < due:
            due += outage.until_at - start
    return due


def heard_until(now: datetime, allowed: timedelta, outages: Sequence[Outage]) -> datetime:
    """Give the latest contact whose silence has reached `allowed` by now: `silence`, read the other way."""
    reached = now - allowed
    for outage in reversed(outages):
        if outage.from_at < now and min(outage.until_at, now) > reached:
            reached -= min(outage.until_at, now) - outage.from_at
    return reached


def liveness(
    last_contact_at: datetime | None,
    now: datetime,
    outages: Sequence[Outage],
    *,
    heartbeat_seconds: int,
    warn_after_seconds: int,
    disable_after_seconds: int,
) -> Liveness:
    """Give how a site is doing. It is right before any sweep has run."""
    if last_contact_at is None:
        return Liveness.NEVER_CONNECTED
    seconds = silence(last_contact_at, now, outages).total_seconds()
    if seconds >= disable_after_seconds:
        return Liveness.OVERDUE
    if seconds >= warn_after_seconds:
        return Liveness.SILENT
    return Liveness.LATE if seconds > 2 * heartbeat_seconds else Liveness.ONLINE
