"""What was found when a flag was raised, read from how the sites' features write it down, to be said in both languages.

A finding of another form is shown as it is.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from license_api.console.flags import TYPES
from license_api.console.language import N_

_FORMS = (
    (
        re.compile(r"inventory of (?P<found>\d+) agents of type (?P<type>\w+), (?P<deployed>\d+) deployed"),
        N_("Its inventory names %(found)s agents of the type %(type)s; it reports %(deployed)s."),
    ),
    (
        re.compile(r"backups of (?P<found>\d+) machines, (?P<deployed>\d+) agents deployed"),
        N_("It reports backups of %(found)s machines, and %(deployed)s agents."),
    ),
    (re.compile(r"changes were lost (?P<found>\d+) times"), N_("It said %(found)s times that changes were lost.")),
)
_MACHINE = re.compile(r"(?P<host>.+), (?P<first>\d{4}-\d\d-\d\d \d\d:\d\d) to (?P<last>\d{4}-\d\d-\d\d \d\d:\d\d) UTC")


class Twin(NamedTuple):
    """One of the machines of a clone, and when it was heard first and last."""

    host: str
    first: datetime
    last: datetime


class Finding(NamedTuple):
    """A text of the catalogue with its numbers, or machines, or (neither known) the detail as it was written."""

    detail: str
    text: str = ""
    found: int = 0
    deployed: int = 0
    type: str = ""
    machines: Sequence[Twin] = ()


def read_finding(detail: str) -> Finding:
    """Read the detail of a flag."""
    for form, text in _FORMS:
        if match := form.fullmatch(detail):
            said = match.groupdict()
            name = TYPES.get(said.get("type") or "", "")
            return Finding(detail, text, int(said["found"]), int(said.get("deployed") or 0), name)
    machines = [_MACHINE.fullmatch(part) for part in detail.split("; ")]
    return Finding(detail, machines=[_twin(one) for one in machines if one] if all(machines) else ())


def _twin(match: re.Match[str]) -> Twin:
    first, last = (datetime.strptime(match[end], "%Y-%m-%d %H:%M").replace(tzinfo=UTC) for end in ("first", "last"))
    return Twin(match["host"], first, last)


def findings_of(raised: Sequence[Any]) -> dict[str, list[tuple[datetime, Finding]]]:
    """Give what was found by flag, and since when it is up."""
    found: dict[str, list[tuple[datetime, Finding]]] = {}
    for one in raised:
        found.setdefault(one.flag, []).append((one.since, read_finding(one.detail)))
    return found
