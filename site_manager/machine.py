"""The machine that a site runs on: what a Site Manager asks it, and the reference one, which is a folder of files."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from site_manager.wire import COUNT_MAX

AGENTS_MAX: Final = 20_000
_BACKUPS: Final = ("failed", "ok", "overdue", "warning")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of something that the machine was asked to do."""

    outcome: Literal["done", "refused", "failed"]
    text: str = ""


class Machine(Protocol):
    """What carries commands out. Nothing here deletes, restores or runs code."""

    def backups(self) -> dict[str, int] | None:
        """How many backups are ok, warning, failed, overdue; None if that is not known."""

    def inventory(self) -> Sequence[dict[str, Any]] | None:
        """The agents as `/v1/inventory` takes them; None if they are not known."""

    def run_backup(self, name: str) -> Done:
        """Run a backup definition now."""

    def rename(self, name: str) -> Done:
        """Give the site another name."""


class FolderMachine:
    """A folder: `inventory.json`, `backups.json`, `definitions.txt` (a name a line); writes `runs.log`, `name.txt`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def backups(self) -> dict[str, int] | None:
        """Read `backups.json`."""
        found = self._read("backups.json")
        if not isinstance(found, dict) or sorted(found) != list(_BACKUPS):
            return None
        whole = all(type(count) is int and 0 <= count <= COUNT_MAX for count in found.values())
        return found if whole else None

    def inventory(self) -> Sequence[dict[str, Any]] | None:
        """Read `inventory.json`."""
        found = self._read("inventory.json")
        named = isinstance(found, list) and all(
            isinstance(one, dict) and isinstance(one.get("id"), str) for one in found
        )
        return found if named and len({one["id"] for one in found}) == len(found) <= AGENTS_MAX else None

    def run_backup(self, name: str) -> Done:
        """Note the run in `runs.log`."""
        try:
            known = (self._folder / "definitions.txt").read_text().splitlines()
        except OSError:
            known = []
        if name not in known:
            return Done("failed", "there is no such backup definition")
        return self._append("runs.log", name)

    def rename(self, name: str) -> Done:
        """Write `name.txt`."""
        try:
            (self._folder / "name.txt").write_text(name + "\n")
        except OSError as error:
            return Done("failed", str(error))
        return Done("done")

    def _append(self, file: str, line: str) -> Done:
        try:
            with (self._folder / file).open("a") as log:
                log.write(line + "\n")
                log.flush()
                os.fsync(log.fileno())
        except OSError as error:
            return Done("failed", str(error))
        return Done("done")

    def _read(self, file: str) -> Any:
        try:
            return json.loads((self._folder / file).read_text())
        except (OSError, ValueError):
            return None
