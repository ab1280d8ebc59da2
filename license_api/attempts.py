"""Slows guessing and floods: counted in Valkey, or in this process while Valkey is away.

What is right is never refused: a good key or token is not counted as an attempt. Passwords are counted by network and
address together, so that a stranger elsewhere does not lock the owner out; what many networks try on one address slows
only networks from which its owner has never come in.
"""

import hashlib
import time
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from services.errors import TooManyAttempts, TooManyRequests
from services.partners import network_of

_UNKNOWN_KEYS = RateLimitItemPerMinute(10, 10, namespace="unknown_keys")
_WRONG_TOKENS = RateLimitItemPerMinute(30, 10, namespace="wrong_tokens")
_SIGN_INS_HERE = RateLimitItemPerMinute(10, 10, namespace="sign_ins_here")
_SIGN_INS_OF_NETWORK = RateLimitItemPerMinute(60, 10, namespace="sign_ins_of_network")
_SIGN_INS_OF_ADDRESS = RateLimitItemPerHour(100, 1, namespace="sign_ins_of_address")
_CONFIRMATIONS = RateLimitItemPerMinute(10, 10, namespace="confirmations")
_LINKS = RateLimitItemPerMinute(30, 10, namespace="links")
_PUBLIC = RateLimitItemPerMinute(60, 1, namespace="public")
_REQUESTS = RateLimitItemPerMinute(600, 1, namespace="requests")


@dataclass(frozen=True, slots=True)
class Window:
    """What is left of a limit: how many, of how many, until how many seconds from now."""

    limit: int
    remaining: int
    seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """Say it as draft-ietf-httpapi-ratelimit-headers has it."""
        return {
            "RateLimit-Policy": f'"default";q={self.limit};w=60',
            "RateLimit": f'"default";r={self.remaining};t={self.seconds}',
        }


class Attempts:
    """Counts attempts and requests."""

    def __init__(self, redis_url: str) -> None:
        """Count in the Valkey at `redis_url`; empty: in this process alone."""
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._shared = FixedWindowRateLimiter(_storage(redis_url)) if redis_url else self._local

    async def unknown_key(self, address: str | None) -> None:
        """Count one unknown key from an address; raises `TooManyAttempts` after ten within ten minutes."""
        await self._count(_UNKNOWN_KEYS, network_of(address) or "")

    async def wrong_token(self, address: str | None) -> None:
        """Count one wrong token or session; raises `TooManyAttempts` after thirty within ten minutes."""
        await self._count(_WRONG_TOKENS, network_of(address) or "")

    async def link(self, address: str | None) -> None:
        """Count one use of a letter's link; raises `TooManyAttempts` after thirty within ten minutes."""
        await self._count(_LINKS, network_of(address) or "")

    async def sign_in(self, address: str | None, email: str, *, known: bool) -> None:
        """Count one try to sign in, before it is looked at; raises `TooManyAttempts`."""
        network, person = network_of(address) or "", _hidden(email)
        await self._count(_SIGN_INS_HERE, network, person)
        if not known:
            await self._count(_SIGN_INS_OF_NETWORK, network)
            await self._count(_SIGN_INS_OF_ADDRESS, person)

    async def confirm(self, credential: str) -> None:
        """Count one password or code that is given in a session; raises `TooManyAttempts` after ten within ten minutes.

        By session: whoever stole one does not get on from many networks, nor in the owner's way in another.
        """
        await self._count(_CONFIRMATIONS, credential)

    async def signed_in(self, address: str | None, email: str) -> None:
        """Forget the tries that came before a right one."""
        names = (network_of(address) or "", _hidden(email))
        try:
            await self._shared.clear(_SIGN_INS_HERE, *names)
        except (RedisError, OSError):
            await self._local.clear(_SIGN_INS_HERE, *names)

    async def public(self, address: str | None) -> Window:
        """Count one request of nobody in particular; raises `TooManyRequests`."""
        return await self._request(_PUBLIC, network_of(address) or "")

    async def request(self, credential: str) -> Window:
        """Count one request of a token or session; raises `TooManyRequests`."""
        return await self._request(_REQUESTS, credential)

    async def _count(self, item: RateLimitItem, *names: str) -> None:
        if not (await self._hit(item, *names))[0]:
            raise TooManyAttempts(retry_after=item.get_expiry())

    async def _request(self, item: RateLimitItem, *names: str) -> Window:
        allowed, window = await self._hit(item, *names)
        if not allowed:
            raise TooManyRequests(retry_after=max(window.seconds, 1), headers=window.headers)
        return window

    async def _hit(self, item: RateLimitItem, *names: str) -> tuple[bool, Window]:
        try:
            return await _hit(self._shared, item, *names)
        except (RedisError, OSError):
            return await _hit(self._local, item, *names)


async def _hit(limiter: FixedWindowRateLimiter, item: RateLimitItem, *names: str) -> tuple[bool, Window]:
    allowed = await limiter.hit(item, *names)
    stats = await limiter.get_window_stats(item, *names)
    seconds = max(0, int(stats.reset_time - time.time()))  # noqa: TID251 - the storage's own clock, not the domain's
    return allowed, Window(item.amount, stats.remaining, seconds)


def _hidden(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]


def _storage(redis_url: str) -> RedisStorage:
    url = redis_url.replace("unix://", "redis+unix://", 1) if redis_url.startswith("unix://") else redis_url
    return RedisStorage(f"async+{url}", implementation="redispy")
