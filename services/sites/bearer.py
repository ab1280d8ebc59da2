"""The bearer of an installation: `<site_id>.<installation_id>.<secret>`. Pure."""

import re
from typing import NamedTuple
from uuid import UUID

from services import ids
from services.errors import Unauthenticated
from services.signing import digest

_SECRET_SYMBOLS = 43
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Bearer(NamedTuple):
    """Who calls, and the hash of the secret it shows."""

    site_id: UUID
    installation_id: UUID
    credential_sha256: bytes


def read_bearer(text: str) -> Bearer:
    """Read the bearer; raises `Unauthenticated` if it cannot be one."""
    site, _, rest = text.partition(".")
    installation, _, secret = rest.partition(".")
    site_id = ids.read("site", site)
    if site_id is None or len(secret) != _SECRET_SYMBOLS or not secret.isascii():
        raise Unauthenticated
    if _UUID.fullmatch(installation) is None:
        raise Unauthenticated
    return Bearer(site_id, UUID(int=int(installation.replace("-", ""), 16)), digest(secret))
