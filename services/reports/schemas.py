"""The published JSON Schemas of the documents, by name."""

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def _read(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((_HERE / name).read_text("utf-8"))
    return schema


REPORT_SCHEMA = _read("report.schema.json")
STATEMENT_SCHEMA = _read("statement.schema.json")
SCHEMAS = {"report-1": REPORT_SCHEMA, "statement-1": STATEMENT_SCHEMA}
