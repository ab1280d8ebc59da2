"""Workbooks: typed cells, no text that is run, the same bytes for the same facts. Pure."""

import io
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import xlsxwriter

from services.usage import zone_info

_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_A4 = 9
_HEAD_HEIGHT = 32
_LINE_HEIGHT, _HEIGHT_MAX = 15, 405
_TOP = {"valign": "top"}


class Workbook:
    """A workbook on its way to being bytes. `created` is stated, or the bytes would tell when they were made."""

    def __init__(self, title: str, created: datetime) -> None:
        """Begin an empty one."""
        self._bytes = io.BytesIO()
        self.book = xlsxwriter.Workbook(self._bytes, _OPTIONS)
        self.book.set_properties({"title": title, "created": created.replace(tzinfo=None)})
        self.head = self.book.add_format(
            {
                "bold": True,
                "bg_color": "#E6EEF2",
                "bottom": 1,
                "text_wrap": True,
                "valign": "top",
                "align": "left",
                "indent": 1,
            }
        )
        self.bold = self.book.add_format({"bold": True})
        self.title = self.book.add_format({"bold": True, "font_size": 16})
        self.whole = self.book.add_format({**_TOP, "num_format": "#,##0"})
        self.total = self.book.add_format({**_TOP, "num_format": "#,##0", "bold": True, "top": 1})
        self.signed = self.book.add_format({**_TOP, "num_format": "+#,##0;-#,##0;0"})
        self.signed_left = self.book.add_format({"num_format": "+#,##0;-#,##0;0", "align": "left"})
        self.signed_total = self.book.add_format({**_TOP, "num_format": "+#,##0;-#,##0;0", "bold": True, "top": 1})
        self.money = self.book.add_format({**_TOP, "num_format": "#,##0.00"})
        self.money_total = self.book.add_format({**_TOP, "num_format": "#,##0.00", "bold": True, "top": 1})
        self.price = self.book.add_format({**_TOP, "num_format": "#,##0.00####"})
        self.percent = self.book.add_format({**_TOP, "num_format": "0.00%"})
        self.instant = self.book.add_format({**_TOP, "num_format": "yyyy-mm-dd hh:mm:ss"})
        self.day = self.book.add_format({**_TOP, "num_format": "yyyy-mm-dd"})
        self.left = self.book.add_format({"num_format": "#,##0", "align": "left"})
        self.text = self.book.add_format({**_TOP, "align": "left", "indent": 1})
        self.wrap = self.book.add_format({**_TOP, "align": "left", "indent": 1, "text_wrap": True})

    def table(
        self, name: str, columns: Sequence[tuple[str, float]], rows: Sequence[Sequence[Any]], *, pages_wide: int = 1
    ) -> Any:
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
            # Spreadsheet programs do not make a row higher for what they find wrapped in it.
            high = max(self._lines_in(cell, width) for cell, (_, width) in zip(row, columns, strict=True))
            if high > 1:
                sheet.set_row(y, min(high * _LINE_HEIGHT, _HEIGHT_MAX))
        sheet.freeze_panes(1, 1)
        if rows:
            sheet.autofilter(0, 0, len(rows), len(columns) - 1)
        sheet.set_landscape()
        sheet.fit_to_pages(pages_wide, 0)
        sheet.repeat_rows(0)
        sheet.repeat_columns(0)
        sheet.set_footer("&L&8&A&R&8&P / &N")
        return sheet

    def cover(self, name: str) -> Any:
        """Begin a sheet that is read from top to bottom, one page wide."""
        sheet = self.book.add_worksheet(name)
        sheet.set_paper(_A4)
        sheet.fit_to_pages(1, 0)
        sheet.hide_gridlines(2)
        sheet.set_footer("&L&8&A&R&8&P / &N")
        return sheet

    def put(self, sheet: Any, y: int, x: int, cell: Any) -> None:
        """Write one cell by its type; text stays text whatever it begins with."""
        value, form = cell if isinstance(cell, tuple) else (cell, None)
        if value is None or value == "":
            return
        if isinstance(value, datetime):
            sheet.write_datetime(y, x, value, form or self.instant)
        elif isinstance(value, str):
            sheet.write_string(y, x, value, form or self.text)
        else:
            sheet.write_number(y, x, value, form or self.whole)

    def _lines_in(self, cell: Any, width: float) -> int:
        """Give how many lines a wrapped cell takes in a column so many characters wide; 1 for any other."""
        if not isinstance(cell, tuple) or cell[1] is not self.wrap or not cell[0]:
            return 1
        return sum(math.ceil(max(len(part), 1) / width) for part in cell[0].split("\n"))

    def done(self) -> bytes:
        """Give the bytes."""
        self.book.close()
        return self._bytes.getvalue()


def wall_clock(instant: str | None, zone: str) -> datetime | None:
    """Give an instant as the zone's wall clock shows it: what a spreadsheet can hold."""
    return datetime.fromisoformat(instant).astimezone(zone_info(zone)).replace(tzinfo=None) if instant else None
