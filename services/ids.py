"""Ids: UUID version 7 (they sort by time), shown with a prefix as TypeIDs: `key_01h455vb4pex5vsknk084sn02q`."""

import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

Entropy = Callable[[int], bytes]
"""Gives n random bytes: `secrets.token_bytes`, or a seeded stand-in where a run must be repeatable."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {symbol: value for value, symbol in enumerate(_ALPHABET)}
_SYMBOLS = 26


def new_id(now: datetime, entropy: Entropy = secrets.token_bytes) -> UUID:
    """Make an id (RFC 9562, version 7) whose order is that of `now`, to the millisecond."""
    milliseconds = int(now.timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(entropy(10))
    number = (number & ~(0xF << 76)) | (0x7 << 76)
    return UUID(int=(number & ~(0x3 << 62)) | (0x2 << 62))


def show(prefix: str, value: UUID) -> str:
    """Write an id as people and programs see it."""
    number = value.int
    return prefix + "_" + "".join(_ALPHABET[(number >> (5 * i)) & 31] for i in reversed(range(_SYMBOLS)))


def read(prefix: str, text: str) -> UUID | None:
    """Read a shown id; None if it is not one of this prefix."""
    head, _, symbols = text.rpartition("_")
    if head != prefix or len(symbols) != _SYMBOLS or symbols[0] > "7":
        return None
    number = 0
    for symbol in symbols:
        value = _VALUES.get(symbol)
        if value is None:
            return None
        number = (number << 5) | value
    return UUID(int=number)
