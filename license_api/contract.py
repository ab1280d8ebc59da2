"""The contract: openapi.yaml, from which integrators generate their clients. A test holds the file equal to the app."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from license_api.examples import example_of
from license_api.problems import MEDIA_TYPE, Problem
from license_api.v1.fields import KIND_SCHEMA

_REFERENCE = "#/components/schemas/{model}"
_KINDS = {**KIND_SCHEMA, "title": "EventKind", "description": "What an event tells. New ones may be added."}
_METHODS = ("get", "post", "put", "patch", "delete")
_HEADERS: dict[str, Any] = {
    "X-Request-Id": ("The request's name: say it when you ask about it.", "4a5f0c9b6d1e2f30"),
    "RateLimit": ("What is left: `r` requests within the next `t` seconds.", '"default";r=599;t=60'),
    "RateLimit-Policy": ("How many requests (`q`) there may be in how many seconds (`w`).", '"default";q=600;w=60'),
    "Link": ('`rel="next"`: the next page; without it this is the last one.', '</v1/keys?after=key_…>; rel="next"'),
    "ETag": ("The version: send it back as `If-Match` with a change.", '"5f2c0e9b6d1e2f304a5f0c9b6d1e2f30"'),
}


def contract(app: FastAPI) -> dict[str, Any]:
    """Give the OpenAPI document of the app: FastAPI's own, completed by what is the same for many operations."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            servers=[{"url": "/", "description": "The deployment that you ask."}],
        )
        document["info"]["license"] = {"name": "Proprietary", "identifier": "LicenseRef-Proprietary"}
        problem = Problem.model_json_schema(ref_template=_REFERENCE)
        document = _with_kinds_named(document)
        document["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem, "EventKind": _KINDS}
        for path, operation in _operations(document):
            operation.setdefault("security", [])
            _give_examples(operation, document["components"]["schemas"])
            _name_problems(operation, document["components"])
            _tell_headers(operation, path)
        document["components"]["headers"] = {
            name: {"description": said, "schema": {"type": "string"}, "example": example}
            for name, (said, example) in _HEADERS.items()
        }
        app.openapi_schema = document
    return app.openapi_schema


def _with_kinds_named(part: Any) -> Any:
    """Refer to the kinds of event by their name: one type of a generated client, wherever they stand."""
    if part == KIND_SCHEMA:
        return {"$ref": _REFERENCE.format(model="EventKind")}
    if isinstance(part, dict):
        return {name: _with_kinds_named(value) for name, value in part.items()}
    return [_with_kinds_named(one) for one in part] if isinstance(part, list) else part


def _operations(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for path in document["paths"].values():
        yield from ((path, path[method]) for method in _METHODS if method in path)


def _give_examples(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    good = [answer for status, answer in operation["responses"].items() if status < "300"]
    for message in (operation.get("requestBody", {}), *good):
        said = message.get("content", {}).get("application/json", {})
        if said.get("schema", {}).keys() & {"$ref", "anyOf"}:
            said["example"] = example_of(said["schema"], schemas)
    for parameter in operation.get("parameters", ()):
        kind, _, what = parameter["name"].rpartition("_")
        if parameter["in"] == "path" and what == "id" and "format" not in parameter["schema"]:
            parameter["example"] = f"{kind}_01j7tzxgqnc008000000000000"


def _name_problems(operation: dict[str, Any], components: dict[str, Any]) -> None:
    """Refer to each problem by its code: the same ones stand at nearly every operation."""
    named = components.setdefault("examples", {})
    for answer in operation["responses"].values():
        said = answer.get("content", {}).get(MEDIA_TYPE, {})
        named |= said.get("examples", {})
        if "examples" in said:
            said["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in said["examples"]}


def _tell_headers(operation: dict[str, Any], path: dict[str, Any]) -> None:
    """Say which headers an answer has: pages link, what has a version is tagged, callers are counted."""
    names = ["X-Request-Id"]
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    if {"apiToken": []} in operation["security"]:
        names += ["RateLimit", "RateLimit-Policy"]
    if {"after", "limit"} <= parameters:
        names.append("Link")
    if _has_versions(path) and operation in [path.get(method) for method in ("get", "put", "patch")]:
        names.append("ETag")
    for status, answer in operation["responses"].items():
        if status < "300":
            answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _has_versions(path: dict[str, Any]) -> bool:
    changes = (path.get(method, {}).get("parameters", ()) for method in ("put", "patch"))
    return any(one["name"] == "If-Match" for parameters in changes for one in parameters)
