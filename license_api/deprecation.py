"""How an operation says that it will go: `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where to read on."""

from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime

from fastapi import Response


def deprecated(since: datetime, sunset: datetime, page: str) -> Callable[[Response], None]:
    """Make a dependency that puts the headers on an operation's answers; mark the operation `deprecated=True` too."""

    def say(response: Response) -> None:
        response.headers["Deprecation"] = f"@{int(since.timestamp())}"
        response.headers["Sunset"] = format_datetime(sunset, usegmt=True)
        response.headers["Link"] = f'<{page}>; rel="deprecation"; type="text/html"'

    return say
