"""When to try again. Pure: the back-off is a row's `next_attempt_at`, never a sleep."""

from datetime import datetime, timedelta

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
LETTER_DELAYS = (_MINUTE, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR, 24 * _HOUR)
# About three days in all.
WEBHOOK_DELAYS = (
    timedelta(seconds=5),
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    22 * _HOUR,
)


def next_attempt_at(attempts: int, delays: tuple[timedelta, ...], now: datetime) -> datetime | None:
    """Give when to try again after so many failed attempts; None: not any more."""
    return now + delays[attempts - 1] if attempts <= len(delays) else None
