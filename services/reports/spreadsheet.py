"""Workbooks: typed cells, no text that is run, the same bytes for the same facts. Pure."""

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import xlsxwriter

from services.usage import zone_info

_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_A4 = 9
_HEAD_HEIGHT = 32


class Workbook:
    """A workbook on its way to being bytes. `created` is stated, or the bytes would tell when they were made."""

    def __init__(self, title: str, created: datetime) -> None:
        """Begin an empty one."""
        self._bytes = io.BytesIO()
        self.book = xlsxwriter.Workbook(self._bytes, _OPTIONS)
        self.book.set_properties({"title": title, "created": created.replace(tzinfo=None)})
        self.head = self.book.add_format(
            {"bold": True, "bg_color": "#E6EEF2", "bottom": 1, "text_wrap": True, "valign": "top"}
        )
        self.bold = self.book.add_format({"bold": True})
        self.title = self.book.add_format({"bold": True, "font_size": 16})
        self.whole = self.book.add_format({"num_format": "#,##0"})
        self.total = self.book.add_format({"num_format": "#,##0", "bold": True, "top": 1})
        self.signed = self.book.add_format({"num_format": "+#,##0;-#,##0;0"})
        self.money = self.book.add_format({"num_format": "#,##0.00"})
        self.money_total = self.book.add_format({"num_format": "#,##0.00", "bold": True, "top": 1})
        self.price = self.book.add_format({"num_format": "#,##0.00####"})
        self.percent = self.book.add_format({"num_format": "0.00%"})
        self.instant = self.book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self.day = self.book.add_format({"num_format": "yyyy-mm-dd"})
        self.left = self.book.add_format({"num_format": "#,##0", "align": "left"})
        self.wrap = self.book.add_format({"text_wrap": True, "valign": "top"})

    def table(self, name: str, columns: Sequence[tuple[str, float]], rows: Sequence[Sequence[Any]]) -> Any:
        """Write a sheet with a frozen header and a filter. A cell is a value, or a (value, format)."""
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(_A4)
        sheet.set_row(0, _HEAD_HEIGHT)
        for number, (title, width) in enumerate(columns):
            sheet.set_column(number, number, width)
            sheet.write_string(0, number, title, self.head)
        for y, row in enumerate(rows, start=1):
            for x, cell in enumerate(row):
                self.put(sheet, y, x, cell)
        sheet.freeze_panes(1, 1)
        if rows:
            sheet.autofilter(0, 0, len(rows), len(columns) - 1)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        return sheet

    def cover(self, name: str) -> Any:
        """Begin a sheet that is read from top to bottom, one page wide."""
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(_A4)
        sheet.fit_to_pages(1, 0)
        sheet.hide_gridlines(2)
        return sheet

    def put(self, sheet: Any, y: int, x: int, cell: Any) -> None:
        """Write one cell by its type; text stays text whatever it begins with."""
        value, form = cell if isinstance(cell, tuple) else (cell, None)
        if value is None or value == "":
            return
        if isinstance(value, datetime):
            sheet.write_datetime(y, x, value, form or self.instant)
        elif isinstance(value, str):
            sheet.write_string(y, x, value, form)
        else:
            sheet.write_number(y, x, value, form or self.whole)

    def done(self) -> bytes:
        """Give the bytes."""
        self.book.close()
        return self._bytes.getvalue()


def wall_clock(instant: str | None, zone: str) -> datetime | None:
    """Give an instant as the zone's wall clock shows it: what a spreadsheet can hold."""
    return datetime.fromisoformat(instant).astimezone(zone_info(zone)).replace(tzinfo=None) if instant else None
