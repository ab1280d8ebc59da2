"""What came of one round with the service. An expected "no" is a value. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from site_manager.lease import Lease, LeaseRefused


@dataclass(frozen=True, slots=True)
class Activated:
    """The key is bound to this installation (`first`: just now)."""

    site_id: str
    key_id: str
    state: str
    first: bool
    server_time: datetime
    lease: Lease | LeaseRefused | None


@dataclass(frozen=True, slots=True)
class Answered:
    """The service took the heartbeat and said how things stand."""

    state: str
    reason: str | None
    sequence: int
    through: int
    more: bool
    receipt_agrees: bool
    clock_offset_seconds: float
    lease: Lease | LeaseRefused | None
    notices: tuple[dict[str, Any], ...]
    commands: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No news: no answer, 429, 503, or something that is not the service. Nothing is denied by it.

    `why`: unreachable, unavailable, too_early, too_many_attempts or strange_answer.
    """

    why: str
    detail: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Repaired:
    """The service wants another request than this one; the next round sends it."""

    code: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A plain no with a stable code; somebody must do something.

    Besides the service's codes: not_activated, other_key_held, echo_withheld, lines_exhausted.
    """

    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unwritable:
    """The spool cannot be written (a full disk), so nothing may be sent; what is recorded stays in memory."""

    detail: str


Outcome = Answered | Unreachable | Repaired | Refused | Unwritable
ActivationOutcome = Activated | Unreachable | Refused | Unwritable
