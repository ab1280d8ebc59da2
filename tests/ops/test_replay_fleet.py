"""A fleet file is read whole before anything runs, and what is wrong with it names its line."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.replay import MalformedFleet, read_fleet, read_outages
from ops.replay.command import read_duration

HEADER = "msp,site,agent,type,deployed_at,removed_at\n"
GOOD = "M,s,a1,server,2024-01-02T00:00:00Z,2024-01-05T00:00:00Z\n"
START = datetime(2024, 1, 1, tzinfo=UTC)


def written(folder: Path, text: str) -> Path:
    path = folder / "fleet.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("M,s,a2,tablet,2024-01-02T00:00:00Z,", "'tablet' is not one of"),
        ("M,s,a2,server,yesterday,", "deployed_at 'yesterday' is not an instant"),
        ("M,s,a2,server,2024-01-02T00:00:00,", "is not an instant"),
        ("M,s,a2,server,2024-01-02T00:00:00Z,2024-01-01T00:00:00Z", "removed_at is before deployed_at"),
        ("M,s,a2,server", "4 fields where there must be 6"),
        ("N,s,a2,server,2024-01-02T00:00:00Z,", "is 'M''s, not 'N''s"),
        (",s,a2,server,2024-01-02T00:00:00Z,", "must not be empty"),
        ("M,s,a2,server,0001-01-01T00:00:00+14:00,", "is not an instant"),
    ],
)
def test_a_malformed_line_is_named(line: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedFleet, match="line 3: ") as raised:
        read_fleet(written(tmp_path, HEADER + GOOD + line + "\n"))
    assert complaint in str(raised.value)


@pytest.mark.parametrize("text", ["", "site,agent\n", HEADER, GOOD])
def test_a_file_without_its_header_or_without_agents_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedFleet):
        read_fleet(written(tmp_path, text))


def test_a_file_that_is_not_there_or_not_packed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fleet.csv.gz").write_text("not packed")
    for name in ("absent.csv", "fleet.csv.gz"):
        with pytest.raises(MalformedFleet, match="cannot be read"):
            read_fleet(tmp_path / name)


def test_a_packed_file_is_read_like_a_plain_one(tmp_path: Path) -> None:
    packed = tmp_path / "fleet.csv.gz"
    packed.write_bytes(gzip.compress((HEADER + GOOD).encode()))
    assert read_fleet(packed) == read_fleet(written(tmp_path, HEADER + GOOD))


def test_changes_in_the_same_second_are_one_change(tmp_path: Path) -> None:
    second = "2024-01-05T00:00:00"
    same_second = f"M,s,a2,server,{second}.200Z,\nM,s,a3,workstation,{second}.900Z,{second}.950Z\n"
    fleet = read_fleet(written(tmp_path, HEADER + GOOD + same_second))
    # One server goes and another comes in the same second, a workstation lives for less: nothing changes.
    assert list(fleet.counts("s", START)) == [(START, (0, 0, 0)), (datetime(2024, 1, 2, tzinfo=UTC), (1, 0, 0))]


def test_agents_deployed_before_are_there_at_the_start(tmp_path: Path) -> None:
    fleet = read_fleet(written(tmp_path, HEADER + GOOD))
    since = datetime(2024, 1, 3, tzinfo=UTC)
    assert list(fleet.counts("s", since)) == [(since, (1, 0, 0)), (datetime(2024, 1, 5, tzinfo=UTC), (0, 0, 0))]


def test_an_outage_of_an_unknown_site_is_refused(tmp_path: Path) -> None:
    fleet = read_fleet(written(tmp_path, HEADER + GOOD))
    outages = tmp_path / "outages.csv"
    outages.write_text("site,from,until\nt,2024-01-02T00:00:00Z,2024-01-03T00:00:00Z\n")
    with pytest.raises(MalformedFleet, match="line 2: there is no site 't'"):
        read_outages(outages, fleet)


@pytest.mark.parametrize("text", ["", "h", "0h", "1", "1w", "-1h", "1.5h", "١h"])
def test_a_length_of_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        read_duration(text)
