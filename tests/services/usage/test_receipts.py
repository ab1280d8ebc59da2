"""Receipts: known answers of the chain, and a fast canonical form that equals the library's everywhere."""

import hashlib
from collections import OrderedDict
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from services.usage import receipts
from services.usage.receipts import canonical, first_receipt, next_receipt

INSTALLATION = "0192f0c1-2222-7333-8444-555566667777"
CHANGE = {"n": 96, "at": "2026-10-31T22:59:59Z", "server": 12, "workstation": 140, "server_plus": 1}
CHANGE_BYTES = b'{"at":"2026-10-31T22:59:59Z","n":96,"server":12,"server_plus":1,"workstation":140}'
BIGGEST = 2**53 - 1

ascii_text = st.text([chr(code) for code in range(128)])
easy = st.none() | st.booleans() | st.integers(-BIGGEST, BIGGEST) | ascii_text | st.text(max_size=5)
anything = st.recursive(
    easy | st.none() | st.integers() | st.floats() | st.text() | st.text(st.characters(categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


class Rank(IntEnum):
    FIRST = 1


def outcome(encode: Any, entry: Any) -> bytes | type[Exception]:
    try:
        return bytes(encode(entry))
    except (ValueError, RecursionError) as refused:
        return type(refused)


def test_receipt_0_is_the_hash_of_the_id_s_characters() -> None:
    assert len(INSTALLATION) == 36
    assert first_receipt(INSTALLATION) == hashlib.sha256(INSTALLATION.encode()).digest()
    assert first_receipt(INSTALLATION).hex() == "70c82732afd1f528c71c90f49fc2caa195b69e53bd33d872e028695272cf4132"


@pytest.mark.parametrize(
    "other",
    [
        INSTALLATION.upper(),
        INSTALLATION.replace("-", ""),
        f"{{{INSTALLATION}}}",
        f"urn:uuid:{INSTALLATION}",
        "",
        "x",
    ],
)
def test_another_spelling_of_an_id_is_refused(other: str) -> None:
    with pytest.raises(ValueError, match=r"installation id|badly formed"):
        first_receipt(other)


def test_receipt_n_is_the_hash_of_the_one_before_and_the_entry() -> None:
    zero = first_receipt(INSTALLATION)
    one = next_receipt(zero, CHANGE_BYTES)
    assert one == hashlib.sha256(zero + CHANGE_BYTES).digest()
    assert one.hex() == "d13dd49c46e9eed8f0c10f9caf3219c9788ed535527010e6c1cd8319fc3cd6b4"
    assert next_receipt(one, CHANGE_BYTES) != one


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_receipt_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        next_receipt(bytes(length), CHANGE_BYTES)


def test_a_change_has_the_known_form_in_any_order() -> None:
    assert canonical(CHANGE) == CHANGE_BYTES
    assert canonical(dict(reversed(CHANGE.items()))) == CHANGE_BYTES
    assert canonical(MappingProxyType(CHANGE)) == CHANGE_BYTES
    assert canonical(OrderedDict(CHANGE)) == CHANGE_BYTES


def test_other_entries_have_the_known_form() -> None:
    listing = {"n": 98, "at": "2026-10-31T22:59:59Z", "seen": [INSTALLATION]}
    assert canonical(listing) == f'{{"at":"2026-10-31T22:59:59Z","n":98,"seen":["{INSTALLATION}"]}}'.encode()
    counted = {"n": 1, "active": {"workstation": 2, "server": 1}, "x": None}
    assert canonical(counted) == b'{"active":{"server":1,"workstation":2},"n":1,"x":null}'
    assert canonical({}) == b"{}"


def test_what_python_and_rfc_8785_write_differently_is_written_as_the_rfc_says() -> None:
    assert canonical({"a": 12.0, "b": 1e21, "c": 1e-7, "d": -0.0}) == b'{"a":12,"b":1e+21,"c":1e-7,"d":0}'
    # By code point U+FB33 is below U+1F600; by UTF-16 unit it is above.
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()
    assert canonical({"é": "è\x7f\b\x01"}) == '{"é":"è\x7f\\b\\u0001"}'.encode()


@pytest.mark.parametrize("value", [2**53, -(2**53), float("nan"), float("inf"), "\ud800", object(), b"x", {1: 2}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical({"value": value})


@settings(max_examples=1000, deadline=None)
@given(entry=st.dictionaries(ascii_text, easy | st.lists(easy) | st.dictionaries(ascii_text, easy)))
@example(entry={"a": BIGGEST, "b": -BIGGEST, "c": True, "d": False, "e": '\x00\x1f"\\/\x7f\b\f\n\r\t'})
def test_the_fast_form_is_the_library_s(entry: dict[str, Any]) -> None:
    assert canonical(entry) == rfc8785.dumps(entry)


# Too slow by its first draw alone, which makes the table of Unicode.
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(entry=st.dictionaries(st.text(), anything, max_size=6))
@example(entry={"rank": Rank.FIRST})
@example(entry={"a": ["\ud800", None, [{"b": "è\u2028\x7f"}]]})
@example(entry={"a": {"b": 2**53}})
@example(entry={"a": {"é": 1, "b": 2}})
def test_whatever_the_entry_the_answer_is_the_library_s(entry: dict[str, Any]) -> None:
    assert outcome(canonical, entry) == outcome(rfc8785.dumps, entry)


def test_a_change_takes_the_fast_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "rfc8785", None)
    assert canonical(CHANGE) == CHANGE_BYTES
    assert canonical(CHANGE | {"active": {"server": 3}}).startswith(b'{"active":{"server":3},')
    assert canonical({"site": "Città", "daily": [1, None]}) == '{"daily":[1,null],"site":"Città"}'.encode()
