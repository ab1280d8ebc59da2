"""The contract: openapi.yaml, from which integrators generate their clients. A test holds the file equal to the app."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from license_api.problems import Problem

_REFERENCE = "#/components/schemas/{model}"


def contract(app: FastAPI) -> dict[str, Any]:
    """Give the OpenAPI document of the app, with the schema of problems that every operation refers to."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        problem = Problem.model_json_schema(ref_template=_REFERENCE)
        document["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
        app.openapi_schema = document
    return app.openapi_schema
