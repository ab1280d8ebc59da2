"""Receipts: a chain of hashes by which a site proves what it reported, and the service what it was told."""

from collections.abc import Mapping
from hashlib import sha256
from json import JSONEncoder
from typing import Any, cast
from uuid import UUID

import rfc8785

RECEIPT_BYTES = 32

_INTEGER_MAX = 2**53 - 1
_encode = JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")).encode


def first_receipt(installation_id: str) -> bytes:
    """Receipt 0: the SHA-256 of the id's 36 characters; `ValueError` unless lower-case and hyphenated."""
    if str(UUID(installation_id)) != installation_id:
        raise ValueError("An installation id is 36 characters, lower-case and hyphenated.")
    return sha256(installation_id.encode("ascii")).digest()


def next_receipt(previous: bytes, entry: bytes) -> bytes:
    """Receipt n, of the 32 bytes of receipt n-1 and entry n in canonical form."""
    if len(previous) != RECEIPT_BYTES:
        raise ValueError(f"A receipt has {RECEIPT_BYTES} bytes, not {len(previous)}.")
    return sha256(previous + entry).digest()


def canonical(entry: Mapping[str, object]) -> bytes:
    """An entry as RFC 8785 JSON; `rfc8785.CanonicalizationError`, a `ValueError`, if it has none."""
    plain = entry if type(entry) is dict else dict(entry)
    # What a heartbeat holds (whole numbers, ASCII text) is the same bytes from the standard library's
    # encoder, which is written in C. The difficult parts of RFC 8785 (floats, the order of keys in UTF-16,
    # lone surrogates, big integers) are left to the library; a test holds the two equal.
    if _is_easy(plain):
        return _encode(plain).encode("ascii")
    return rfc8785.dumps(cast(Any, plain))


def _is_easy(entry: dict[str, Any]) -> bool:
    for key, value in entry.items():
        if type(key) is not str or not key.isascii():
            return False
        kind = type(value)
        if kind is int:
            if not -_INTEGER_MAX <= value <= _INTEGER_MAX:
                return False
        elif kind is str:
            if not value.isascii():
                return False
        elif kind is dict:
            if not _is_easy(value):
                return False
        elif kind is not bool:
            return False
    return True
