"""Examples for the contract: composed from the schemas, with values by the names of the fields."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_INSTANT = "2026-11-24T08:00:00Z"
_ID = "01j7tzxgqnc008000000000000"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_CODE = "TMK1-7K3QD-9XWZM-4TBHV-2RJPC"

# Values by the name of a field; a test holds every example good for its schema.
_NAMED: dict[str, Any] = {
    "accepted_privacy_notice": "2026-01",
    "accepted_terms": "2026-01",
    "action": "key.created",
    "actor": f"token_{_ID}",
    "address": "Via Roma 1, 34121 Trieste",
    "answer_by": _INSTANT,
    "body": '{"type":"key.issued","timestamp":"2026-11-24T08:00:00Z","data":{}}',
    "code": _CODE,
    "codes": "mfrggzdfmztwq2lk",
    "company": "Adriatica Sistemi S.r.l.",
    "console_url": "https://backup.hoteladria.example:8443",
    "contact": "Maria Rossi",
    "country": "IT",
    "credential_sha256": _SHA256,
    "customer_code": "C-1042",
    "detail": "There is no such thing, or not for you.",
    "flags": "clone_suspected",
    "hint": "x7Qk",
    "hostname": "backup01",
    "key": "TMK1-*****-*****-*****-2RJPC",
    "kid": "2026-11-24",
    "kind": "key.issued",
    "kinds": "report.issued",
    "legal_name": "Adriatica Sistemi S.r.l.",
    "license_key": _CODE,
    "month": "2026-11",
    "name": "Hotel Adria",
    "new": "a long sentence is a good password",
    "next_credential_sha256": _SHA256,
    "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
    "number": "2026-00042",
    "old": "the password of now",
    "partner_id": f"msp_{_ID}",
    "password": "a long sentence is a good password",
    "program": "Mozilla/5.0",
    "public_key": "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqo",
    "reason": "The contract has ended.",
    "reference": "ERP 1042",
    "recipient": "maria@adriatica.example",
    "replaces": "2RJPC",
    "request_id": "4a5f0c9b6d1e2f30",
    "sdi_code": "ABC1234",
    "subject": {"key": f"key_{_ID}"},
    "tax_code": "00743110157",
    "territory": "IT",
    "terms_version": "2026-01",
    "privacy_version": "2026-01",
    "timezone": "Europe/Rome",
    "token": "tdm_" + "x" * 43,
    "uri": "otpauth://totp/Tidemark:maria%40adriatica.example?secret=JBSWY3DPEHPK3PXP&issuer=Tidemark",
    "url": "https://erp.adriatica.example/hooks/tidemark",
    "vat_number": "IT00743110157",
    "version": "7.2.1",
    "zone": "Europe/Rome",
}
# Messages whose fields hang together.
_WHOLE: dict[str, Any] = {
    "HeartbeatRequest": {
        "sequence": 2,
        "nonce": "AAAAAAAAAAAAAAAAAAAAAA",
        "echo": "the echo of the last answer",
        "sent_at": _INSTANT,
        "deployed": {"server": 3, "workstation": 25, "server_plus": 0},
        "changes": [{"n": 2, "at": "2026-11-24T07:48:12Z", "server": 3, "workstation": 25, "server_plus": 0}],
    },
}
_OF_PATTERN = {"^[0-9a-f]{64}$": _SHA256}
_OF_FORMAT = {
    "date": "2026-11-24",
    "date-time": _INSTANT,
    "email": "maria@adriatica.example",
    "password": "a long sentence is a good password",
    "uuid": "6a1f7c1e-5b0a-4d0e-9f0e-3f0a7b1c2d3e",
}


def example_of(schema: Schema, components: Mapping[str, Schema], name: str = "") -> Any:
    """Compose an example of a schema; `name` is the field's."""
    if "$ref" in schema:
        referred = schema["$ref"].rpartition("/")[2]
        return _WHOLE.get(referred) or example_of(components[referred], components, name)
    for given in ("const", "example"):
        if given in schema:
            return schema[given]
    if "examples" in schema:
        return schema["examples"][0]
    if "anyOf" in schema:
        return example_of({**schema["anyOf"][0], "default": schema.get("default")}, components, name)
    return _of_type(schema, components, name)


def _of_type(schema: Schema, components: Mapping[str, Schema], name: str) -> Any:
    kind = schema.get("type", "object")
    if kind == "array":
        return [example_of(schema["items"], components, name)]
    if kind == "object":
        fields = schema.get("properties", {})
        composed = {key: example_of(field, components, key) for key, field in fields.items()}
        return composed or dict(_NAMED.get(name, {}))
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "string":
        return _text(schema, name)
    if schema.get("default") is not None:
        return schema["default"]
    return {"boolean": False, "integer": schema.get("minimum", 1), "number": 1, "null": None}[kind]


def _text(schema: Schema, name: str) -> str:
    given = _OF_FORMAT.get(schema.get("format", "")) or _OF_PATTERN.get(schema.get("pattern", "")) or _NAMED.get(name)
    return given if isinstance(given, str) else name or "text"
