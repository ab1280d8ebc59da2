"""The ladder of a silence: warned, final warning, disabled, each dated in advance. Pure."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from services.partners import Policy
from services.sites.silence import Outage, deadline


class Rung(StrEnum):
    """The next step of a silence."""

    WARN = "warn"
    FINAL = "final"
    DISABLE = "disable"


class Ladder(NamedTuple):
    """When silence would have its effects, as far as outages of the service are known."""

    warn_at: datetime
    final_at: datetime
    disable_at: datetime


class Step(NamedTuple):
    """What is due now (None: nothing), the rung after it and when that is due."""

    does: Rung | None
    rung: Rung
    due_at: datetime


def ladder(
    heard_at: datetime, policy: Policy, outages: Sequence[Outage], snoozed_until_at: datetime | None = None
) -> Ladder:
    """Give the ladder of a site that was heard last at an instant."""
    disable_after = policy.disable_after
    warn_after = min(policy.warn_after, disable_after)
    final_after = max(warn_after, disable_after - policy.final_before)
    final_at = deadline(heard_at, final_after, outages)
    warn_at = deadline(heard_at, warn_after, outages)
    if snoozed_until_at is not None:
        warn_at = max(warn_at, min(snoozed_until_at, final_at))
    return Ladder(warn_at, final_at, deadline(heard_at, disable_after, outages))


def reached(dates: Ladder, now: datetime) -> Rung | None:
    """Give the highest rung whose date has come; None while nothing is due."""
    for rung, at in ((Rung.DISABLE, dates.disable_at), (Rung.FINAL, dates.final_at), (Rung.WARN, dates.warn_at)):
        if now >= at:
            return rung
    return None


def step(dates: Ladder, rung: Rung, now: datetime) -> Step:
    """Give what is to be done at a rung. A letter that is overtaken by the next rung is not sent any more."""
    if now >= dates.disable_at:
        return Step(None, Rung.DISABLE, dates.disable_at)
    if rung is Rung.DISABLE:
        return Step(None, rung, dates.disable_at)
    if now >= dates.final_at:
        return Step(Rung.FINAL, Rung.DISABLE, dates.disable_at)
    if rung is Rung.FINAL:
        return Step(None, rung, dates.final_at)
    if now >= dates.warn_at:
        return Step(Rung.WARN, Rung.FINAL, dates.final_at)
    return Step(None, Rung.WARN, dates.warn_at)
