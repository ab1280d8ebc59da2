"""Ids: UUID version 7 (they sort by time), shown with a prefix as TypeIDs: `key_01h455vb4pex5vsknk084sn02q`."""

import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

Entropy = Callable[[int], bytes]
"""Gives n random bytes: `secrets.token_bytes`, or a seeded stand-in where a run must be repeatable."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SYMBOLS = 26
# Python reads base 32 in C, in digits of its own. What is not in the alphabet becomes what is no digit.
_DIGITS = bytearray(b"!" * 256)
for _digit, _symbol in zip(b"0123456789abcdefghijklmnopqrstuv", _ALPHABET.encode(), strict=True):
    _DIGITS[_symbol] = _digit


_VERSION, _VARIANT = 0x7 << 76, 0x2 << 62
_AHEAD_MAX = 16 << 12  # a burst may run some milliseconds ahead
_last_tick = 0  # milliseconds and, below them, twelve bits that count the ids of one millisecond


def new_id(now: datetime, entropy: Entropy = secrets.token_bytes) -> UUID:
    """Make an id (RFC 9562, version 7) whose order is that of `now`, and within a millisecond that of the calls.

    The order within a millisecond is that of one process: twelve bits count its calls, the other 62 are random.
    """
    global _last_tick  # noqa: PLW0603
    tick = int(now.timestamp() * 1000) << 12
    if tick <= _last_tick < tick + _AHEAD_MAX:
        tick = _last_tick + 1
    _last_tick = tick
    random = int.from_bytes(entropy(8)) >> 2
    return UUID(int=(tick >> 12 << 80) | _VERSION | ((tick & 0xFFF) << 64) | _VARIANT | random)


def show(prefix: str, value: UUID) -> str:
    """Write an id as people and programs see it."""
    number = value.int
    return prefix + "_" + "".join(_ALPHABET[(number >> (5 * i)) & 31] for i in reversed(range(_SYMBOLS)))


def read(prefix: str, text: str) -> UUID | None:
    """Read a shown id; None if it is not one of this prefix."""
    head, _, symbols = text.rpartition("_")
    if head != prefix or len(symbols) != _SYMBOLS or symbols[0] > "7":
        return None
    try:
        return UUID(int=int(symbols.encode().translate(_DIGITS), 32))
    except ValueError:
        return None
