"""A fleet as a file: lives of agents on sites, and when a site reaches nothing. Pure but for reading the file."""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

TYPES = ("server", "workstation", "server_plus")
FLEET_COLUMNS = ["msp", "site", "agent", "type", "deployed_at", "removed_at"]
OUTAGE_COLUMNS = ["site", "from", "until"]
Deltas = Mapping[datetime, Sequence[int]]
Outages = Mapping[str, Sequence[tuple[datetime, datetime]]]


class MalformedFleet(ValueError):
    """A line of the file cannot be read; says which."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who has which sites, and by how much the agents of each change at each second."""

    msp_of: Mapping[str, str]
    deltas: Mapping[str, Deltas]

    def counts(self, site: str, since: datetime) -> Iterator[tuple[datetime, tuple[int, int, int]]]:
        """Give the counts of a site at an instant, and then at every second in which they change."""
        server = workstation = server_plus = 0
        begun = False
        for at, (more_servers, more_workstations, more_plus) in sorted(self.deltas[site].items()):
            if at > since and not begun:
                yield since, (server, workstation, server_plus)
                begun = True
            server += more_servers
            workstation += more_workstations
            server_plus += more_plus
            if at > since and (more_servers, more_workstations, more_plus) != (0, 0, 0):
                yield at, (server, workstation, server_plus)
        if not begun:
            yield since, (server, workstation, server_plus)


def read_fleet(path: Path) -> Fleet:
    """Read FLEET.csv or FLEET.csv.gz; raises `MalformedFleet` with the line number."""
    msp_of: dict[str, str] = {}
    deltas: dict[str, dict[datetime, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for number, (msp, site, agent, kind, deployed, removed) in _rows(path, FLEET_COLUMNS):
        if not (msp and site and agent):
            raise MalformedFleet(f"{path}, line {number}: msp, site and agent must not be empty")
        if kind not in TYPES:
            raise MalformedFleet(f"{path}, line {number}: {kind!r} is not one of {', '.join(TYPES)}")
        if msp_of.setdefault(site, msp) != msp:
            raise MalformedFleet(f"{path}, line {number}: site {site!r} is {msp_of[site]!r}'s, not {msp!r}'s")
        begin = _instant(path, number, "deployed_at", deployed)
        end = _instant(path, number, "removed_at", removed) if removed else None
        if end is not None and end < begin:
            raise MalformedFleet(f"{path}, line {number}: removed_at is before deployed_at")
        type_index = TYPES.index(kind)
        deltas[site][begin][type_index] += 1
        if end is not None:
            deltas[site][end][type_index] -= 1
    if not msp_of:
        raise MalformedFleet(f"{path}: there is no agent in it")
    return Fleet(msp_of, deltas)


def read_outages(path: Path, fleet: Fleet) -> Outages:
    """Read OUTAGES.csv; raises `MalformedFleet` with the line number."""
    outages: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for number, (site, begin_text, end_text) in _rows(path, OUTAGE_COLUMNS):
        if site not in fleet.msp_of:
            raise MalformedFleet(f"{path}, line {number}: there is no site {site!r} in the fleet")
        begin = _instant(path, number, "from", begin_text)
        end = _instant(path, number, "until", end_text)
        if end < begin:
            raise MalformedFleet(f"{path}, line {number}: until is before from")
        outages[site].append((begin, end))
    return outages


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise MalformedFleet(f"{path}: cannot be read: {error}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        if next(reader, None) != columns:
            raise MalformedFleet(f"{path}, line 1: the header must be {','.join(columns)}")
        for row in reader:
            if len(row) != len(columns):
                raise MalformedFleet(
                    f"{path}, line {reader.line_num}: {len(row)} fields where there must be {len(columns)}"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise MalformedFleet(f"{path}, line {reader.line_num}: {error}") from error


def _instant(path: Path, number: int, column: str, text: str) -> datetime:
    """Read an instant, to the second: changes in the same second are one change."""
    try:
        value = datetime.fromisoformat(text)
        if value.tzinfo is None:
            raise ValueError("no zone")
        return value.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        example = "2022-10-01T06:30:00Z"
        raise MalformedFleet(f"{path}, line {number}: {column} {text!r} is not an instant like {example}") from None
