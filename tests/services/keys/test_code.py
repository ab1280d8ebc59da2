"""The key code: what is made can be read however it is typed, and up to four wrong characters are found."""

import itertools
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.errors import Kind
from services.keys import code as key_code
from services.keys.code import ALPHABET, KeyMalformed, make, mask, parse

SYMBOLS = 25
BECH32_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
KNOWN = {
    b"\x00" * 12: "00000-00000-00000-0000V-V6KVH",
    b"\xff" * 12: "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZS-C0JMT",
    bytes(range(12)): "000G4-0R40M-30E20-9185V-V1ZJT",
}

codes = st.binary(min_size=12, max_size=12).map(lambda seed: make(lambda _: seed))


def dashed(symbols: str) -> str:
    return "-".join(symbols[at : at + 5] for at in range(0, SYMBOLS, 5))


@pytest.mark.parametrize(("seed", "code"), KNOWN.items())
def test_known_entropy_gives_the_known_code(seed: bytes, code: str) -> None:
    assert make(lambda count: seed[:count]) == code
    assert parse(code) == code


@pytest.mark.parametrize(
    "vector",
    [
        "a1lqfn3a",
        "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
        "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
        "?1v759aa",
    ],
)
def test_the_checksum_is_that_of_bip_350(vector: str) -> None:
    prefix, _, symbols = vector.rpartition("1")
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    assert key_code._polymod(expanded + [BECH32_ALPHABET.index(c) for c in symbols]) == 0x2BC830A3


def test_the_checksum_is_bound_to_this_product_s_prefix() -> None:
    values = [ALPHABET.index(symbol) for symbol in KNOWN[bytes(range(12))].replace("-", "")]
    expanded = [3, 3, 3, 0, ord("t") & 31, ord("d") & 31, ord("m") & 31]
    assert key_code._polymod(expanded + values) == 0x2BC830A3


@settings(deadline=None)
@given(code=codes)
def test_what_is_made_is_read(code: str) -> None:
    assert parse(code) == code
    assert len(code) == 29
    assert set(code) <= {*ALPHABET, "-"}


def test_every_one_of_the_95_bits_is_used() -> None:
    made = {make(lambda _, bit=bit: (1 << bit).to_bytes(12, "big")) for bit in range(1, 96)}  # type: ignore[misc]
    assert len(made) == 95
    assert make(secrets.token_bytes) != make(secrets.token_bytes)


def test_entropy_is_asked_for_once_and_must_be_whole() -> None:
    asked: list[int] = []
    make(lambda count: asked.append(count) or bytes(count))  # type: ignore[func-returns-value]
    assert asked == [12]
    with pytest.raises(ValueError, match="entropy"):
        make(lambda count: bytes(count - 1))


def test_any_one_wrong_character_is_found() -> None:
    for code in KNOWN.values():
        symbols = code.replace("-", "")
        for place, wrong in itertools.product(range(SYMBOLS), ALPHABET):
            if wrong != symbols[place]:
                with pytest.raises(KeyMalformed):
                    parse(dashed(symbols[:place] + wrong + symbols[place + 1 :]))


@settings(max_examples=500, deadline=None)
@given(
    code=codes,
    errors=st.dictionaries(st.integers(0, SYMBOLS - 1), st.integers(1, 31), min_size=1, max_size=4),
)
def test_any_four_wrong_characters_are_found(code: str, errors: dict[int, int]) -> None:
    symbols = list(code.replace("-", ""))
    for place, change in errors.items():
        symbols[place] = ALPHABET[ALPHABET.index(symbols[place]) ^ change]
    with pytest.raises(KeyMalformed, match="checksum"):
        parse(dashed("".join(symbols)))


def test_no_pattern_of_four_wrong_characters_escapes_in_any_key() -> None:
    """A proof for all keys at once, without trying 10^10 patterns.

    The code is linear: a pattern of errors moves the remainder by its own syndrome, whatever the key. Four
    errors go unseen if and only if two patterns of at most two have the same syndrome.
    """
    none = key_code._polymod([0] * SYMBOLS)
    single = [
        [key_code._polymod([0] * place + [value] + [0] * (SYMBOLS - 1 - place)) ^ none for value in range(1, 32)]
        for place in range(SYMBOLS)
    ]
    syndromes = [0, *itertools.chain.from_iterable(single)]
    for one, other in itertools.combinations(single, 2):
        syndromes += [a ^ b for a in one for b in other]
    assert len(syndromes) == 1 + 25 * 31 + 300 * 31 * 31
    assert len(set(syndromes)) == len(syndromes)


@settings(deadline=None)
@given(code=codes, data=st.data())
def test_a_code_is_read_however_it_is_typed(code: str, data: st.DataObject) -> None:
    typed = ""
    for symbol in code.replace("-", ""):
        looks_like = {"1": "1IiLl", "0": "0Oo"}.get(symbol, symbol + symbol.lower())
        typed += data.draw(st.sampled_from(looks_like))
        typed += data.draw(st.sampled_from(["", "", "-", " ", "\t", "\n", " - ", "–", "‑", "\u00a0"]))
    assert parse(typed) == code


def test_look_alikes_are_read_as_digits() -> None:
    assert parse("oooOO 00000 00000 0000v v6kvh") == KNOWN[bytes(12)]
    assert parse("ooog4or4om3oe2o9i85vvLzjt") == KNOWN[bytes(range(12))]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has 25 characters without the dashes; this has 0"),
        ("00000-00000-00000-0000V-V6KV", "this has 24"),
        ("00000-00000-00000-0000V-V6KVH0", "this has 26"),
        ("0" * 100_000, "this has 100000"),
        ("0U000-00000-00000-0000V-V6KVH", "Character 2 is 'U'"),
        ("00000-00000-0000*-0000V-V6KVH", r"Character 15 is '\*'"),
        ("00000-00000-00000-0000V-V6KVH\0", r"Character 26 is '\\x00'"),
        ("0000\u0660-00000-00000-0000V-V6KVH", "Character 5"),
        ("ZZZZZ-ZZZZZ-ZZZZZ-ZZZZ\u017f-C0JMT", "Character 20"),  # upper() makes an S of a long s
        ("000G4-0R40M-30E20-9\u013185V-V1ZJT", "Character 17"),  # and an I of a dotless i
        ("00000-00000-00000-0000V-V6KVJ", "checksum"),
    ],
)
def test_a_malformed_code_says_why(text: str, reason: str) -> None:
    with pytest.raises(KeyMalformed, match=reason) as caught:
        parse(text)
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "key_malformed")
    assert len(text) < 20 or text not in str(caught.value)


def test_a_mask_shows_the_last_five_and_is_plain_text() -> None:
    code = KNOWN[bytes(range(12))]
    assert mask(code) == "*****-*****-*****-*****-V1ZJT"
    assert mask("V1ZJT") == mask(code)
    assert mask(code).isascii()
    assert mask(code)[0] not in "=+-@"
    with pytest.raises(KeyMalformed):
        parse(mask(code))
