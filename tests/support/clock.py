"""A clock that stands until a test moves it."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
"""Where every test begins: a Tuesday in the middle of a month that has a change to summer time in Rome."""


class TestClock:
    """A `services.clock.Clock` that a test sets."""

    __test__ = False  # not a class of tests, whatever pytest makes of its name

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Give the instant."""
        return self.now

    def advance(self, **length: float) -> datetime:
        """Move on by a length (`hours=1`), and give where it stands then."""
        self.now += timedelta(**length)
        return self.now
