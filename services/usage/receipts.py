"""Receipts: a chain of hashes by which a site proves what it reported, and the service what it was told."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
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
    # What a heartbeat or a report holds (whole numbers, text, lists) is the same bytes from the standard library's
    # encoder, which is written in C. The difficult parts of RFC 8785 (floats, the order of keys in UTF-16,
    # lone surrogates, big integers) are left to the library; a test holds the two equal.
    if _is_easy(plain):
        with suppress(UnicodeEncodeError):
            return _encode(plain).encode()
    return rfc8785.dumps(cast(Any, plain))


def _is_easy(entry: dict[str, Any]) -> bool:
    return all(type(key) is str and key.isascii() for key in entry) and _are_easy(entry.values())


def _are_easy(values: Iterable[Any]) -> bool:
    for value in values:
        kind = type(value)
        if kind is int:
            if not -_INTEGER_MAX <= value <= _INTEGER_MAX:
                return False
        elif kind is dict:
            if not _is_easy(value):
                return False
        elif kind is list:
            if not _are_easy(value):
                return False
        elif kind is not str and kind is not bool and value is not None:
            return False
    return True
