"""The kinds of event: one list holds what the service writes, what the contract says and what integrators read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from license_api.console.happenings import HAPPENINGS
from services.delivery import KINDS

ROOT = Path(__file__).resolve().parents[3]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the services of a function or method, by its name."""
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                yield name, node


def texts(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def written() -> set[str]:
    """The kinds that the sources name where an event, or a line of a key's timeline, is written."""
    found: set[str] = set()
    for name, call in calls():
        if name.endswith("emit"):
            found |= {text for word in call.keywords if word.arg == "kind" for text in texts(word.value)}
        elif name in ("record", "keys.note") and len(call.args) > 2:
            found |= {f"key.{text}" for text in texts(call.args[2])}
    return found


def test_every_kind_that_is_written_is_in_the_list() -> None:
    assert len(written()) > 30
    assert written() <= KINDS
    assert set(HAPPENINGS) <= KINDS


def test_every_kind_of_the_list_is_written_somewhere() -> None:
    sources = [path for path in (ROOT / "services").rglob("*.py") if path.name != "kinds.py"]
    named = {text for path in sources for text in texts(ast.parse(path.read_text()))}
    assert {kind for kind in KINDS if not {kind, kind.removeprefix("key.")} & named} == set()


def test_integrators_read_of_every_kind() -> None:
    page = (ROOT / "docs" / "integrations.md").read_text().partition("## Kinds of event")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z_]+\.[a-z_]+)`", page)) == KINDS - {"test"}
