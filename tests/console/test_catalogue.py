"""Both languages are whole: every text of a page has its Italian, once, and no file keeps one that is used no more."""

import io
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po

import license_api.app  # noqa: F401 - every refusal is known
from license_api.console.details import DETAILS
from license_api.console.language import FOLDER
from license_api.console.writing import FOLDER as TEMPLATES
from services.errors import every_refusal

CONSOLE = TEMPLATES.parent
_KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}
# Jinja's own options, as the pages are read with.
_OPTIONS = {"trimmed": "true", "extensions": "jinja2.ext.do", "trim_blocks": "true", "lstrip_blocks": "true"}
SERVICES = CONSOLE.parents[1] / "services"
# Said to programs and to Site Managers alone.
NOT_IN_PAGES = {
    "An installation id is 36 characters, lower-case and hyphenated.",
    "An instant needs its offset from UTC.",
    "At least one character is wrong: the key's checksum does not match.",
    "This is for people, not for programs.",
}
# A number, a sign and a name are the same in both.
_SAME = {"Tidemark"}


def used() -> dict[str, str]:
    """Every text that pages can show, with a file that has it."""
    found: dict[str, str] = {}
    for path in sorted(CONSOLE.rglob("*.py")):
        found |= dict.fromkeys(_texts("python", path), path.name)
    for path in sorted(TEMPLATES.rglob("*.html")):
        found |= dict.fromkeys(_texts("jinja2", path), str(path.relative_to(TEMPLATES)))
    for refusal in every_refusal():
        if not refusal.__module__.startswith("tests"):
            found.setdefault((refusal.__doc__ or "").strip().partition("\n")[0], "a refusal")
    return found


def _texts(method: str, path: Path) -> Iterator[str]:
    given = io.BytesIO(path.read_bytes())
    for _line, text, _comments, _context in extract(method, given, _KEYWORDS, options=_OPTIONS):
        yield text if isinstance(text, str) else text[0]


def written() -> Iterator[tuple[str, Message]]:
    for path in sorted((FOLDER / "it").glob("*.po")):
        with path.open("rb") as file:
            yield from ((path.name, message) for message in read_po(file, locale="it") if message.id)


def test_every_text_has_its_italian() -> None:
    known = {_id(message) for _, message in written()}
    missing = {text: place for text, place in used().items() if text not in known}
    assert not missing, "\n\n".join(
        ["", *(f"#: {place}\nmsgid {_quoted(text)}\nmsgstr " for text, place in missing.items())]
    )


def test_no_text_of_the_catalogue_is_used_no_more() -> None:
    wanted = used()
    unused = [f"{name}: {_id(message)}" for name, message in written() if _id(message) not in wanted]
    assert not unused


def test_every_italian_text_is_there_once_and_fills_in_the_same_values() -> None:
    seen: set[str] = set()
    for name, message in written():
        texts = message.string if isinstance(message.string, (tuple, list)) else [message.string]
        assert all(texts), (name, message.id)
        assert not message.fuzzy, (name, message.id)
        assert _id(message) not in seen, f"{name}: {_id(message)} is in another file too"
        seen.add(_id(message))
        ids = message.id if isinstance(message.id, (tuple, list)) else [message.id]
        assert _values(ids[-1]) == _values(texts[-1] or ""), (name, message.id)


def test_what_refusals_say_in_words_of_their_own_is_in_the_catalogue() -> None:
    raised = re.compile(r'raise [A-Z]\w+\(\s*"([A-Z][^"]+\.)"[,)]')
    found = {text for path in sorted(SERVICES.rglob("*.py")) for text in raised.findall(path.read_text())}
    assert found - set(DETAILS) - NOT_IN_PAGES == set()


def _id(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _values(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)[sd]", text))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
