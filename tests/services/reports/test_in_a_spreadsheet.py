"""The files in a real spreadsheet program, set to Italian and to English: opened as `docs/reports.md` says."""

import os
import shutil
import subprocess
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from services.reports.forms import write_csv
from tests.services.reports.test_forms import rendered

_SOFFICE = shutil.which("soffice")
# Comma, quotes, UTF-8, from line 1, every column by itself, language English (USA), numbers and dates are detected.
_AS_SAID = "--infilter=CSV:44,34,76,1,,1033,false,true"
_STATED = {"msp": "Perché no, S.r.l.", "reason": "=1+1", "unit_price": Decimal("8.005"), "amount": Decimal("1048.03")}


def opened(folder: Path, locale: str, files: list[Path], *options: str) -> list[Any]:
    """Open files as somebody with this locale does, and give the workbooks as they were understood."""
    assert _SOFFICE
    out = folder / locale
    profile = f"-env:UserInstallation=file://{folder}/profile-{locale}"
    command = [_SOFFICE, profile, "--headless", *options, "--convert-to", "xlsx", "--outdir", str(out)]
    environment = {"LC_ALL": locale, "LANG": locale, "HOME": str(folder), "PATH": os.defpath}
    done = subprocess.run(
        [*command, *map(str, files)], env=environment, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return [openpyxl.load_workbook(out / f"{file.stem}.xlsx") for file in files]


def first_row(book: Any) -> dict[str, Any]:
    names, values = ([cell.value for cell in row] for row in book.active.iter_rows(max_row=2))
    return dict(zip(names, values, strict=True))


@pytest.mark.skipif(_SOFFICE is None, reason="LibreOffice is not installed (Debian: libreoffice-calc-nogui)")
def test_a_csv_opens_right_in_italy_and_in_england_and_the_workbook_with_its_chart(tmp_path: Path) -> None:
    report, statement, book = (tmp_path / name for name in ("report.csv", "statement.csv", "book.xlsx"))
    report.write_bytes(rendered()["csv"])
    statement.write_bytes(write_csv(list(_STATED), [_STATED]))
    book.write_bytes(rendered()["xlsx"])
    for locale in ("it_IT.UTF-8", "en_GB.UTF-8"):
        *tables, found = opened(tmp_path, locale, [report, statement, book], _AS_SAID)
        line, stated = map(first_row, tables)
        assert (line["number"], line["site"], line["server"], line["coverage_percent"]) == (
            "2026-00001", "Hotel Adria", 1, 99,
        )  # fmt: skip
        assert list(stated.values()) == ["Perché no, S.r.l.", "'=1+1", 8.005, 1048.03]
        assert [len(sheet._charts) for sheet in found.worksheets[:3]] == [0, 0, 1]
        assert isinstance(found.worksheets[1].cell(2, 6).value, datetime)
