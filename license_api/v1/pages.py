"""Lists come in pages: `limit` and `after`; the next page is in the `Link` header."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query, Request, Response

from services import ids
from services.errors import Absent, Invalid

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
After = Annotated[str | None, Query(max_length=64, description="The id that the last page ended with.")]


def cursor(prefix: str, after: str | None) -> UUID | None:
    """Read where a page begins; raises `Invalid`."""
    if after is None:
        return None
    value = ids.read(prefix, after)
    if value is None:
        raise Invalid(pointer="/query/after")
    return value


def named(prefix: str, text: str) -> UUID:
    """Read an id in a path; raises `Absent`, for what is no id names nothing."""
    value = ids.read(prefix, text)
    if value is None:
        raise Absent
    return value


def link_next(request: Request, response: Response, rows: Sequence[T], limit: int, last_id: Callable[[T], str]) -> None:
    """Say where the next page is, if this one is full."""
    if len(rows) == limit:
        url = request.url.include_query_params(after=last_id(rows[-1]), limit=limit)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
