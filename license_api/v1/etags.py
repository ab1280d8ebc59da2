"""`ETag`, `If-Match` and `If-None-Match`: who changes or reads something can say which version it has."""

import hashlib
from typing import Annotated

from fastapi import Header, Response
from pydantic import BaseModel

from services.errors import ChangedMeanwhile

IfMatch = Annotated[
    str | None, Header(alias="If-Match", max_length=200, description="The ETag that you have read: 412 if it is past.")
]

IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", max_length=200, description="The ETag that you have: 304 if it still is.")
]


def etag(shown: BaseModel) -> str:
    """Give the tag of something as it is shown."""
    return f'"{hashlib.sha256(shown.model_dump_json().encode()).hexdigest()[:32]}"'


def tag(response: Response, shown: BaseModel) -> None:
    """Put the tag on an answer."""
    response.headers["ETag"] = etag(shown)


def match(if_match: str | None, shown: BaseModel) -> None:
    """Raise `ChangedMeanwhile` if the caller has read another version. What is shown must be locked by now."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag(shown) not in [one.strip() for one in if_match.split(",")]:
        raise ChangedMeanwhile


def as_known(if_none_match: str | None, shown: BaseModel) -> bool:
    """Tell whether the caller has what would be shown."""
    known = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return etag(shown) in known
