"""A row of the results: one figure, beside what it is compared with."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """A figure. `value` is what is compared with `target`; `yardstick` says what it was measured against."""

    name: str
    value: float
    unit: str
    yardstick: str
    target: str
    met: bool


def at_least(name: str, value: float, unit: str, yardstick: str, bound: float) -> Row:
    """Make a row whose value should reach a bound."""
    return Row(name, round(value, 3), unit, yardstick, f">= {bound:g}", value >= bound)


def at_most(name: str, value: float, unit: str, yardstick: str, bound: float) -> Row:
    """Make a row whose value should stay within a bound."""
    return Row(name, round(value, 3), unit, yardstick, f"<= {bound:g}", value <= bound)


def in_turn(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Measure things in turn, A B A B, so that a change of the machine's mood meets all; give each one's median."""
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for values, measure in zip(taken, measures, strict=True):
            values.append(measure())
    return [median(values) for values in taken]


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table."""
    table = Table("what", "figure", "target", "met", "beside")
    for row in rows:
        table.add_row(row.name, f"{row.value:,g} {row.unit}", row.target, "yes" if row.met else "NO", row.yardstick)
    console.print(table)


def write(rows: Sequence[Row], file: Path) -> None:
    """Write the rows as JSON."""
    file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
