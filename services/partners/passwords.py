"""Passwords: Argon2id in a thread, few at a time, and as long for nobody's address as for somebody's."""

import asyncio
import functools

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from services.errors import Invalid

LENGTH_MIN, LENGTH_MAX = 12, 200
_AT_ONCE = 2  # 64 MiB each
_hasher = PasswordHash((Argon2Hasher(),))
_room = asyncio.Semaphore(_AT_ONCE)


async def hash_password(password: str, *, email: str = "") -> str:
    """Hash a new password; raises `Invalid` for one that is short, long, or the address itself."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise Invalid(f"A password has {LENGTH_MIN} to {LENGTH_MAX} characters.", pointer="/password")
    if email and password.lower() == email.lower():
        raise Invalid("The address is no password.", pointer="/password")
    async with _room:
        return await asyncio.to_thread(_hasher.hash, password)


async def right_password(password: str, hashed: str | None) -> bool:
    """Tell whether a password is the hashed one; None is checked against a hash of nothing, and is never right."""
    async with _room:
        right = await asyncio.to_thread(_verify, password[:LENGTH_MAX], hashed)
    return right and hashed is not None


def _verify(password: str, hashed: str | None) -> bool:
    nobody = _nobodys_hash()
    return _hasher.verify(password, hashed or nobody)


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody")
