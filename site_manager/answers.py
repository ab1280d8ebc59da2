"""What the service says, read with care: members that are needed are checked, unknown ones are ignored. Pure.

Whatever does not look like the service (a proxy's page, a captive portal, half a body) reads as None: it is
"no news" and never a verdict.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from site_manager.wire import read_instant

STATES: Final = frozenset({"issued", "active", "disabled", "suspended", "revoked"})
BODY_MAX: Final = 1 << 20
ECHO_MAX: Final = 4096
INTEGER_MAX: Final = 2**53 - 1
INTERVAL_MAX_SECONDS: Final = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Answer:
    """The 200 to a heartbeat."""

    state: str
    reason: str | None
    sequence: int
    echo: str
    through: int
    receipt: bytes
    server_time: datetime
    next_heartbeat_seconds: float
    lease: str | None
    notices: tuple[dict[str, Any], ...]
    commands: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """The 201 or 200 to an activation; no `echo` once a heartbeat has been accepted."""

    site_id: str
    key_id: str
    installation_id: str
    state: str
    heartbeat_seconds: float
    warn_after_seconds: float
    disable_after_seconds: float
    echo: str | None
    through: int
    receipt: bytes
    server_time: datetime
    next_heartbeat_seconds: float
    lease: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem of the service's own, known by its stable `code`."""

    status: int
    code: str
    detail: str
    through: int | None
    receipt: bytes | None
    revision: int | None = None


def read_answer(body: bytes) -> Answer | None:
    """The heartbeat's answer, or None if this is none."""
    try:
        members = _object(body)
        return Answer(
            state=_state(members),
            reason=_text(members, "reason"),
            sequence=_integer(members, "sequence"),
            echo=_echo(members["echo"]),
            through=_integer(members, "through"),
            receipt=_receipt(members["receipt"]),
            server_time=read_instant(members["server_time"]),
            next_heartbeat_seconds=_interval(members, "next_heartbeat_seconds"),
            lease=_text(members, "lease"),
            notices=_objects(members, "notices"),
            commands=_objects(members, "commands"),
        )
    except (ValueError, KeyError, TypeError):
        return None


def read_binding(body: bytes) -> Binding | None:
    """The activation's answer, or None if this is none."""
    try:
        members = _object(body)
        policy = members["policy"]
        return Binding(
            site_id=_name(members["site_id"]),
            key_id=_name(members["key_id"]),
            installation_id=_name(members["installation_id"]),
            state=_state(members),
            heartbeat_seconds=_interval(policy, "heartbeat_seconds"),
            warn_after_seconds=float(_integer(policy, "warn_after_seconds")),
            disable_after_seconds=float(_integer(policy, "disable_after_seconds")),
            echo=None if members.get("echo") is None else _echo(members["echo"]),
            through=_integer(members, "through"),
            receipt=_receipt(members["receipt"]),
            server_time=read_instant(members["server_time"]),
            next_heartbeat_seconds=_interval(members, "next_heartbeat_seconds"),
            lease=_text(members, "lease"),
        )
    except (ValueError, KeyError, TypeError):
        return None


def read_problem(status: int, body: bytes) -> Problem | None:
    """The service's problem, or None if the refusal is not the service's own."""
    try:
        members = _object(body)
        through, receipt = members.get("through"), members.get("receipt")
        return Problem(
            status=status,
            code=_name(members["code"]),
            detail=str(members.get("detail") or members.get("title") or "")[:500],
            through=None if through is None else _integer(members, "through"),
            receipt=None if receipt is None else _receipt(receipt),
            revision=None if members.get("revision") is None else _integer(members, "revision"),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > BODY_MAX:
        raise ValueError("too large")
    members = json.loads(body)
    if not isinstance(members, dict):
        raise TypeError("not an object")
    return members


def _integer(members: dict[str, Any], name: str) -> int:
    value = members[name]
    if type(value) is not int or not 0 <= value <= INTEGER_MAX:
        raise ValueError(name)
    return value


def _interval(members: dict[str, Any], name: str) -> float:
    value = members[name]
    if type(value) not in (int, float) or not 0 <= value <= INTERVAL_MAX_SECONDS:
        raise ValueError(name)
    return max(1.0, float(value))


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        raise ValueError("not a name")
    return value


def _echo(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= ECHO_MAX:
        raise ValueError("echo")
    return value


def _text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise TypeError(name)
    return value


def _state(members: dict[str, Any]) -> str:
    if members["state"] not in STATES:
        raise ValueError("state")
    return str(members["state"])


def _receipt(value: str) -> bytes:
    if len(value) != 64:
        raise ValueError("receipt")
    return bytes.fromhex(value)


def _objects(members: dict[str, Any], name: str) -> tuple[dict[str, Any], ...]:
    values = members.get(name) or ()
    if not all(isinstance(value, dict) for value in values):
        raise TypeError(name)
    return tuple(values)
