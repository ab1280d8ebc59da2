"""The client alone: what `pip install` of it pulls in, and what it imports, holds nothing of the service."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# The client's own command line is made with typer, which brings these itself; the client imports no pydantic.
ALSO_THE_CLIENT_S = {"pydantic", "rich"}


def closure(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """The packages that an installation of one pulls in, by the metadata of what is installed here."""
    found: set[str] = set()
    waiting = [(name, extras)]
    while waiting:
        package, wanted = waiting.pop()
        for text in _requires(package):
            needed = Requirement(text)
            environments = [{"extra": extra} for extra in wanted or {""}]
            if needed.marker is not None and not any(needed.marker.evaluate(one) for one in environments):
                continue
            canonical = canonicalize_name(needed.name)
            if canonical not in found:
                found.add(canonical)
                waiting.append((canonical, frozenset(needed.extras)))
    return found


def _requires(package: str) -> list[str]:
    try:
        return requires(package) or []
    except PackageNotFoundError:
        return []  # for another platform


def test_an_installation_of_the_client_alone_pulls_in_no_package_of_the_service() -> None:
    own, service = closure("tidemark"), closure("tidemark", frozenset({"server", "embedded"}))
    assert {"httpx", "cryptography", "joserfc", "rfc8785", "typer"} <= own
    direct = {canonicalize_name(Requirement(text).name) for text in _requires("tidemark") if "extra ==" in text}
    assert {"sqlalchemy", "fastapi", "asyncpg", "arq", "pydantic", "uvicorn", "typst"} <= service
    assert own & direct <= ALSO_THE_CLIENT_S


def test_the_client_imports_nothing_of_the_service() -> None:
    asked = "import sys, site_manager.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    packages = {
        "services",
        "license_api",
        "report_worker",
        "ops",
        "sqlalchemy",
        "fastapi",
        "pydantic",
        "asyncpg",
        "arq",
    }
    assert not packages & set(told)
    assert "site_manager" in told
