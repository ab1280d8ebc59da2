"""When to ask again after no answer: exponential, full jitter, capped, never before `Retry-After`. Pure."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

FIRST_SECONDS: Final = 5.0
LEAST_SECONDS: Final = 1.0
RETRY_AFTER_MAX_SECONDS: Final = 86_400.0


def pause(failures: int, cap_seconds: float, retry_after: float | None, randomness: bytes) -> float:
    """Seconds to wait after so many failures in a row (1 and more).

    The jitter comes on top of Retry-After: all sites are told the same number by one outage, and must not
    come back together.
    """
    widest = min(cap_seconds, FIRST_SECONDS * 2.0 ** min(failures - 1, 30))
    jitter = widest * int.from_bytes(randomness) / (1 << 8 * len(randomness))
    return max(LEAST_SECONDS, jitter + (retry_after or 0.0))


def read_retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (seconds or a date), at most a day; None if it is not usable."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return min(float(header[:9]), RETRY_AFTER_MAX_SECONDS)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS)
