"""Clients are generated from openapi.yaml as integrators do, and drive the running API. Run by `make clients`.

Generators are fetched into a temporary folder: nothing of it is part of this repository, and `make test`, which needs
no network, leaves it out.
"""

import asyncio
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.ground import Ground
from ops.stack import Stack, start_stack
from tests.support.world import World

HERE = Path(__file__).parent
CONTRACT = HERE.parents[1] / "openapi.yaml"


def run(*command: str | Path, cwd: Path) -> str:
    """Run a program; what it said is in the failure, if it fails."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr


@pytest.fixture
async def token(world: World) -> str:
    return await world.token()


@pytest.fixture
def stack(ground: Ground, token: str) -> Iterator[Stack]:
    with start_stack(ground) as running:
        yield running


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the TypeScript client, with its packages."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm on this machine: the contract is not linted and no TypeScript client is made")
    folder = tmp_path_factory.mktemp("typescript") / "client"
    shutil.copytree(HERE / "typescript", folder)
    run("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", cwd=folder)
    return folder


def test_the_contract_is_clean_under_the_recommended_rules(node_modules: Path) -> None:
    said = run("node_modules/.bin/redocly", "lint", "--extends", "recommended", CONTRACT, cwd=node_modules)
    assert "warning" not in said.lower().partition("validating")[2], said


async def test_a_python_client_works(stack: Stack, token: str, tmp_path: Path) -> None:
    def check() -> str:
        venv.create(tmp_path / "venv", with_pip=True)
        python = tmp_path / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt", cwd=tmp_path)
        (tmp_path / "config.yaml").write_text("package_name_override: tidemark_client\npost_hooks: []\n")
        generator = tmp_path / "venv" / "bin" / "openapi-python-client"
        options = ("--config", "config.yaml", "--output-path", "made", "--fail-on-warning")
        run(generator, "generate", "--path", CONTRACT, *options, cwd=tmp_path)
        driver = shutil.copy(HERE / "drive_python.py", tmp_path / "made")
        return run(python, driver, stack.url, token, cwd=tmp_path)

    assert "content" in await asyncio.to_thread(check)


async def test_a_typescript_client_works_and_is_strictly_typed(stack: Stack, token: str, node_modules: Path) -> None:
    def check() -> str:
        # A field with a default may be left out of a request.
        options = ("--output", "tidemark.d.ts", "--default-non-nullable", "false")
        run("node_modules/.bin/openapi-typescript", CONTRACT, *options, cwd=node_modules)
        run("node_modules/.bin/tsc", "--project", ".", cwd=node_modules)
        return run("node", "built/drive.js", stack.url, token, cwd=node_modules)

    assert "content" in await asyncio.to_thread(check)
