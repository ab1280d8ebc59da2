"""A form that is sent twice does once what it asks for: it carries a name of its own, which is kept for a day."""

import hashlib
import secrets
from collections.abc import Coroutine
from typing import Any

from license_api.console.visit import Signed
from services import partners
from services.partners import KeptAnswer

FIELD = "once"
_DONE = KeptAnswer(303, b"")


def name() -> str:
    """Give a new form its name; put it into a hidden field `once`."""
    return secrets.token_urlsafe(16)


async def attempt(visit: Signed, doing: Coroutine[Any, Any, None]) -> None:
    """Do what a form asks for, as `visit.attempt`, unless this very form was carried out already; see `form.right`."""
    await visit.attempt(_unless_done(visit, doing))


async def _unless_done(visit: Signed, doing: Coroutine[Any, Any, None]) -> None:
    asked = f"{visit.request.url.path} {visit.form.get(FIELD)}".encode()
    key, vault = f"form {visit.form.get(FIELD)}"[:200], visit.made.desk.vault
    digest = hashlib.sha256(asked).digest()
    # In the savepoint of the attempt: what was refused may be sent again.
    if await partners.claim_idempotency_key(visit.db, vault, visit.principal, key, digest, visit.now) is not None:
        doing.close()
        return
    await doing
    await partners.keep_answer(visit.db, vault, visit.principal, key, _DONE)
