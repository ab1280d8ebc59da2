"""The licence key's code: 95 random bits and a checksum, in 25 symbols that a person can read aloud.

`XXXXX-XXXXX-XXXXX-XXXXX-XXXXX` in Crockford's base32. The last six symbols are bech32m's BCH code (BIP-350)
over the human-readable part `tdm` and the 19 data symbols: it finds up to four wrong characters, so a typing
error is told on the spot and never asked of the service.
"""

from collections.abc import Iterable
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
DATA_SYMBOLS: Final = 19
CHECKSUM_SYMBOLS: Final = 6
SYMBOLS: Final = DATA_SYMBOLS + CHECKSUM_SYMBOLS
TYPED_MAX: Final = 200

_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M: Final = 0x2BC830A3
_PREFIX: Final = tuple([ord(c) >> 5 for c in "tdm"] + [0] + [ord(c) & 31 for c in "tdm"])
_VALUES: Final = {symbol: value for value, symbol in enumerate(ALPHABET)}
# Letter by letter, since str.upper() would make an S of a long s. The dashes are those of word processors too.
_FORGIVEN: Final = str.maketrans(
    {symbol.lower(): symbol for symbol in ALPHABET}
    | dict.fromkeys("IiLl", "1")
    | dict.fromkeys("Oo", "0")
    | dict.fromkeys("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
)


def read_code(typed: str) -> str | None:
    """The code in its one written form (upper case, dashes), or None if it is no valid code.

    Case, dashes and white space are forgiven, and so are I and L for 1 and O for 0.
    """
    values = _values(typed)
    if values is None or _polymod((*_PREFIX, *values)) != _BECH32M:
        return None
    return _written(values)


def write_code(bits: int) -> str:
    """The code of a 95-bit number (for tests and fakes: real keys are made by the service)."""
    if not 0 <= bits < 1 << 5 * DATA_SYMBOLS:
        raise ValueError(f"a key holds {5 * DATA_SYMBOLS} bits")
    data = [bits >> 5 * (DATA_SYMBOLS - 1 - i) & 31 for i in range(DATA_SYMBOLS)]
    rest = _polymod((*_PREFIX, *data, *[0] * CHECKSUM_SYMBOLS)) ^ _BECH32M
    checksum = [rest >> 5 * (CHECKSUM_SYMBOLS - 1 - i) & 31 for i in range(CHECKSUM_SYMBOLS)]
    return _written(data + checksum)


def _values(typed: str) -> list[int] | None:
    if len(typed) > TYPED_MAX:
        return None
    symbols = "".join(typed.translate(_FORGIVEN).split())
    if len(symbols) != SYMBOLS or not all(symbol in _VALUES for symbol in symbols):
        return None
    return [_VALUES[symbol] for symbol in symbols]


def _written(values: Iterable[int]) -> str:
    symbols = "".join(ALPHABET[value] for value in values)
    return "-".join(symbols[i : i + 5] for i in range(0, SYMBOLS, 5))


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, constant in enumerate(_GENERATOR):
            if top >> i & 1:
                check ^= constant
    return check
