"""The key's code finds typing errors before the service is asked."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from site_manager.key_code import ALPHABET, _polymod, read_code, write_code

KNOWN = {
    0: "00000-00000-00000-0000V-V6KVH",
    1: "00000-00000-00000-00016-DJ663",
    123456789: "00000-00000-0003N-QK8N2-4CWYJ",
    2**95 - 1: "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZS-C0JMT",
}


@pytest.mark.parametrize(("bits", "code"), KNOWN.items())
def test_known_bits_have_the_known_code(bits: int, code: str) -> None:
    assert write_code(bits) == code
    assert read_code(code) == code


def test_the_checksum_is_the_one_of_bip_350() -> None:
    bech32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # its test vector: A1LQFN3A
    assert _polymod([3, 0, 1, *map(bech32.index, "lqfn3a")]) == 0x2BC830A3


@pytest.mark.parametrize(
    "typed",
    [
        "00000-00000-0003n-qk8n2-4cwyj",
        "OOOOO OOOOO ooo3N QK8N2 4CWYJ",
        " 0000000000-0003NQK8N24CWYJ\n",
        "00000\u201300000\u20130003N\u2013QK8N2\u20134CWYJ",
    ],
)
def test_case_dashes_spaces_and_look_alikes_are_forgiven(typed: str) -> None:
    assert read_code(typed) == KNOWN[123456789]


def test_i_and_l_are_read_as_1() -> None:
    assert read_code("00000-00000-00000-000I6-DJ663") == read_code("00000-00000-00000-000L6-DJ663") == KNOWN[1]


@pytest.mark.parametrize("typed", ["", "00000", KNOWN[1] + "0", "U" + KNOWN[1][1:], "\u017f" + KNOWN[1][1:], "0" * 999])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert read_code(typed) is None


@given(st.integers(0, 2**95 - 1), st.integers(1, 4), st.randoms(use_true_random=False))
def test_up_to_four_wrong_characters_are_found(bits: int, wrong: int, chance: random.Random) -> None:
    symbols = list(write_code(bits).replace("-", ""))
    for place in chance.sample(range(25), wrong):
        symbols[place] = chance.choice(ALPHABET.replace(symbols[place], ""))
    assert read_code("".join(symbols)) is None


@given(st.integers(0, 2**95 - 1))
def test_every_code_reads_back(bits: int) -> None:
    assert read_code(write_code(bits).lower().replace("-", " ")) == write_code(bits)
