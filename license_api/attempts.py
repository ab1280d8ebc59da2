"""Slows the guessing of licence keys: by address, kept in Valkey, or in this process while Valkey is away."""

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from services.errors import TooManyAttempts

_UNKNOWN_KEYS = RateLimitItemPerMinute(10, 10, namespace="unknown_keys")
_WINDOW_SECONDS = 600


class Attempts:
    """Counts failed attempts; a good key is never counted and never refused."""

    def __init__(self, redis_url: str) -> None:
        """Count in the Valkey at `redis_url`; empty: in this process alone."""
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared = FixedWindowRateLimiter(_storage(redis_url)) if redis_url else self._local

    async def unknown_key(self, address: str) -> None:
        """Count one unknown key from an address; raises `TooManyAttempts` after ten within ten minutes."""
        try:
            allowed = await self._shared.hit(_UNKNOWN_KEYS, address)
        except (RedisError, OSError):
            allowed = await self._local.hit(_UNKNOWN_KEYS, address)
        if not allowed:
            raise TooManyAttempts(retry_after=_WINDOW_SECONDS)


def _storage(redis_url: str) -> RedisStorage:
    url = redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url
    return RedisStorage(f"async+{url}", implementation="redispy")
