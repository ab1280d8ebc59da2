"""Ids: UUID version 7 (they sort by time), shown with a prefix as TypeIDs: `key_01h455vb4pex5vsknk084sn02q`."""

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

Entropy = Callable[[int], bytes]
"""Gives n random bytes: `secrets.token_bytes`, or a seeded stand-in where a run must be repeatable."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SYMBOLS = 26
_SHOWN = re.compile(f"[0-7][{_ALPHABET}]{{25}}")
# Python reads base 32 in C, in digits of its own.
_DIGITS = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")


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
    if head != prefix or _SHOWN.fullmatch(symbols) is None:
        return None
    return UUID(int=int(symbols.translate(_DIGITS), 32))
