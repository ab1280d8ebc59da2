"""Acts that stand in the audit log as they were asked for: who, what, on what, in which words. One line of a router."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Depends, Request

from license_api.deps import Caller, Db, Now
from services import partners


def noted(acts: Mapping[str, str]) -> Any:
    """Make the dependency that notes a router's acts, operation id -> action, when they are done and before the commit.

    The subject is the id that the path names first. A repeat of an idempotent request does nothing, and is not noted.
    """

    async def note(request: Request, caller: Caller, db: Db, now: Now) -> AsyncIterator[None]:
        yield
        action = acts.get(request.scope["route"].operation_id)
        if action is not None:
            subject = next(iter(request.path_params.values()))
            asked = json.loads(await request.body() or b"null")
            await partners.note(db, caller, action, subject, after=asked, now=now)

    return Depends(note, scope="function")
