"""What the image is made of, read from its files: the real build is deploy/build-without-engine.sh --try."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_the_image_gets_every_package_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))
    assert copied == packages


def test_the_build_context_is_what_the_dockerfile_copies() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(let_in) == sorted(name for names in copied for name in names.split())


def test_the_image_runs_as_nobody_in_particular_and_hears_signals() -> None:
    last_stage = DOCKERFILE.rsplit("FROM ", 1)[1]
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", last_stage, re.MULTILINE)
    assert 'ENTRYPOINT ["tidemark"]' in last_stage


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["migrate", "api", "worker"])
def test_compose_sets_only_settings_that_there_are(name: str) -> None:
    service = SERVICES[name]
    given = {*service["environment"], *(secret["target"] for secret in service["secrets"])}
    assert given <= {f"TIDEMARK_{setting.upper()}" for setting in Settings.model_fields}
    assert {"TIDEMARK_DATABASE_URL", "TIDEMARK_REDIS_URL"} <= given


def test_only_migrate_gets_the_owner_of_the_schema() -> None:
    holders = [name for name in SERVICES if "migrate_database_url" in str(SERVICES[name].get("secrets"))]
    assert holders == ["migrate"]


def test_api_and_worker_do_not_wait_for_each_other() -> None:
    assert "worker" not in SERVICES["api"]["depends_on"]
    assert "api" not in SERVICES["worker"]["depends_on"]
