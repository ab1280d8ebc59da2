"""Document and forms: the same facts give the same bytes, and no spreadsheet runs any of them."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import rfc8785

from services.reports.document import Heading, compose, write
from services.reports.forms import render

HEADING = Heading(
    distributor="Distribuzione",
    msp="Adriatica IT",
    month="2026-03",
    zone="Europe/Rome",
    zone_data="2026a",
    starts_at=datetime(2026, 2, 28, 23, tzinfo=UTC),
    ends_at=datetime(2026, 3, 31, 22, tzinfo=UTC),
    cut_off_at=datetime(2026, 4, 1, 4, tzinfo=UTC),
    number="2026-00001",
    issued_at=datetime(2026, 4, 1, 4, tzinfo=UTC),
)
PEAK_AT = datetime(2026, 3, 5, 12, tzinfo=UTC)


def row(**fields: Any) -> SimpleNamespace:
    known: dict[str, Any] = {
        "site_id": UUID(int=1),
        "name": "Hotel Adria",
        "reference": "C-1",
        "key_masked": "*****-*****-*****-*****-V1ZJT",
        "state": "active",
        "activated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "covered_seconds": 99.0,
        "span_seconds": 100.0,
        "gaps": [["2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00"]],
        "flags": ["new"],
        "total": 6,
        "total_at": PEAK_AT,
    }
    for number, name in enumerate(("server", "workstation", "server_plus"), start=1):
        known |= {name: number, f"{name}_at": PEAK_AT, f"{name}_active": None}
    return SimpleNamespace(**known | fields)


def cells(*rows: SimpleNamespace, heading: Heading = HEADING) -> list[dict[str, str]]:
    content = render(write(compose(heading, rows)))["csv"]
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_the_same_facts_give_the_same_bytes_in_every_form() -> None:
    one, other = (render(write(compose(HEADING, [row(), row(name="B")]))) for _ in range(2))
    assert one == other
    assert set(one) == {"json", "csv"}
    assert rfc8785.dumps(json.loads(one["json"])) == one["json"]


def test_the_heading_states_the_period_in_utc_and_in_local_time_with_the_version_of_the_zone_data() -> None:
    period = compose(HEADING, [])["period"]
    assert period == {
        "month": "2026-03",
        "zone": "Europe/Rome",
        "zone_data": "2026a",
        "starts_at": "2026-02-28T23:00:00Z",
        "ends_at": "2026-03-31T22:00:00Z",
        "starts_at_local": "2026-03-01T00:00:00+01:00",
        "ends_at_local": "2026-04-01T00:00:00+02:00",
    }


def test_totals_add_the_peaks_of_sites_and_never_invent_a_zero() -> None:
    nothing = {name: None for base in ("server", "workstation", "server_plus") for name in (base, f"{base}_at")}
    document = compose(HEADING, [row(), row(), row(**nothing, total=None, total_at=None, flags=["no_data"])])
    assert document["totals"] == {
        "server": 2, "workstation": 4, "server_plus": 6, "charged": 12, "sites": 3, "no_data": 1,
    }  # fmt: skip
    assert document["lines"][2]["server"] is None
    assert document["lines_sha256"] == sha256(rfc8785.dumps(document["lines"])).hexdigest()


@pytest.mark.parametrize(
    ("covered", "span", "shown"),
    [(100, 100, "100.00"), (99.9999, 100, "99.99"), (0, 100, "0.00"), (1, 3, "33.33"), (0, 0, "100.00")],
)
def test_coverage_is_cut_so_that_100_means_all_of_it(covered: float, span: float, shown: str) -> None:
    [line] = compose(HEADING, [row(covered_seconds=covered, span_seconds=span)])["lines"]
    assert line["coverage_percent"] == shown


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(first: str) -> None:
    text = f"{first}cmd|' /C calc'!A0"
    [cell] = cells(row(name=text, reference=text), heading=replace(HEADING, msp=text))
    assert {cell["site"], cell["reference"], cell["msp"]} == {f"'{text}"}


def test_a_csv_cell_holds_what_was_given_with_quotes_commas_and_umlauts() -> None:
    text = 'Größe, "Süd"; 100 €'
    [cell] = cells(row(name=text))
    assert cell["site"] == text
    assert cell["gaps"] == "2026-03-01T00:00:00Z/2026-03-02T00:00:00Z"
    assert (cell["workstation"], cell["workstation_at"], cell["flags"]) == ("2", "2026-03-05T12:00:00Z", "new")


def test_a_csv_has_its_columns_also_without_lines() -> None:
    content = render(write(compose(HEADING, [])))["csv"]
    assert content.startswith(b"number,month,msp,site,site_id,")
    assert content.count(b"\r\n") == 1


def test_a_report_without_a_number_is_provisional() -> None:
    document = compose(replace(HEADING, number=None, issued_at=None), [row()])
    assert (document["status"], document["number"], document["issued_at"]) == ("provisional", None, None)
