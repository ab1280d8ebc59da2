"""The licence key's code: 95 random bits and a checksum, in letters that survive telephone and keyboard."""

from collections.abc import Callable, Iterable

from services.errors import Kind, Refusal

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, U
SYMBOLS = 25
GROUP = 5
PREFIX = "tdm"

_DATA = 19
_CHECKSUM = SYMBOLS - _DATA
_ENTROPY_BYTES = 12  # 96 bits, of which the lowest is dropped
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M = 0x2BC830A3
_EXPANDED_PREFIX = (*(ord(c) >> 5 for c in PREFIX), 0, *(ord(c) & 31 for c in PREFIX))
_VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)}

# Letter by letter and ASCII only, since `str.upper()` makes an S of a long s and an I of a dotless i. The
# dashes are those that word processors and PDF readers put in place of the one that was printed.
_FORGIVEN = str.maketrans(
    {symbol.lower(): symbol for symbol in ALPHABET}
    | dict.fromkeys("IiLl", "1")
    | dict.fromkeys("Oo", "0")
    | dict.fromkeys("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "")
)


class KeyMalformed(Refusal):
    """The licence key was not typed or copied as it was issued."""

    kind = Kind.INVALID
    code = "key_malformed"


def make(entropy: Callable[[int], bytes]) -> str:
    """A new code in its canonical form; `entropy(n)` gives n random bytes (`secrets.token_bytes`)."""
    seed = entropy(_ENTROPY_BYTES)
    if len(seed) != _ENTROPY_BYTES:
        raise ValueError(f"entropy gave {len(seed)} bytes instead of {_ENTROPY_BYTES}")
    bits = int.from_bytes(seed, "big") >> 1
    data = [bits >> 5 * place & 31 for place in reversed(range(_DATA))]
    return _grouped("".join(ALPHABET[value] for value in (*data, *_checksum(data))))


def parse(text: str) -> str:
    """The canonical form of a code as somebody typed it, or `KeyMalformed`, which never repeats it."""
    symbols = "".join(text.translate(_FORGIVEN).split())
    for place, symbol in enumerate(symbols, start=1):
        if symbol not in _VALUES:
            raise KeyMalformed(f"Character {place} is {symbol!a}, which no key contains.")
    if len(symbols) != SYMBOLS:
        raise KeyMalformed(f"A key has {SYMBOLS} characters without the dashes; this has {len(symbols)}.")
    if _polymod((*_EXPANDED_PREFIX, *(_VALUES[symbol] for symbol in symbols))) != _BECH32M:
        raise KeyMalformed("At least one character is wrong: the key's checksum does not match.")
    return _grouped(symbols)


def mask(code: str) -> str:
    """A canonical code (or its last five characters alone) with only the last five shown.

    Asterisks, since a spreadsheet that guesses the encoding of a CSV file garbles bullets, and not every
    font in a PDF has them; an X could be part of a key.
    """
    return ("*" * GROUP + "-") * (SYMBOLS // GROUP - 1) + code[-GROUP:]


def _grouped(symbols: str) -> str:
    return "-".join(symbols[at : at + GROUP] for at in range(0, SYMBOLS, GROUP))


def _checksum(data: Iterable[int]) -> list[int]:
    rest = _polymod((*_EXPANDED_PREFIX, *data, *[0] * _CHECKSUM)) ^ _BECH32M
    return [rest >> 5 * place & 31 for place in reversed(range(_CHECKSUM))]


def _polymod(values: Iterable[int]) -> int:
    """The remainder of BIP-173's BCH code over GF(32): it finds any four wrong symbols among up to 89."""
    rest = 1
    for value in values:
        top = rest >> 25
        rest = (rest & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            if top >> bit & 1:
                rest ^= term
    return rest
