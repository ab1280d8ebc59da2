"""How a letter is written: one plain file a kind and language, its first line the subject. Pure.

A file is `templates/<language>/<kind>.txt`, in Jinja. It is given the letter's values, and `link` if there is one. A
value that is missing is an error, not a hole.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

FOLDER = Path(__file__).parent / "templates"
_SUBJECT = "Subject: "
_MONTHS = {
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "en": "January February March April May June July August September October November December",
}


@dataclass(frozen=True, slots=True)
class Written:
    """A letter's subject and text."""

    subject: str
    text: str


def write_letter(kind: str, language: str, values: Mapping[str, Any]) -> Written:
    """Write a letter; raises if there is no such kind, or a value is missing."""
    template = _environment.get_template(f"{language}/{kind}.txt")
    head, _, text = template.render(values, language=language).partition("\n")
    if not head.startswith(_SUBJECT):
        raise ValueError(f"the first line of {language}/{kind}.txt is no subject")
    return Written(re.sub(r"[\x00-\x1f\x7f]+", " ", head.removeprefix(_SUBJECT)).strip(), text.strip() + "\n")


def kinds(language: str) -> set[str]:
    """Give the kinds of letter that a language has."""
    return {path.stem for path in (FOLDER / language).glob("*.txt")}


@pass_context
def _instant(context: Context, text: str) -> str:
    """Write an instant for people: `12 marzo 2026, 09:00 UTC`."""
    at, language = datetime.fromisoformat(text), context["language"]
    return f"{at.day} {_MONTHS[language].split()[at.month - 1]} {at.year}, {at:%H:%M} UTC"


# Letters are plain text: there is nothing to escape.
_environment = Environment(
    loader=FileSystemLoader(FOLDER),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701
)
_environment.filters["instant"] = _instant
