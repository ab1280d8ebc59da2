"""The contract: openapi.yaml is the app's, and every error code there is can be found in it."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import report_worker.main  # noqa: F401 - every feature is imported, and with it every refusal
from license_api.app import create_app
from license_api.problems import MEDIA_TYPE, status_of
from services.errors import Refusal, every_refusal
from services.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
REFUSALS = sorted(every_refusal(), key=lambda refusal: refusal.code)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_openapi_yaml_is_the_app_s(document: dict[str, Any]) -> None:
    written = ROOT / "openapi.yaml"
    assert written.exists(), "run `make openapi`"
    assert yaml.safe_load(written.read_text()) == document, "run `make openapi`"


def test_every_error_code_is_in_the_contract_under_its_status(document: dict[str, Any]) -> None:
    told = {
        (int(status), code)
        for operation in operations(document)
        for status, answer in operation["responses"].items()
        for code in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
    }
    assert {(status_of(refusal), refusal.code) for refusal in REFUSALS} <= told


def test_every_validation_error_of_the_contract_is_a_problem(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert set(answer["content"]) == {MEDIA_TYPE}, (operation["operationId"], status)


def test_each_operation_has_a_name_of_its_own_and_a_summary(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert len(names) == len(set(names))
    assert all(operation["summary"] for operation in operations(document))


def test_each_message_has_an_example_that_is_good(document: dict[str, Any]) -> None:
    """A field whose text has a form of its own needs a value in `license_api/examples.py`."""
    for operation in operations(document):
        answers = [answer for status, answer in operation["responses"].items() if status < "300"]
        for message in [operation.get("requestBody", {}), *answers]:
            said = message.get("content", {}).get("application/json", {})
            if "$ref" in said.get("schema", {}):
                whole = {**said["schema"], "components": document["components"]}
                jsonschema.Draft202012Validator(whole).validate(said["example"])


def test_every_operation_says_whether_it_asks_for_a_credential(document: dict[str, Any]) -> None:
    assert all("security" in operation for operation in operations(document))


def test_every_list_that_goes_on_links_to_its_next_page(document: dict[str, Any]) -> None:
    for operation in operations(document):
        parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
        if "after" in parameters:
            assert "Link" in operation["responses"]["200"]["headers"], operation["operationId"]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.__name__)
def test_each_error_s_docstring_is_its_message_and_its_code_is_its_own(refusal: type[Refusal]) -> None:
    assert (refusal.__doc__ or "").strip().endswith(".")
    assert refusal.code.replace("_", "").isalpha()
    assert [other for other in REFUSALS if other.code == refusal.code] == [refusal]
