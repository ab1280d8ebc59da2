"""A form that is sent twice does once what it asks for: it carries a name of its own, which is kept for a day."""

import hashlib
import secrets

from license_api.console.visit import Signed
from services import partners
from services.partners import KeptAnswer

FIELD = "once"
_DONE = KeptAnswer(303, b"")


def name() -> str:
    """Give a new form its name; put it into a hidden field `once`."""
    return secrets.token_urlsafe(16)


async def done_before(visit: Signed) -> bool:
    """Tell whether this very form was carried out already; else it is from now on, if the transaction holds."""
    asked = f"{visit.request.url.path} {visit.form.get(FIELD)}".encode()
    key, vault = f"form {visit.form.get(FIELD)}"[:200], visit.made.desk.vault
    digest = hashlib.sha256(asked).digest()
    kept = await partners.claim_idempotency_key(visit.db, vault, visit.principal, key, digest, visit.now)
    if kept is None:
        await partners.keep_answer(visit.db, vault, visit.principal, key, _DONE)
    return kept is not None
